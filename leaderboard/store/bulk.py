"""Checking many rows: one process a row, some at once, and what is done is not repeated."""

import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

from starbench.leaderboard.store.confirmations import read_confirmation
from starbench.leaderboard.store.names import ROW_OF_RUN
from starbench.leaderboard.store.records import row_digest
from starbench.leaderboard.store.reproductions import read_reproduction
from starbench.leaderboard.store.task import BoardTask
from starbench.methods.base import Method
from starbench.results.schema import read_row
from starbench.results.text import RowError


def unchecked(rows: Sequence[Path], kind: str) -> list[Path]:
    """Return the rows that have no record of a kind, those that take the least time first.

    A record that was made for an earlier content of the file does not count.

    Parameters
    ----------
    rows : sequence of pathlib.Path
    kind : {"reproduction", "confirmation"}

    Raises
    ------
    RowError
        If a row cannot be read.
    """
    read = read_reproduction if kind == "reproduction" else read_confirmation

    def is_done(row: Path) -> bool:
        try:
            record = read(row)
        except RowError:  # a record that cannot be read is made again
            return False
        return record is not None and record.row_sha256 == row_digest(row)

    seconds = {row: sum(read_row(row).seconds.values()) for row in dict.fromkeys(rows)}
    return sorted((row for row in seconds if not is_done(row)), key=lambda row: seconds[row])


def of_other_versions(
    rows: Sequence[Path],
    installed_method: Callable[[str], type[Method] | None],
    get_task: Callable[[str], BoardTask],
) -> dict[Path, str]:
    """Return the rows that methods and tasks installed here cannot repeat, and why, in a phrase.

    Parameters
    ----------
    rows : sequence of pathlib.Path
    installed_method : callable
        From a method's name to its class, or None where it is not installed.
    get_task : callable
        From a task's name to the task.
    """
    found = {}
    for path in rows:
        row = read_row(path)
        method = installed_method(row.method)
        if method is None:
            found[path] = f"{row.method} is not installed; give it with --method"
        elif method.version != row.method_version:
            found[path] = (
                f"of version {row.method_version} of {row.method}, but {method.version} is "
                "installed; check out the row's commit"
            )
        elif row.scale != "own" and get_task(row.task).version != row.task_version:
            found[path] = (
                f"of version {row.task_version} of {row.task}, but {get_task(row.task).version} is "
                "installed; check out the row's commit"
            )
    return found


def states(rows: Sequence[Path], runs: Path) -> dict[Path, Path]:
    """Return for each row the folder of a run whose state it holds the digest of.

    Parameters
    ----------
    rows : sequence of pathlib.Path
    runs : pathlib.Path
        Folder that holds folders of runs, at any depth.
    """
    folders: dict[str, Path] = {}
    for file in sorted(runs.rglob(ROW_OF_RUN)):
        try:
            digest = read_row(file).state_sha256
        except RowError:
            continue
        if digest is not None:
            folders.setdefault(digest, file.parent)
    digests = {row: read_row(row).state_sha256 for row in rows}
    return {row: folders[digest] for row, digest in digests.items() if digest in folders}


def run_each(commands: Mapping[Path, Sequence[str]], jobs: int) -> Iterator[tuple[Path, int, str]]:
    """Run ``starbench leaderboard`` with the arguments of each row; yield what came of it.

    Parameters
    ----------
    commands : mapping of pathlib.Path to sequence of str
    jobs : int
        Number of processes at once.

    Yields
    ------
    row : pathlib.Path
    code : int
        Exit code.
    said : str
        The last line that it wrote: why it failed, or what it found.
    """

    def run(arguments: Sequence[str]) -> tuple[int, str]:
        ended = subprocess.run(
            [sys.executable, "-m", "starbench", "leaderboard", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        return ended.returncode, (ended.stdout.strip() or "no message").splitlines()[-1]

    with ThreadPoolExecutor(jobs) as pool:
        started = {pool.submit(run, each): row for row, each in commands.items()}
        try:
            for done in as_completed(started):
                yield started[done], *done.result()
        finally:
            pool.shutdown(wait=True, cancel_futures=True)
