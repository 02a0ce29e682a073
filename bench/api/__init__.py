"""The public functions of starbench, for notebooks and scripts: ``import starbench as sb``.

Each imports what it needs when it is called: ``sb.twin_ranks`` needs no torch.
"""

from starbench.api.loading import load_method, load_task
from starbench.api.ranking import sibling_ranks, twin_ranks
from starbench.api.run_result import RunResult
from starbench.api.running import run
from starbench.api.scoring import score
from starbench.api.tables import rows, suite

__all__ = [
    "RunResult",
    "load_method",
    "load_task",
    "rows",
    "run",
    "score",
    "sibling_ranks",
    "suite",
    "twin_ranks",
]
