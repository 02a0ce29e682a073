"""Recovery metrics: estimates from the ranks of twins, or of siblings in a survey.

n is the number of stars, 2 n_pairs for pairs. "Within p %" means a rank of at most
max(1, floor(p n / 100)), so for very few stars only the nearest; hence doppelganger_free <=
doppelganger_0.1 <= doppelganger_1. With a single pair there are no strangers and every rank is 1.

In a survey a share is the mean over groups of the share of a group's ordered pairs, and the median
is that of ordered pairs whose weights make groups weigh alike; see `starbench.metrics.siblings`.
Groups of two give the figures of pairs, bit for bit.
"""

import numpy as np

from starbench.metrics.bootstrap import (
    estimate,
    group_means,
    pair_means,
    resample_pairs,
    resampled_medians,
    resampled_sums,
    weighted_medians,
)
from starbench.metrics.definitions import METRICS, Estimate
from starbench.metrics.ranking import TwinRanks
from starbench.metrics.siblings import SiblingRanks

# In whole numbers, whose products are exact.
PER_MILLE = {"doppelganger_free": 0, "doppelganger_0.1": 1, "doppelganger_1": 10}
_MEANS = (*PER_MILLE, "mean_reciprocal_rank", "tied_share")  # means over groups, then over these
_MEDIAN = "median_normalised_rank"


def threshold(per_mille: int, n_stars: int) -> int:
    """Return the largest rank within the nearest few per mille of the stars.

    Examples
    --------
    >>> threshold(10, 25_000), threshold(0, 25_000)
    (250, 1)
    """
    return max(1, per_mille * n_stars // 1000)


def within(rank: np.ndarray, per_mille: int, n_stars: int | None = None) -> np.ndarray:
    """Return for each star whether its twin ranks within the nearest few per mille of the stars.

    Parameters
    ----------
    rank : numpy.ndarray [n_pairs, 2] or [n_ordered], int64
    per_mille : int
    n_stars : int, optional
        By default that of pairs.

    Returns
    -------
    numpy.ndarray of the shape of `rank`, bool
    """
    return rank <= threshold(per_mille, rank.size if n_stars is None else n_stars)


def normalised_rank(rank: np.ndarray) -> np.ndarray:
    """Return (rank - 1) / (2 n_pairs - 2) [n_pairs, 2]: 0 for the nearest, 1 for the last.

    0 for a single pair, which has no strangers.
    """
    return (rank - 1) / max(1, rank.size - 2)


def recovery_estimates(
    ranks: TwinRanks | SiblingRanks, *, counts: np.ndarray | None = None
) -> dict[str, Estimate]:
    """Compute all estimates of twin recovery.

    Parameters
    ----------
    ranks : TwinRanks or SiblingRanks
    counts : numpy.ndarray [n_resamples, n_groups], int16, optional
        Bootstrap resamples of the pairs, or of the groups of two or more; by default those of
        `resample_pairs`.

    Returns
    -------
    dict of str to Estimate
        ``doppelganger_free``, ``doppelganger_0.1``, ``doppelganger_1``, ``median_normalised_rank``,
        ``mean_reciprocal_rank``, ``tied_share``.

    Raises
    ------
    ValueError
        If they cannot be ranks of that many pairs.

    Examples
    --------
    >>> ranks = TwinRanks(rank=np.array([[1, 2], [1, 3]]), tied=np.array([[0, 1], [0, 0]]))
    >>> for name, estimate in recovery_estimates(ranks).items():
    ...     print(f"{name:22} {estimate.value:.3f}")
    doppelganger_free      0.500
    doppelganger_0.1       0.500
    doppelganger_1         0.500
    median_normalised_rank 0.250
    mean_reciprocal_rank   0.708
    tied_share             0.250
    """
    columns, normalised = _measured(ranks)
    if counts is None:
        counts = resample_pairs(len(columns))
    if isinstance(ranks, SiblingRanks):
        medians = weighted_medians(counts, normalised, ranks.group)
    else:
        medians = resampled_medians(counts, normalised)
    means = resampled_sums(counts, columns) / len(columns)
    resampled = {_MEDIAN: medians, **dict(zip(_MEANS, means.T, strict=True))}
    return {
        name: estimate(METRICS[name], value, resampled[name])
        for name, value in _values(ranks, columns, normalised).items()
    }


def recovery_values(ranks: TwinRanks | SiblingRanks) -> dict[str, float]:
    """Return the values of `recovery_estimates`, without the resamples that intervals take.

    Raises
    ------
    ValueError
        If they cannot be ranks of that many pairs.

    Examples
    --------
    >>> ranks = TwinRanks(rank=np.array([[1, 2], [1, 3]]), tied=np.array([[0, 1], [0, 0]]))
    >>> recovery_values(ranks)["tied_share"]
    0.25
    """
    return _values(ranks, *_measured(ranks))


def _measured(ranks: TwinRanks | SiblingRanks) -> tuple[np.ndarray, np.ndarray]:
    """Return the means that `_MEANS` names over each group [n_groups, 5], and normalised ranks."""
    rank, tied = np.asarray(ranks.rank), np.asarray(ranks.tied)
    if isinstance(ranks, SiblingRanks):
        n_stars, strangers = ranks.n_stars, ranks.n_strangers
        if ((rank < 1) | (rank > 1 + strangers) | (tied < 0) | (tied >= rank)).any():
            raise ValueError(
                "ranks of siblings must lie between 1 and one more than the number of strangers, "
                "and be greater than the number of tied strangers"
            )
        normalised = (rank - 1) / np.maximum(1, strangers)
    else:
        _require_ranks(rank, tied)
        n_stars, normalised = rank.size, normalised_rank(rank)
    of_stars = [within(rank, per_mille, n_stars) for per_mille in PER_MILLE.values()]
    of_stars += [1 / rank, tied > 0]
    if isinstance(ranks, SiblingRanks):
        means = [group_means(values, ranks.group) for values in of_stars]
    else:
        means = [pair_means(values) for values in of_stars]
    return np.stack(means, axis=1), normalised


def _values(
    ranks: TwinRanks | SiblingRanks, columns: np.ndarray, normalised: np.ndarray
) -> dict[str, float]:
    """Return the values of all metrics, in the order of their definitions."""
    if isinstance(ranks, SiblingRanks):
        once = np.ones((1, len(columns)), np.int16)
        median = float(weighted_medians(once, normalised, ranks.group)[0])
    else:
        median = float(np.median(normalised))
    values = {name: float(columns[:, i].mean()) for i, name in enumerate(_MEANS)}
    values[_MEDIAN] = median
    return {name: values[name] for name in METRICS if name in values}


def _require_ranks(rank: np.ndarray, tied: np.ndarray) -> None:
    """Check that numbers can be ranks of twins."""
    n_pairs = len(rank)
    if (
        rank.shape != (n_pairs, 2)
        or tied.shape != rank.shape
        or n_pairs == 0
        or (rank < 1).any()
        or (rank > 2 * n_pairs - 1).any()
        or (tied < 0).any()
        or (tied >= rank).any()
    ):
        raise ValueError(
            f"ranks of {n_pairs} pairs must lie between 1 and {2 * n_pairs - 1}, "
            "and be greater than the number of tied strangers"
        )
