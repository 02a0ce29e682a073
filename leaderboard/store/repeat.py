"""Repeat the run behind a row."""

import tempfile
from pathlib import Path

from starbench.common.threads import available_cores
from starbench.leaderboard.store.checks import settings_of
from starbench.leaderboard.store.reproduce import check_reproducible
from starbench.methods.base import Method
from starbench.results.ranks import Ranks, read_ranks
from starbench.results.schema import Row
from starbench.runs.origin import Given
from starbench.runs.runner import run
from starbench.tasks.base import Task


def repeat_run(
    row: Row,
    name: str,
    method: type[Method],
    task: Task,
    *,
    device: str | None = None,
    threads: int | None = None,
    out: Path | None = None,
    quiet: bool = False,
) -> tuple[Row | None, Ranks | None]:
    """Run a row's settings again.

    Parameters
    ----------
    row : Row
    name : str
        How errors refer to the row.
    method : type of Method
    task : Task
    device, threads : optional
        By default those of the row, but no more threads than there are cores.
    out : pathlib.Path, optional
        Folder in which the run's folder is kept; by default it is removed.
    quiet : bool
        Draw no progress bars.

    Returns
    -------
    again : Row or None
        None if `out` holds this run already: it may be the one that made the row.
    ranks : Ranks or None
        Of the repeated run; None unless its status is ``ok``.

    Raises
    ------
    RowError
        If the row cannot be reproduced with this version of starbench.
    """
    check_reproducible(row, name, method, task)
    hyperparameters = settings_of(row, name, method)
    with tempfile.TemporaryDirectory(prefix="starbench-") as temporary:
        outcome = run(
            task,
            method,
            hyperparameters,
            seed=row.seed,
            scale=row.scale,
            device=device or row.hardware.device,
            threads=threads or max(1, min(row.hardware.threads, available_cores())),
            out=out or Path(temporary),
            preset=row.preset,
            overrides=row.overrides,
            given=Given(**row.given.model_dump()),
            quiet=quiet,
        )
        if not outcome.fresh:
            return None, None
        ranks = read_ranks(outcome.folder.ranks) if outcome.row.status == "ok" else None
    return outcome.row, ranks
