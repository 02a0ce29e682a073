"""The leaderboard's folder: where it is, how its rows are read, and how a row is added.

A row is ``rows/<task>-v<version>__<method>__seed<k>-<digest of settings>.json``. Beside each row of
status ``ok`` are its ranks, ``.ranks.h5``, and optionally the files of
`starbench.leaderboard.store.traces`. A row determines its file name, so a run cannot have two rows
and a file cannot pass for another row.
"""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from starbench.common.progress import stage
from starbench.leaderboard.store.checks import (
    check_eligible,
    check_entry,
    check_metrics,
    check_rank_metrics,
)
from starbench.leaderboard.store.levels import Level, level_of
from starbench.leaderboard.store.names import JSON, RANKS, ROW_OF_RUN, ROWS, beside
from starbench.leaderboard.store.task import BoardTask
from starbench.leaderboard.store.traces import Trace, read_trace, trace_files, write_trace
from starbench.methods.base import Method
from starbench.results.ranks import Ranks, read_ranks, write_ranks
from starbench.results.schema import Row, read_row, write_row
from starbench.results.text import RowError, printable

MARKER = "published.csv"  # a file that every checkout's leaderboard folder has


@dataclass(frozen=True)
class Entry:
    """A row of the leaderboard.

    Attributes
    ----------
    row : Row
    path : pathlib.Path
        Its file.
    level : Level
        How far it has been checked.
    ranks : Ranks or None
        The ranks beside it, where they have been read; arrays of int32.
    """

    row: Row
    path: Path
    level: Level = "submitted"
    ranks: Ranks | None = field(default=None, compare=False, repr=False)


def find_directory(start: Path) -> Path:
    """Return the leaderboard folder of the checkout around a folder.

    Raises
    ------
    RowError
        If the folder is not inside a checkout.
    """
    directory = _checkout_directory(start)
    if directory is None:
        raise RowError(
            f"{printable(Path(start).resolve())}: not inside a checkout of starbench; change into "
            "one, or give --directory"
        )
    return directory


def readable_directory(start: Path) -> Path:
    """Return the leaderboard folder of the checkout around a folder, or else the shipped one."""
    return _checkout_directory(start) or shipped_directory()


def shipped_directory() -> Path:
    """Return the leaderboard folder of the installed package, which holds the released rows."""
    # An editable install may be a folder of symlinks, and symlinks to rows would be refused;
    # resolving this one leads to the checkout.
    return Path(__file__).resolve().parents[1]


def _checkout_directory(start: Path) -> Path | None:
    start = Path(start).resolve()
    for folder in (start, *start.parents):
        for candidate in (folder, folder / "leaderboard"):
            if candidate.name == "leaderboard" and (candidate / MARKER).is_file():
                return candidate
    return None


def file_name(row: Row) -> str:
    """Return the name of a row's file on the leaderboard."""
    return (
        f"{row.task}-v{row.task_version}__{row.method}"
        f"__seed{row.seed}-{row.settings_digest[:8]}{JSON}"
    )


def check_file_name(path: Path, row: Row) -> None:
    """Refuse a row of the leaderboard whose file is not named after it.

    Raises
    ------
    RowError
    """
    if path.name != file_name(row):
        raise RowError(
            f"{printable(path)}: the file of this row must be named {file_name(row)}; rename it"
        )


def ranks_beside(path: Path) -> Path:
    """Return the path of a row's ranks, on the leaderboard or in the folder of a run."""
    return beside(path, RANKS)


def row_file(path: Path) -> Path:
    """Return the file of a row, given that file or the folder of a run."""
    return path / ROW_OF_RUN if path.is_dir() else path


def read_row_and_ranks(path: Path) -> tuple[Row, Ranks | None]:
    """Read a row and its ranks, which are None unless the row is ``ok``.

    Raises
    ------
    RowError
    """
    row = read_row(path)
    return row, read_ranks(ranks_beside(path)) if row.status == "ok" else None


def row_paths(directory: Path, task: str | None = None) -> list[Path]:
    """Return the files of a leaderboard's rows, optionally of one task, sorted by their names."""
    paths = sorted((Path(directory) / ROWS).glob(f"*{JSON}"))
    if task is None:
        return paths
    of_task = re.compile(rf"{re.escape(task)}-v\d+__")
    return [path for path in paths if of_task.match(path.name)]


