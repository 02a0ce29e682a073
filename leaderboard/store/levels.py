"""Levels of rows: how far each has been checked.

==============  ===================================================================
level           what was done
==============  ===================================================================
``submitted``   the file was checked by itself
``reproduced``  `starbench leaderboard reproduce` ran the settings again, and agreed
``confirmed``   the fixed state gave the row's figures on stars nobody had seen
==============  ===================================================================

Records that say so lie beside the row. `starbench leaderboard verify` checks them in full; here
they must only be of the row. Submitted rows have no rank, nor has a line of a table with one of
them: its mean would rest on what nobody has checked.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Literal

from starbench.leaderboard.store.confirmations import read_confirmation
from starbench.leaderboard.store.records import row_digest
from starbench.leaderboard.store.reproductions import read_reproduction
from starbench.methods.registry import BUILT_IN
from starbench.results.schema import Row

Level = Literal["submitted", "reproduced", "confirmed"]
LEVELS: tuple[Level, ...] = ("submitted", "reproduced", "confirmed")


def level_of(row: Row, path: Path) -> Level:
    """Return the level of a row, from the records beside its file.

    Raises
    ------
    RowError
        If a record beside the row cannot be read.
    """
    if unnamed(row) is not None or row.status != "ok":
        return "submitted"
    confirmation, reproduction = read_confirmation(path), read_reproduction(path)
    if confirmation is None and reproduction is None:
        return "submitted"
    digest = row_digest(path)
    if confirmation and confirmation.confirmed and confirmation.row_sha256 == digest:
        return "confirmed"
    if row.predictions_sha256 is not None or reproduction is None:  # nobody can run predictions
        return "submitted"
    if reproduction.fault is None and reproduction.row_sha256 == digest:
        return "reproduced"
    return "submitted"


def lowest(levels: Iterable[Level]) -> Level:
    """Return the lowest of some levels; ``submitted`` for none.

    Examples
    --------
    >>> lowest(["confirmed", "reproduced"]), lowest([])
    ('reproduced', 'submitted')
    """
    return min(levels, key=LEVELS.index, default="submitted")


def unnamed(row: Row) -> str | None:
    """Return why nobody else can have the code behind a row, None if they can.

    Such a row stays ``submitted``, whatever was done with it.
    """
    if row.commit is None:
        return "its commit is unknown"
    if row.dirty:
        return "its commit had uncommitted changes"
    if row.predictions_sha256 is None and row.code is None and row.method not in BUILT_IN:
        return "its code is not named"
    return None


def unranked(row: Row, level: Level) -> str | None:
    """Return why a row of a level has no rank, None if it may have one."""
    if level != "submitted":
        return None
    if row.predictions_sha256 is not None:
        return unnamed(row) or "it holds predictions alone"
    return unnamed(row) or "nobody has run it again"
