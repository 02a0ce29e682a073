"""The data of the site's figures, computed from arrays of ranks and labels."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from starbench.leaderboard.statistics.resampling import (
    Floats,
    OfSeeds,
    resample_all,
    share_interval,
)
from starbench.metrics.bootstrap import group_means, pair_means
from starbench.results.ranks import Ranks

RANKS = (1, 3, 10, 25, 100, 250, 1000, 5000)
"""The ranks k of a curve; 1, 25 and 250 give the leaderboard's three shares at full scale."""

SHIFT_EDGES = (0, 100, 200, 300, 400, 500, 600, 700, 800, 1000)
"""|dTeff| of a pair [K]; shifts above 900 K are 1 % of the pairs, too few for a bin."""

PLANE_BINS = (8, 6)


@dataclass(frozen=True, eq=False)
class Curve:
    """The share of stars whose twin has a rank of at most k.

    Attributes
    ----------
    k : numpy.ndarray [n], int64
    share, low, high : numpy.ndarray [n]
        Mean over seeds, and the ends of its 95 % interval over seeds and pairs.
    """

    k: npt.NDArray[np.int64]
    share: Floats
    low: Floats
    high: Floats


def recovery_curve(ranks: OfSeeds) -> Curve:
    """Return the curve of a method, see `starbench.leaderboard.statistics.resampling`."""
    first = ranks[0]
    n_stars = first.size if isinstance(first, np.ndarray) else first.n_stars or 0
    k = np.array([rank for rank in RANKS if rank < n_stars])
    resampled = resample_all([np.stack([_within(each, rank) for each in ranks]) for rank in k])
    low, high = np.transpose([share_interval(each) for each in resampled])
    return Curve(k, np.array([each.share for each in resampled]), low, high)


def _within(ranks: npt.NDArray[np.int64] | Ranks, k: int) -> Floats:
    """Return for each pair, or group of a survey, the share of its stars with a rank up to k."""
    if isinstance(ranks, np.ndarray):
        return pair_means(ranks <= k)
    if ranks.group is None:
        return _within(ranks.rank, k)
    return group_means(ranks.rank <= k, ranks.group)


def nearest(ranks: OfSeeds) -> Floats:
    """Return for each star the share of seeds that found its twin nearest [n_pairs, 2].

    In a survey [n_ordered], for each ordered pair of siblings.
    """
    arrays = [each if isinstance(each, np.ndarray) else each.rank for each in ranks]
    share: Floats = np.mean([rank == 1 for rank in arrays], axis=0)
    return share


def by_shift(found: Floats, teff: np.ndarray) -> Floats:
    """Return the mean of `found` in each bin of |dTeff|; NaN in bins without pairs.

    Parameters
    ----------
    found : numpy.ndarray [n_pairs, 2], float64
    teff : numpy.ndarray [n_pairs, 2]
    """
    shift = np.abs(teff[:, 0] - teff[:, 1])
    return _binned(pair_means(found), np.digitize(shift, SHIFT_EDGES[1:-1]), len(SHIFT_EDGES) - 1)


def over_plane(found: Floats, nuisance: np.ndarray) -> tuple[Floats, Floats, Floats]:
    """Return the mean of `found` in the cells of the plane of two nuisances.

    Parameters
    ----------
    found : numpy.ndarray [n_pairs, 2], float64
    nuisance : numpy.ndarray [n_pairs, 2, 2]

    Returns
    -------
    first, second : numpy.ndarray
        Edges of the cells.
    mean : numpy.ndarray [n_second, n_first]
        NaN in cells without stars.
    """
    first, second = (
        np.linspace(nuisance[..., axis].min(), nuisance[..., axis].max(), bins + 1)
        for axis, bins in enumerate(PLANE_BINS)
    )
    column = np.digitize(nuisance[..., 0], first[1:-1])
    row = np.digitize(nuisance[..., 1], second[1:-1])
    cell = row * PLANE_BINS[0] + column
    mean = _binned(found.ravel(), cell.ravel(), PLANE_BINS[0] * PLANE_BINS[1])
    return first, second, mean.reshape(PLANE_BINS[::-1])


def _binned(values: Floats, place: npt.NDArray[np.int64], n: int) -> Floats:
    counts = np.bincount(place, minlength=n)
    sums = np.bincount(place, weights=values, minlength=n)
    mean: Floats = np.divide(sums, counts, out=np.full(n, np.nan), where=counts > 0)
    return mean
