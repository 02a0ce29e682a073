"""Recovery metrics: estimates from the twin ranks of `starbench.metrics.ranking`.

n = 2 n_pairs is the number of stars. "Within p %" means a rank of at most max(1, floor(p n / 100)),
so for very few stars only the nearest; hence doppelganger_free <= doppelganger_0.1 <=
doppelganger_1. With a single pair there are no strangers and every rank is 1.
"""

import numpy as np

from starbench.metrics.bootstrap import estimate, resample_pairs, resampled_medians, resampled_sums
from starbench.metrics.definitions import METRICS, Estimate
from starbench.metrics.ranking import TwinRanks

# In whole numbers, whose products are exact.
PER_MILLE = {"doppelganger_free": 0, "doppelganger_0.1": 1, "doppelganger_1": 10}


def within(rank: np.ndarray, per_mille: int) -> np.ndarray:
    """Return for each star whether its twin ranks within the nearest few per mille of the stars.

    Parameters
    ----------
    rank : numpy.ndarray [n_pairs, 2], int64
    per_mille : int

    Returns
    -------
    numpy.ndarray [n_pairs, 2], bool
    """
    return rank <= max(1, per_mille * rank.size // 1000)


def normalised_rank(rank: np.ndarray) -> np.ndarray:
    """Return (rank - 1) / (2 n_pairs - 2) [n_pairs, 2]: 0 for the nearest, 1 for the last.

    0 for a single pair, which has no strangers.
    """
    return (rank - 1) / max(1, rank.size - 2)


def recovery_estimates(
    ranks: TwinRanks, *, counts: np.ndarray | None = None
) -> dict[str, Estimate]:
    """Compute all estimates of twin recovery.

    Parameters
    ----------
    ranks : TwinRanks
    counts : numpy.ndarray [n_resamples, n_pairs], int16, optional
        Bootstrap resamples, by default those of `resample_pairs`.

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
    if counts is None:
        counts = resample_pairs(n_pairs)
    stars = {
        **{name: within(rank, per_mille) for name, per_mille in PER_MILLE.items()},
        "mean_reciprocal_rank": 1 / rank,
        "tied_share": tied > 0,
    }
    columns = np.stack([values.mean(axis=1) for values in stars.values()], axis=1)
    means = resampled_sums(counts, columns) / n_pairs
    values = {name: (float(columns[:, i].mean()), means[:, i]) for i, name in enumerate(stars)}
    normalised = normalised_rank(rank)
    values["median_normalised_rank"] = (
        float(np.median(normalised)),
        resampled_medians(counts, normalised),
    )
    estimates = {}
    for name in (name for name in METRICS if name in values):
        estimates[name] = estimate(METRICS[name], *values[name])
    return estimates
