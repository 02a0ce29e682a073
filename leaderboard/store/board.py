"""The rows on disk: where the leaderboard lies, what stands on it, and how a row enters.

``rows/<task>-v<version>__<method>__seed<k>-<digest of settings>.json``, and beside each row that is
``ok`` its ranks as ``.ranks.h5``; what else may lie there `starbench.leaderboard.store.traces`
says. The name follows from the row, so that two rows of one run cannot both stand, and a file
cannot claim to be another.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from starbench.leaderboard.store.checks import (
    check_entry,
    check_figures,
    check_metrics,
    check_standing,
)
from starbench.leaderboard.store.traces import Trace, read_trace, trace_files, write_trace
from starbench.results.ranks import Ranks, read_ranks, write_ranks
from starbench.results.schema import Row, read_row, write_row
from starbench.results.text import RowError, printable

MARKER = "published.csv"  # a file that every checkout's leaderboard folder has


@dataclass(frozen=True)
class Entry:
    """A row of the leaderboard and the file that holds it."""

    row: Row
    path: Path


def find_directory(start: Path) -> Path:
    """Return the leaderboard folder of the checkout that a folder lies in.

    Raises
    ------
    RowError
        If it lies in none.
    """
    start = Path(start).resolve()
    for folder in (start, *start.parents):
        for candidate in (folder, folder / "leaderboard"):
            if candidate.name == "leaderboard" and (candidate / MARKER).is_file():
                return candidate
    raise RowError(
        f"{printable(start)}: not inside a checkout of starbench; change into one, "
        "or give --directory"
    )


def file_name(row: Row) -> str:
    """Return the name of a row's file on the leaderboard."""
    return (
        f"{row.task}-v{row.task_version}__{row.method}"
        f"__seed{row.seed}-{row.settings_digest[:8]}.json"
    )


def ranks_beside(path: Path) -> Path:
    """Return where the ranks of a row's file lie: on the leaderboard, or in the folder of a run."""
    if path.name == "row.json":
        return path.with_name("ranks.h5")
    return path.with_name(path.name.removesuffix(".json") + ".ranks.h5")


def row_file(path: Path) -> Path:
    """Return the file of a row that is named by itself or by the folder of its run."""
    return path / "row.json" if path.is_dir() else path


def read_pair(path: Path) -> tuple[Row, Ranks | None]:
    """Read a row and its ranks, None for a row that has none.

    Raises
    ------
    RowError
    """
    row = read_row(path)
    return row, read_ranks(ranks_beside(path)) if row.status == "ok" else None


def load(directory: Path, *, checked: bool = True) -> list[Entry]:
    """Read all rows of a leaderboard, in the order of their file names.

    Parameters
    ----------
    directory : pathlib.Path
    checked : bool
        Whether to recompute each row's rank figures from its ranks.

    Raises
    ------
    RowError
        For the first row that does not fit.
    """
    entries = []
    for path in sorted((Path(directory) / "rows").glob("*.json")):
        if checked:
            row, ranks = read_pair(path)
        else:
            row, ranks = read_row(path), None
        name = printable(path)
        if path.name != file_name(row):
            raise RowError(f"{name}: a file of this row is named {file_name(row)}; rename it")
        check_standing(row, name)
        check_metrics(row, name)
        if ranks is not None:
            check_figures(row, ranks, name)
        entries.append(Entry(row, path))
    return entries


def add(
    runs: Iterable[Path],
    directory: Path,
    *,
    replace: bool = False,
    allow_dirty: bool = False,
    get_task: Callable[[str], Any],
    declared: Callable[[str], Any | None],
) -> list[Path]:
    """Copy rows onto the leaderboard: all of them, or none if one may not enter.

    What is written is what was understood, not the bytes that came: nothing else that a file from a
    stranger may hold travels with it.

    Parameters
    ----------
    runs : iterable of pathlib.Path
        Folders of runs, or files of rows with their ranks beside them.
    directory : pathlib.Path
    replace : bool
        Whether a row may take the place of one of the same method, settings, seed and task.
    allow_dirty : bool
        Whether to take rows of code that was changed since its commit.
    get_task : callable
        From a task's name to the task.
    declared : callable
        From a method's name to its class, or None where it is not installed.

    Returns
    -------
    list of pathlib.Path
        Where the rows now lie.

    Raises
    ------
    RowError
        For the first row that may not enter.
    """
    planned: dict[Path, tuple[Row, Ranks | None, Trace]] = {}
    for run in runs:
        source = row_file(Path(run))
        name = printable(source)
        row, ranks = read_pair(source)
        check_standing(row, name)  # before the task is asked for: own data have none of that name
        check_entry(
            row, ranks, name, task=get_task(row.task), declared=declared, allow_dirty=allow_dirty
        )
        target = Path(directory) / "rows" / file_name(row)
        if target in planned:
            raise RowError(f"{name}: given twice; give each row once")
        if target.exists() and not replace:
            raise RowError(
                f"{name}: a row of this method, settings, seed and task is there already "
                f"({target.name}); give --replace to put this one in its place"
            )
        planned[target] = row, ranks, read_trace(source)
    _write_all(planned)
    return list(planned)


def _write_all(planned: dict[Path, tuple[Row, Ranks | None, Trace]]) -> None:
    """Write rows and what lies beside; if the disk fills on the way, put back what was there."""
    files = [file for path in planned for file in (path, ranks_beside(path), *trace_files(path))]
    before = {file: file.read_bytes() if file.exists() else None for file in files}
    try:
        for path, (row, ranks, trace) in planned.items():
            # The ranks first: a reader that comes between finds no row without its ranks.
            if ranks is None:
                ranks_beside(path).unlink(missing_ok=True)
            else:
                write_ranks(ranks_beside(path), ranks.rank, ranks.tied)
            write_trace(path, trace)
            write_row(row, path)
    except BaseException:
        for file, content in before.items():
            if content is None:
                file.unlink(missing_ok=True)
            elif not file.exists() or file.read_bytes() != content:
                file.write_bytes(content)
        raise
