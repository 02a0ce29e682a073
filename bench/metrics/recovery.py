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
    return rank <= max(1, per_mille * (rank.size if n_stars is None else n_stars) // 1000)


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
    rank, tied = np.asarray(ranks.rank), np.asarray(ranks.tied)
    if isinstance(ranks, SiblingRanks):
        n_groups, n_stars = ranks.n_groups, ranks.n_stars
        strangers = ranks.n_strangers
        if ((rank < 1) | (rank > 1 + strangers) | (tied < 0) | (tied >= rank)).any():
            raise ValueError(
                "ranks of siblings must lie between 1 and one more than the number of strangers, "
                "and be greater than the number of tied strangers"
            )
    else:
        _require_ranks(rank, tied)
        n_groups, n_stars = len(rank), rank.size
    if counts is None:
        counts = resample_pairs(n_groups)
    stars = {
        **{name: within(rank, per_mille, n_stars) for name, per_mille in PER_MILLE.items()},
        "mean_reciprocal_rank": 1 / rank,
        "tied_share": tied > 0,
    }
    if isinstance(ranks, SiblingRanks):
        normalised = (rank - 1) / np.maximum(1, strangers)
        means_of = [group_means(values, ranks.group) for values in stars.values()]
        once = np.ones((1, n_groups), np.int16)
        median = float(weighted_medians(once, normalised, ranks.group)[0])
        medians = weighted_medians(counts, normalised, ranks.group)
    else:
        normalised = normalised_rank(rank)
        means_of = [values.mean(axis=1) for values in stars.values()]
        median, medians = float(np.median(normalised)), resampled_medians(counts, normalised)
    columns = np.stack(means_of, axis=1)
    means = resampled_sums(counts, columns) / n_groups
    values = {name: (float(columns[:, i].mean()), means[:, i]) for i, name in enumerate(stars)}
    values["median_normalised_rank"] = median, medians
    estimates = {}
    for name in (name for name in METRICS if name in values):
        estimates[name] = estimate(METRICS[name], *values[name])
    return estimates


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