def load(directory: Path, *, checked: bool = True, task: str | None = None) -> list[Entry]:
    """Read the rows of a leaderboard, in the order of their file names.

    Parameters
    ----------
    directory : pathlib.Path
    checked : bool
        Whether to read each row's ranks and recompute its rank metrics from them.
    task : str, optional
        Read the rows of one task, whose files' names begin with its name.

    Raises
    ------
    RowError
        For the first row that is invalid.
    """
    entries = []
    for path in stage("read rows", row_paths(directory, task), unit="row"):
        if checked:
            row, ranks = read_row_and_ranks(path)
        else:
            row, ranks = read_row(path), None
        name = printable(path)
        check_file_name(path, row)
        check_eligible(row, name)
        check_metrics(row.metrics, name)
        if ranks is not None:
            check_rank_metrics(row, ranks, name)
        kept = None if ranks is None else _in_32_bits(ranks)
        entries.append(Entry(row, path, level_of(row, path), kept))
    return entries


def _in_32_bits(ranks: Ranks) -> Ranks:
    """Return ranks in half the memory; a file holds none of more than a few million."""
    rank, tied, group, n_stars = ranks
    group = None if group is None else group.astype(np.int32)
    return Ranks(rank.astype(np.int32), tied.astype(np.int32), group, n_stars)


def add(
    runs: Iterable[Path],
    directory: Path,
    *,
    replace: bool = False,
    allow_dirty: bool = False,
    get_task: Callable[[str], BoardTask],
    installed_method: Callable[[str], type[Method] | None],
) -> list[Path]:
    """Add rows to the leaderboard: all of them, or none if one is refused.

    A row that the leaderboard holds already is written again, so that a call whose process was
    killed between two rows can be repeated.

    Files are rewritten from their parsed contents rather than copied, so that nothing else in an
    untrusted file reaches the leaderboard.

    Parameters
    ----------
    runs : iterable of pathlib.Path
        Folders of runs, or row files with their ranks beside them.
    directory : pathlib.Path
    replace : bool
        Whether a row may take the place of one of the same method, settings, seed and task.
    allow_dirty : bool
        Whether to accept rows whose code had uncommitted changes.
    get_task : callable
        From a task's name to the task.
    installed_method : callable
        From a method's name to its class, or None where it is not installed.

    Returns
    -------
    list of pathlib.Path
        The rows' files on the leaderboard.

    Raises
    ------
    RowError
        For the first row that is refused.
    """
    planned: dict[Path, tuple[Row, Ranks | None, Trace]] = {}
    for run in runs:
        source = row_file(Path(run))
        name = printable(source)
        row, ranks = read_row_and_ranks(source)
        check_eligible(row, name)  # first, as a row of own data names no task
        check_entry(
            row,
            ranks,
            name,
            task=get_task(row.task),
            installed_method=installed_method,
            allow_dirty=allow_dirty,
        )
        target = Path(directory) / ROWS / file_name(row)
        if target in planned:
            raise RowError(f"{name}: given twice; name each row once")
        if target.exists() and not replace and not _holds(target, row):
            raise RowError(
                f"{name}: the leaderboard has a row of this method, settings, seed and task "
                f"({target.name}); give --replace to overwrite it"
            )
        planned[target] = row, ranks, read_trace(source)
    _write_all(planned)
    return list(planned)


def _holds(path: Path, row: Row) -> bool:
    """Return whether a file of the leaderboard holds that very row.

    Fields that are newer than the file are missing in it, so texts are not compared.
    """
    try:
        return read_row(path) == row
    except RowError:
        return False


def _write_all(planned: dict[Path, tuple[Row, Ranks | None, Trace]]) -> None:
    """Write rows, ranks and traces; restore the previous files if writing fails."""
    files = [file for path in planned for file in (path, ranks_beside(path), *trace_files(path))]
    before = {file: file.read_bytes() if file.exists() else None for file in files}
    try:
        for path, (row, ranks, trace) in planned.items():
            # The ranks first, so that a concurrent reader finds no row without its ranks.
            if ranks is None:
                ranks_beside(path).unlink(missing_ok=True)
            else:
                write_ranks(ranks_beside(path), *ranks)
            write_trace(path, trace)
            write_row(row, path)
    except BaseException:
        for file, content in before.items():
            if content is None:
                file.unlink(missing_ok=True)
            elif not file.exists() or file.read_bytes() != content:
                file.write_bytes(content)
        raise
