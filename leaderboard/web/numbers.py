"""What the figures of the site show, from ranks and labels: arrays in, numbers out."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from starbench.leaderboard.statistics.compare import resample_all, share_interval

RANKS = (1, 3, 10, 25, 100, 250, 1000, 5000)
"""The ranks k of a curve; 1, 25 and 250 are the three shares of the leaderboard at full scale."""

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
        Mean over the seeds, and the ends of its 95 % interval over pairs and seeds.
    """

    k: np.ndarray
    share: np.ndarray
    low: np.ndarray
    high: np.ndarray


def recovery_curve(ranks: Sequence[np.ndarray]) -> Curve:
    """Sum up the ranks of a method's seeds, with the two-level bootstrap of `leaderboard.compare`.

    Parameters
    ----------
    ranks : sequence of numpy.ndarray [n_pairs, 2]
        One array a seed.
    """
    of_seeds = np.stack(ranks)
    k = np.array([rank for rank in RANKS if rank < of_seeds[0].size])
    resampled = resample_all([(of_seeds <= rank).mean(axis=2) for rank in k])
    low, high = np.transpose([share_interval(each) for each in resampled])
    return Curve(k, np.array([each.share for each in resampled]), low, high)


def nearest(ranks: Sequence[np.ndarray]) -> np.ndarray:
    """Return the share of seeds that found each star's twin nearest [n_pairs, 2]."""
    return np.mean([rank == 1 for rank in ranks], axis=0)


def by_shift(found: np.ndarray, teff: np.ndarray) -> np.ndarray:
    """Return the mean of `found` [n_pairs, 2] in each bin of |dTeff|; NaN where there is no pair.

    Parameters
    ----------
    found : numpy.ndarray [n_pairs, 2]
    teff : numpy.ndarray [n_pairs, 2]
    """
    shift = np.abs(teff[:, 0] - teff[:, 1])
    return _binned(found.mean(axis=1), np.digitize(shift, SHIFT_EDGES[1:-1]), len(SHIFT_EDGES) - 1)


def over_plane(
    found: np.ndarray, nuisance: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the mean of `found` [n_pairs, 2] in the cells of the plane of two nuisances.

    Parameters
    ----------
    found : numpy.ndarray [n_pairs, 2]
    nuisance : numpy.ndarray [n_pairs, 2, 2]

    Returns
    -------
    first, second : numpy.ndarray
        Edges of the cells.
    mean : numpy.ndarray [n_second, n_first]
        NaN where there is no star.
    """
    edges, places = [], []
    for axis, bins in enumerate(PLANE_BINS):
        values = nuisance[..., axis]
        edges.append(np.linspace(values.min(), values.max(), bins + 1))
        places.append(np.digitize(values, edges[-1][1:-1]))
    cell = places[1] * PLANE_BINS[0] + places[0]
    mean = _binned(found.ravel(), cell.ravel(), PLANE_BINS[0] * PLANE_BINS[1])
    return *edges, mean.reshape(PLANE_BINS[::-1])


def _binned(values: np.ndarray, place: np.ndarray, n: int) -> np.ndarray:
    counts = np.bincount(place, minlength=n)
    sums = np.bincount(place, weights=values, minlength=n)
    return np.divide(sums, counts, out=np.full(n, np.nan), where=counts > 0)
