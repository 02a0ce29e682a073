"""Confirming many rows: the fresh stars of a task are drawn once and shared by its rows.

To draw the stars takes several times as long as to score a state on them.
"""

import logging
from collections.abc import Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import NamedTuple

from starbench.common.checkpoint import CheckpointError
from starbench.common.plugins import in_one_line
from starbench.common.settings import SettingError
from starbench.leaderboard.store.board import ranks_beside
from starbench.leaderboard.store.confirm import Witness, confirm_state, read_subject
from starbench.leaderboard.store.reproduce import method_to_run
from starbench.leaderboard.store.task import task_of_rows
from starbench.results.schema import read_row
from starbench.results.text import RowError
from starbench.tasks.errors import DataError
from starbench.tasks.fresh import FreshTest

log = logging.getLogger(__name__)

# Errors whose text is a sentence that says what to change.
_USERS = (RowError, DataError, SettingError, CheckpointError, OSError)


@dataclass(frozen=True)
class Order:
    """How rows are to be confirmed; see `starbench.leaderboard.store.confirm.confirm_state`.

    Attributes
    ----------
    beacon : str
    witness : Witness
    method : str or None
        The rows' method as ``PATH.py:CLASS``, if it has no registered name.
    replace : bool
        Whether earlier confirmations are replaced.
    device : str or None
    threads : int or None
    cache : pathlib.Path or None
        Folder in which data sets are kept.
    """

    beacon: str
    witness: Witness
    method: str | None = None
    replace: bool = False
    device: str | None = None
    threads: int | None = None
    cache: Path | None = None


class Outcome(NamedTuple):
    """What came of a row.

    Attributes
    ----------
    row : pathlib.Path
    confirmed : bool
    said : str
        The difference of its share of nearest twins, or why it was not scored.
    """

    row: Path
    confirmed: bool
    said: str


def confirm_many(states: Mapping[Path, Path], order: Order, jobs: int = 1) -> Iterator[Outcome]:
    """Confirm rows, in one process for each task; yield what came of each.

    A row that cannot be scored stops no other.

    Parameters
    ----------
    states : mapping of pathlib.Path to pathlib.Path
        For each row the folder of a run whose state it is of.
    order : Order
    jobs : int
        Number of processes at once; with one, all is done in this process.
    """
    groups: dict[str, dict[Path, Path]] = {}
    for row, state in states.items():
        groups.setdefault(read_row(row).task, {})[row] = state
    if jobs == 1 or len(groups) < 2:
        for group in groups.values():
            yield from _confirm_group(group, order)
        return
    with ProcessPoolExecutor(min(jobs, len(groups)), mp_context=get_context("spawn")) as pool:
        started = {pool.submit(_outcomes, group, order): group for group in groups.values()}
        try:
            for done in as_completed(started):
                try:
                    yield from done.result()
                except BrokenProcessPool as error:  # such as one killed for its memory
                    yield from (Outcome(row, False, str(error)) for row in started[done])
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def _outcomes(states: Mapping[Path, Path], order: Order) -> list[Outcome]:
    return list(_confirm_group(states, order))


def _confirm_group(states: Mapping[Path, Path], order: Order) -> Iterator[Outcome]:
    """Confirm rows of one task with the same fresh stars."""
    fresh: FreshTest | None = None
    for path, state in states.items():
        try:
            subject = read_subject(path, ranks_beside(path), replace=order.replace)
            method = method_to_run(subject.row, order.method)
            if fresh is None:
                task = task_of_rows(subject.row.task, cache=order.cache)
                fresh = FreshTest(task, order.beacon, keep=True)
            made = confirm_state(
                subject, state, fresh, order.witness, method,
                device=order.device, threads=order.threads, quiet=True,
            )  # fmt: skip
        except _USERS as error:
            yield Outcome(path, False, str(error))
            continue
        except Exception as error:  # whatever stops one row, the others are confirmed
            log.exception("%s cannot be confirmed", path)
            yield Outcome(path, False, in_one_line(error))
            continue
        apart = made.differences["doppelganger_free"]
        low, high = 100 * apart.low, 100 * apart.high
        said = f"{100 * apart.value:+z.2f} points [{low:+z.2f}, {high:+z.2f}]"
        yield Outcome(path, made.confirmed, said)
