"""Levels of rows: how far each has been checked.

==============  ===================================================================
level           what was done
==============  ===================================================================
``submitted``   the file was checked by itself
``reproduced``  `starbench leaderboard reproduce` ran the settings again, and agreed
``confirmed``   the fixed state gave the row's figures on stars nobody had seen
==============  ===================================================================

Records that say so lie beside the row. `starbench leaderboard verify` checks them in full; here
they must only be of the row.
"""

from typing import Literal

from starbench.leaderboard.store.board import Entry
from starbench.leaderboard.store.confirmations import read_confirmation
from starbench.leaderboard.store.records import row_digest
from starbench.leaderboard.store.reproductions import read_reproduction
from starbench.methods.registry import BUILT_IN
from starbench.results.schema import Row

Level = Literal["submitted", "reproduced", "confirmed"]


def level_of(entry: Entry) -> Level:
    """Return the level of a row.

    Raises
    ------
    RowError
        If a record beside the row cannot be read.
    """
    if unnamed(entry.row) is not None:
        return "submitted"
    confirmation, reproduction = read_confirmation(entry.path), read_reproduction(entry.path)
    if confirmation is None and reproduction is None:
        return "submitted"
    digest = row_digest(entry.path)
    if confirmation and confirmation.confirmed and confirmation.row_sha256 == digest:
        return "confirmed"
    if reproduction and reproduction.fault is None and reproduction.row_sha256 == digest:
        return "reproduced"
    return "submitted"


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


def unranked(entry: Entry) -> str | None:
    """Return why a row has no rank of its own, None if it may have one."""
    reason = unnamed(entry.row)
    if reason is None and entry.row.predictions_sha256 and level_of(entry) == "submitted":
        return "it holds predictions alone"
    return reason
