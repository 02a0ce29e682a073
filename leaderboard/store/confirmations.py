"""Confirmations: a fixed state of a method, scored on fresh stars, beside the row that it made.

The ranks of the fresh stars lie beside the confirmation, in ``<row>.ranks.h5``. Both files are
untrusted, like rows: all that can be computed again from the ranks of both sets is.

A row is confirmed where 0 lies in the 95 % interval of the difference of its share of nearest twins
from that of the fresh stars. The two sets of pairs are independent, and each is resampled alone. A
star without its twin spoils, in most cases, another star as well, which resampled pairs do not
show; as failures then come in twos, the deviation is at most sqrt(2) times as large, and the
interval is widened by that.
"""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from pydantic import AfterValidator, Field, model_validator

from starbench.leaderboard.store.checks import check_metrics, check_rank_values
from starbench.leaderboard.store.names import RANKS, beside, record_beside
from starbench.leaderboard.store.records import Record, read_record, row_digest
from starbench.metrics import SHARES, resample_pairs
from starbench.metrics.bootstrap import interval, resampled_sums, sign_test
from starbench.results.fields import Key, Label, Number, Sha256, TaskName
from starbench.results.ranks import Ranks, ranks_digest, read_ranks
from starbench.results.schema import Part, RecordedEstimate, Row, possible_metrics
from starbench.results.text import RowError, printable
from starbench.tasks.fresh import BEACON

KIND = "confirmation"
DECISIVE = "doppelganger_free"
_CLUSTERED = math.sqrt(2)
_FEW_PAIRS = 10  # with fewer that differ, a bootstrap interval is too narrow
_TAILS = 0.05
_ROUNDING = 1e-9
# Of honest confirmations on the leaderboard the most alike has 0.45 times as many equal ranks.
FEW_ALIKE = 10
_OFTEN = 4  # times as many as by chance
# Of an interval's width: how near 0 an end may lie where other resamples may decide otherwise.
_UNDECIDED = 0.02
_SEED_OF_FRESH = 1  # of the resamples, other than that of the row's


class Difference(Part):
    """The difference of a share on fresh stars from the row's.

    Attributes
    ----------
    value : float
        Fresh minus row.
    low, high : float
        95 % interval.
    """

    value: Number
    low: Number
    high: Number


class Confirmation(Record):
    """What a fixed state, or the latents of its owner, gave on fresh stars.

    Attributes
    ----------
    state_sha256 : str or None
        Of the state that encoded the fresh stars, as in `Row`; None for predictions.
    predictions_sha256, key_sha256 : str or None
        Of the file of latents, and of the key that maps them to stars; None for a state.
    task, task_version, scale
        As in `Row`.
    beacon : str
        The public value in the name of the fresh stars' streams.
    beacon_source : str
        What the value is and when it came to exist, in words.
    metrics : dict of str to RecordedEstimate
        On the fresh stars.
    differences : dict of str to Difference
        Of the shares.
    ranks_sha256 : str
    confirmed : bool
    """

    schema_version: Literal[1] = 1
    state_sha256: Sha256 | None = None
    predictions_sha256: Sha256 | None = None
    key_sha256: Sha256 | None = None
    task: TaskName
    task_version: Annotated[int, Field(ge=0)]
    scale: Literal["full", "mini", "tiny"]
    beacon: Label
    beacon_source: Label
    metrics: Annotated[
        dict[Key, RecordedEstimate], Field(max_length=400), AfterValidator(possible_metrics)
    ]
    differences: Annotated[dict[Key, Difference], Field(max_length=16)]
    ranks_sha256: Sha256
    confirmed: bool

    @model_validator(mode="after")
    def _consistent(self) -> "Confirmation":
        if set(self.differences) != set(SHARES) or not set(SHARES) <= set(self.metrics):
            raise ValueError(f"`metrics` and `differences` should hold {', '.join(SHARES)}")
        if (self.state_sha256 is None) == (self.predictions_sha256 is None):
            raise ValueError("should have either `state_sha256` or `predictions_sha256`")
        if (self.predictions_sha256 is None) != (self.key_sha256 is None):
            raise ValueError("should have `key_sha256` where it has `predictions_sha256`")
        if self.confirmed != is_confirmed(self.differences):
            raise ValueError(
                f"`confirmed` should say whether the interval of `differences.{DECISIVE}` holds 0"
            )
        return self


