"""Verification of a row: everything about it that can be recomputed without training."""

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from starbench.leaderboard.store.board import read_row_and_ranks
from starbench.leaderboard.store.checks import (
    check_data,
    check_declared,
    check_latents,
    check_metrics,
    check_rank_metrics,
)
from starbench.leaderboard.store.confirmations import (
    FEW_ALIKE,
    check_confirmation,
    confirmation_beside,
    ranks_of,
    read_confirmation,
)
from starbench.leaderboard.store.names import FOLDERS, ROWS, main_file
from starbench.leaderboard.store.reproductions import check_reproduction
from starbench.leaderboard.store.task import BoardTask
from starbench.leaderboard.store.traces import read_trace
from starbench.methods.base import Method, OracleControl
from starbench.results.ranks import read_ranks
from starbench.results.schema import Row
from starbench.results.text import RowError, printable


def verify_row(
    path: Path,
    *,
    get_task: Callable[[str], BoardTask],
    installed_method: Callable[[str], type[Method] | None],
    run: Path | None = None,
) -> Row:
    """Recompute the rank metrics of a row, and compare it with its method and its task's data.

    What lies beside the row is checked too: the history of its training, its example star, and
    records of a second run or of fresh stars.

    Parameters
    ----------
    path : pathlib.Path
        The row's file; its ranks lie beside it.
    get_task : callable
        From a task's name to the task.
    installed_method : callable
        From a method's name to its class, or None where it is not installed.
    run : pathlib.Path, optional
        Folder of the row's run, whose latents are ranked again.

    Returns
    -------
    Row

    Raises
    ------
    RowError, DataError
        If the row is refused.
    """
    name = printable(path)
    row, ranks = read_row_and_ranks(path)
    method = installed_method(row.method)
    check_metrics(row.metrics, name)
    check_metrics(row.validation_metrics, name, "validation_metrics")
    check_declared(row, name, method)
    if row.scale != "own":
        task = get_task(row.task)
        if row.task_version >= task.version:  # data of earlier versions cannot be built any more
            check_data(row, ranks, name, task)
    if ranks is not None:
        check_rank_metrics(row, ranks, name, intervals=True)
        if run is not None:
            if method is not None and _has_own_distance(method):
                raise RowError(
                    f"{name}: {row.method} defines its own distance, so its ranks cannot be "
                    "recomputed from latents; remove --run"
                )
            check_latents(ranks, run / "latents.h5")
    read_trace(path)
    check_reproduction(path, row, ranks)
    check_confirmation(path, row, ranks)
    return row


def equal_ranks(rows: Iterable[tuple[Path, Row]]) -> Iterator[str]:
    """Yield a sentence for each two rows of a task that rank every star alike.

    Two networks cannot do so by chance, so one of the rows is a copy, or both methods are one.
    Methods that find every twin do, and controls may. Seeds of one method may, if they change
    nothing; where other seeds of the same settings differ, they do not.

    Parameters
    ----------
    rows : iterable of (pathlib.Path, Row)
        All rows of each task, with their files. Of two equal rows the later is named.
    """
    seeds: dict[tuple[str, str, str], list[tuple[Path, str | None]]] = {}
    first: dict[tuple[str, str | None], Row] = {}
    for path, row in rows:
        if row.status != "ok" or row.control or row.metrics["doppelganger_free"].value == 1:
            continue
        key = row.task, row.data_fingerprint, row.settings_digest
        seeds.setdefault(key, []).append((path, row.ranks_sha256))
        other = first.setdefault((row.task, row.ranks_sha256), row)
        if other.method != row.method:
            yield (
                f"{printable(path)}: has the ranks of a row of {other.method}, star by star; one "
                "may be a copy of the other"
            )
    for of_settings in seeds.values():
        seen: dict[str | None, Path] = {}
        if len({digest for _, digest in of_settings}) == 1:
            continue  # seeds change nothing
        for path, digest in of_settings:
            if seen.setdefault(digest, path) is not path:
                yield (
                    f"{printable(path)}: has the ranks of {seen[digest].name}, star by star, while "
                    "other seeds differ; one may be a copy of the other"
                )


def equal_fresh_ranks(rows: Iterable[tuple[Path, Row]]) -> Iterator[str]:
    """Yield a sentence for each confirmation whose fresh ranks are those of another row.

    They may be the ranks of its fresh stars or of its test stars. Rows of equal ranks, such as
    seeds that change nothing, may share them where the beacon is the same; controls, and methods
    that find almost every twin, may always.

    Parameters
    ----------
    rows : iterable of (pathlib.Path, Row)
        All rows of each task, with their files. Of two confirmations the later is named.
    """
    rows = [(path, row) for path, row in rows if row.status == "ok" and not row.control]
    of_test = {(row.task, row.ranks_sha256): path for path, row in rows}
    first: dict[tuple[str, str], tuple[Path, tuple[str | None, str]]] = {}
    for path, row in rows:
        confirmation = read_confirmation(path)
        if confirmation is None:
            continue
        key = row.task, confirmation.ranks_sha256
        may_share = row.ranks_sha256, confirmation.beacon
        other, of_other = first.setdefault(key, (path, may_share))
        taken = of_test.get(key) if of_other == may_share else other
        if taken is not None and _some_lost(path):
            yield (
                f"{printable(confirmation_beside(path))}: has the ranks of {taken.name}, star by "
                "star; they may be a copy of its ranks"
            )


def _some_lost(row: Path) -> bool:
    """Return whether so many fresh stars lost their twin that no other row can have their ranks."""
    fresh = read_ranks(ranks_of(confirmation_beside(row)))
    return int((fresh.rank > 1).sum()) > FEW_ALIKE


def strays(directory: Path) -> Iterator[str]:
    """Yield a sentence for each file of a leaderboard whose row does not exist."""
    for folder in FOLDERS:
        for file in sorted((directory / folder).glob("*")):
            if not (directory / ROWS / main_file(file).name).is_file():
                yield f"{printable(file)}: there is no row of this name; remove it"


def _has_own_distance(method: type[Method]) -> bool:
    return issubclass(method, OracleControl) and method.rank_twins is not OracleControl.rank_twins
