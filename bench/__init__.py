"""starbench: a benchmark of disentanglement methods on paired synthetic spectra of stars.

``import starbench as sb`` provides the functions of `starbench.api`. They are imported on first
use, so that importing starbench is fast.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from starbench.common.threads import wait_briefly

if TYPE_CHECKING:
    from starbench.api import (
        RunResult,
        load_method,
        load_task,
        rows,
        run,
        score,
        sibling_ranks,
        suite,
        twin_ranks,
    )

__version__ = "0.1.0"

__all__ = [
    "RunResult",
    "__version__",
    "load_method",
    "load_task",
    "rows",
    "run",
    "score",
    "sibling_ranks",
    "suite",
    "twin_ranks",
]

wait_briefly()


def __getattr__(name: str) -> Any:
    if name in __all__:
        return getattr(import_module("starbench.api"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
