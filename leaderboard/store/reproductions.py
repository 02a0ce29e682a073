"""Reproductions: what a second run of a row's settings gave, kept beside the row."""

import dataclasses
import json
import math
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import model_validator

from starbench.leaderboard.store.names import record_beside
from starbench.leaderboard.store.rank_changes import LARGEST_EXCESS
from starbench.leaderboard.store.records import Record, read_record, row_digest
from starbench.leaderboard.store.reproduce import Reproduction, differing_conditions
from starbench.results.fields import Count, Label, Number, Sha256
from starbench.results.ranks import Ranks
from starbench.results.schema import Row, parse_part
from starbench.results.schema import write_row as write_part
from starbench.results.text import RowError, printable, shorten

KIND = "reproduction"
_ROUNDING = 1e-9


class ReproductionRecord(Record):
    """The outcome of a reproduction.

    Attributes
    ----------
    stars, differing, only_row, only_again, excess
        As in `starbench.leaderboard.store.rank_changes.RankChanges`.
    ranks_sha256 : str
        Of the repeated run.
    fault : str or None
        Why the row is not reproduced; None if it is.
    """

    schema_version: Literal[1] = 1
    stars: Count
    differing: Count
    only_row: Count
    only_again: Count
    excess: Number
    ranks_sha256: Sha256
    fault: Label | None = None

    @model_validator(mode="after")
    def _possible(self) -> "ReproductionRecord":
        if self.only_row + self.only_again > self.differing or self.differing > self.stars:
            raise ValueError("should have only_row + only_again <= differing <= stars")
        return self


def write_reproduction(
    path: Path, again: Row, reproduction: Reproduction, *, by: str | None = None
) -> Path:
    """Write the outcome of a reproduction beside its row, and return the file.

    Parameters
    ----------
    path : pathlib.Path
        The row's file.
    again : Row
        Of the repeated run.
    reproduction : Reproduction
    by : str, optional
        Who repeated it.
    """
    content = {
        **again.model_dump(
            include={
                "starbench_version", "commit", "dirty", "libraries", "environment_sha256",
                "hardware", "ranks_sha256",
            }
        ),
        **dataclasses.asdict(reproduction.ranks),
        "row_sha256": row_digest(path),
        "made_at": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "by": by,
        "conditions": [shorten(printable(each), 290) for each in reproduction.conditions],
        "fault": reproduction.fault,
    }  # fmt: skip
    target = record_beside(path, KIND)
    record = parse_part(ReproductionRecord, json.dumps(content), printable(target), KIND)
    write_part(record, target)
    return target


def read_reproduction(path: Path) -> ReproductionRecord | None:
    """Read the reproduction of a row; None if there is none.

    Raises
    ------
    RowError
        With one sentence that names the file and what is wrong.
    """
    return read_record(ReproductionRecord, path, KIND)


def check_reproduction(path: Path, row: Row, ranks: Ranks | None) -> None:
    """Refuse a reproduction that is not of this row, or that `reproduce` could not have written.

    Parameters
    ----------
    path : pathlib.Path
        The row's file.
    row : Row
    ranks : Ranks or None
        The row's.

    Raises
    ------
    RowError
    """
    record = read_reproduction(path)
    if record is None:
        return
    name = printable(record_beside(path, KIND))
    if row.predictions_sha256 is not None or ranks is None:
        what = "of predictions, which nobody can run again" if ranks else f"of status {row.status}"
        raise RowError(f"{name}: the row is {what}; remove the record")
    if record.row_sha256 != row_digest(path):
        raise RowError(
            f"{name}: field `row_sha256` is not that of the row; reproduce the row again"
        )
    if record.conditions and not differing_conditions(row, record):
        raise RowError(
            f"{name}: field `conditions` says that something differs from the row's run, but "
            "`hardware` and `libraries` are the row's; reproduce the row again"
        )
    if (record.ranks_sha256 == row.ranks_sha256) != (record.differing == 0):
        raise RowError(
            f"{name}: field `differing` is {record.differing}, which `ranks_sha256` and that of "
            "the row contradict; reproduce the row again"
        )
    _require_possible(record, ranks, name)
    differ = record.differing > 0 and not record.conditions
    if record.fault is None and (differ or record.excess > LARGEST_EXCESS):
        raise RowError(
            f"{name}: field `fault` is null, but ranks differ by more than a reproduced row's may; "
            "reproduce the row again"
        )


def _require_possible(record: ReproductionRecord, ranks: Ranks, name: str) -> None:
    """Refuse numbers that no second run of stars with these ranks can give."""
    stars, nearest = ranks.rank.size, int(np.count_nonzero(ranks.rank == 1))
    for field, stated, most in (
        ("stars", record.stars, stars),
        ("only_row", record.only_row, nearest),
        ("only_again", record.only_again, stars - nearest),
    ):
        if stated > most or (field == "stars" and stated != most):
            raise RowError(
                f"{name}: field `{field}` is {stated:,}, but the row has ranks of {stars:,} stars, "
                f"{nearest:,} of them 1; reproduce the row again"
            )
    low, high = _possible_excess(record, of_pairs=ranks.group is None)
    if not low - _ROUNDING <= record.excess <= high + _ROUNDING:
        raise RowError(
            f"{name}: field `excess` is {record.excess:.6g}, but where `differing` is "
            f"{record.differing:,}, `only_row` {record.only_row:,} and `only_again` "
            f"{record.only_again:,} it lies between {low:z.6g} and {high:.6g}; reproduce the row "
            "again"
        )


def _possible_excess(record: ReproductionRecord, *, of_pairs: bool) -> tuple[float, float]:
    """Return the least and the largest excess of so many changes.

    The sum of n changes is at most sqrt(n) times the root of the sum of their squares. The excess
    is at least that of the share of nearest twins, whose changes, one or two of a pair, are
    counted: the squares sum to at most twice their number, and at least to their sum.
    """
    most = math.sqrt(record.differing)
    if not of_pairs:  # means over groups of unknown sizes
        return -most, most
    more, changes = record.only_row - record.only_again, record.only_row + record.only_again
    return (more / math.sqrt(2 * changes) if more > 0 else -math.sqrt(-more)), most