def is_confirmed(differences: Mapping[str, Difference]) -> bool:
    """Return whether the interval of the decisive difference holds 0."""
    return differences[DECISIVE].low <= 0 <= differences[DECISIVE].high


def differences(row: Ranks, fresh: Ranks) -> dict[str, Difference]:
    """Return the difference of each share with its 95 % interval.

    Parameters
    ----------
    row, fresh : Ranks
        Of the row's stars and of the fresh ones.
    """
    found = np.stack([row.found(name) for name in SHARES])
    of_fresh = np.stack([fresh.found(name) for name in SHARES])
    drawn = _resampled(of_fresh, _SEED_OF_FRESH) - _resampled(found, 0)
    return {
        name: _difference(*of_share)
        for name, *of_share in zip(SHARES, found, of_fresh, drawn, strict=True)
    }


def _difference(found: np.ndarray, fresh: np.ndarray, drawn: np.ndarray) -> Difference:
    value = float(fresh.mean() - found.mean())
    low, high = interval(drawn)
    low, high = (value + _CLUSTERED * (end - value) for end in (low, high))
    # Whole clusters of the two sets, as far as they differ from all or from none.
    usual = round(float((found.mean() + fresh.mean()) / 2))
    fewer, more = sorted(int((each != usual).sum()) // 2 for each in (found, fresh))
    if fewer + more < _FEW_PAIRS and sign_test(fewer, more) > _TAILS:
        low, high = min(low, 0.0), max(high, 0.0)
    return Difference(value=value, low=low, high=high)


def _layout(ranks: Ranks) -> tuple[int | None, list[int]]:
    """Return the number of a survey's stars and the sizes of its groups; empty for pairs."""
    sizes = [] if ranks.group is None else sorted(np.bincount(ranks.group).tolist())
    return ranks.n_stars, sizes


def _resampled(found: np.ndarray, seed: int) -> np.ndarray:
    """Return the means of found [n_shares, n_pairs] over resamples [n_shares, n_resamples]."""
    n_pairs = found.shape[1]
    means: np.ndarray = resampled_sums(resample_pairs(n_pairs, seed=seed), found.T).T / n_pairs
    return means


def confirmation_beside(row: Path) -> Path:
    """Return the path of a row's confirmation, on the leaderboard or in the folder of a run."""
    return record_beside(row, KIND)


def ranks_of(confirmation: Path) -> Path:
    """Return the path of the fresh ranks beside a confirmation."""
    return beside(confirmation, RANKS)


def read_confirmation(row: Path) -> Confirmation | None:
    """Read the confirmation of a row; None if there is none.

    Raises
    ------
    RowError
        With one sentence that names the file and what is wrong.
    """
    return read_record(Confirmation, row, KIND)


def check_confirmation(path: Path, row: Row, ranks: Ranks | None) -> Confirmation | None:
    """Compare the confirmation of a row with the row and with the ranks of both sets of stars.

    Parameters
    ----------
    path : pathlib.Path
        The row's file.
    row : Row
    ranks : Ranks or None
        The row's.

    Returns
    -------
    Confirmation or None
        None if the row has none.

    Raises
    ------
    RowError
        For the first field that does not fit.
    """
    confirmation = read_confirmation(path)
    if confirmation is None:
        return None
    file = confirmation_beside(path)
    name = printable(file)
    if ranks is None:
        raise RowError(f"{name}: the row's status is {row.status}, so nothing can confirm it")
    _require_same_run(confirmation, row, row_digest(path), name)
    fresh = read_ranks(ranks_of(file))
    _require_fresh(fresh, ranks, name)
    if not BEACON.fullmatch(confirmation.beacon):
        raise RowError(f"{name}: field `beacon` is no beacon that `confirm` takes; confirm again")
    check_beacon(confirmation.beacon, path, name)
    check_metrics(confirmation.metrics, name)
    for key in SHARES:
        if confirmation.metrics[key].version != row.metrics[key].version:
            raise RowError(
                f"{name}: field `metrics.{key}.version` is not that of the row; confirm the row "
                "again"
            )
    if ranks_digest(fresh.rank) != confirmation.ranks_sha256:
        raise RowError(
            f"{name}: field `ranks_sha256` is not the digest of the ranks beside it; restore both "
            "files as `confirm` wrote them"
        )
    check_rank_values(confirmation.metrics, fresh, name, intervals=True)
    _require_recomputed(confirmation, differences(ranks, fresh), name)
    return confirmation


def check_beacon(beacon: str, row: Path, name: str) -> None:
    """Refuse a value that the row's file holds, such as its commit: it existed before the row.

    Parameters
    ----------
    beacon : str
    row : pathlib.Path
        The row's file.
    name : str
        How errors refer to the row or the record.

    Raises
    ------
    RowError
    """
    if beacon.lower().encode() in row.read_bytes().lower():
        raise RowError(
            f"{name}: the beacon {printable(beacon)} is a value of the row itself, such as its "
            "commit, and existed before it; confirm the row with a later one"
        )


def _require_same_run(confirmation: Confirmation, row: Row, digest: str, name: str) -> None:
    """Refuse a confirmation of another row, or of another state or kind of run."""
    expected = {
        "row_sha256": digest,
        "task": row.task,
        "task_version": row.task_version,
        "scale": row.scale,
    }
    if row.predictions_sha256 is None:
        expected["state_sha256"] = row.state_sha256 or "missing"
    for field, value in expected.items():
        if getattr(confirmation, field) != value:
            raise RowError(
                f"{name}: field `{field}` is {getattr(confirmation, field)}, but that of the row "
                f"is {value}; confirm the row again"
            )
    if row.predictions_sha256 is not None and confirmation.predictions_sha256 is None:
        raise RowError(f"{name}: the row is of predictions, and a state cannot confirm it")


def _require_fresh(fresh: Ranks, ranks: Ranks, name: str) -> None:
    """Refuse ranks of stars of another number or other groups, and those of the row itself."""
    if fresh.rank.shape != ranks.rank.shape:
        raise RowError(
            f"{name}: the fresh ranks are of {len(fresh.rank):,} pairs, but those of the row of "
            f"{len(ranks.rank):,}; confirm the row again"
        )
    if _layout(fresh) != _layout(ranks):
        raise RowError(
            f"{name}: the fresh stars are in other groups than those of the row; confirm the row "
            "again"
        )
    # Where no stranger is closer, as of true compositions or a constant latent, all stars rank so.
    some_closer = (ranks.rank > 1 + ranks.tied).any()
    if some_closer and np.array_equal(fresh.rank, ranks.rank):
        raise RowError(f"{name}: the fresh ranks are those of the row; confirm the row again")
    same, by_chance = _alike(fresh, ranks)
    if same > FEW_ALIKE + _OFTEN * by_chance:
        raise RowError(
            f"{name}: the fresh ranks of {same:,} stars are those of the row, but chance gives "
            f"{by_chance:.0f}; confirm the row again"
        )


def _alike(fresh: Ranks, ranks: Ranks) -> tuple[int, float]:
    """Return of how many stars that lost their twin both ranks are equal, and how many by chance.

    A fresh star has nothing to do with the row's star of the same place.
    """
    lost = [each.rank > 1 + each.tied for each in (fresh, ranks)]
    same = np.count_nonzero((fresh.rank == ranks.rank) & lost[0] & lost[1])
    length = 1 + int(max(fresh.rank.max(), ranks.rank.max()))
    counts = [
        np.bincount(each.rank[of], minlength=length)
        for each, of in zip((fresh, ranks), lost, strict=True)
    ]
    return int(same), float(counts[0] @ counts[1]) / ranks.rank.size


def _require_recomputed(
    confirmation: Confirmation, recomputed: Mapping[str, Difference], name: str
) -> None:
    """Refuse a verdict or differences that do not follow from the ranks."""
    decisive = recomputed[DECISIVE]
    margin = min(abs(decisive.low), abs(decisive.high))
    if confirmation.confirmed != is_confirmed(recomputed) and (
        margin > _UNDECIDED * (decisive.high - decisive.low)
    ):
        raise RowError(
            f"{name}: field `confirmed` is {confirmation.confirmed}, which the ranks contradict; "
            "restore the file as `confirm` wrote it"
        )
    for key, again in recomputed.items():
        recorded = confirmation.differences[key]
        slack = 0.2 * (again.high - again.low)  # another NumPy may draw other resamples
        for field, allowed in (("value", 0.0), ("low", slack), ("high", slack)):
            stated, computed = getattr(recorded, field), getattr(again, field)
            if abs(stated - computed) > _ROUNDING + allowed:
                raise RowError(
                    f"{name}: field `differences.{key}.{field}` is {stated:.6g}, but the ranks "
                    f"give {computed:.6g}; restore the file as `confirm` wrote it"
                )
