"""Stars of clusters in a field: how the stars of a survey's split are grouped.

A cluster of n members is followed by `FIELD_STARS` stars of the field, and so on. The number of
members follows

    P(n) = c / n,    n = 2, ..., 20,

with a mean of 7.3, as the 914 members that APOGEE has observed in 128 open clusters are 7.1 each
(Donor et al. 2020, AJ 159, 199), and 185 stars in 22 clusters were left by the cuts of de Mijolla
and Ness (2022, ApJ 926, 193). The sizes are not drawn: that of cluster k is the quantile of P at
the fractional part of (k + 1) / 1.618..., so that any range of clusters has all sizes in their
proportions, and a longer split begins with a shorter one.
"""

import numpy as np
import numpy.typing as npt

SMALLEST, LARGEST = 2, 20
FIELD_STARS = 20  # after each cluster

_GOLDEN = 2_654_435_769  # 2^32 / 1.618..., for exact arithmetic

Numbers = npt.NDArray[np.int64]


def cluster_sizes(n: int) -> Numbers:
    """Return the numbers of members of the first n clusters.

    Examples
    --------
    >>> cluster_sizes(8).tolist()
    [8, 3, 14, 5, 2, 10, 4, 18]
    """
    members = np.arange(SMALLEST, LARGEST + 1)
    cumulative = np.cumsum(1 / members)
    quantile = (np.arange(1, n + 1) * _GOLDEN % 2**32 + 0.5) / 2**32
    sizes: Numbers = members[np.searchsorted(cumulative / cumulative[-1], quantile)]
    return sizes


def first_stars(n: int) -> Numbers:
    """Return the first star of each of the first n clusters, and of the one after them."""
    starts: Numbers = np.concatenate([[0], np.cumsum(cluster_sizes(n) + FIELD_STARS)])
    return starts


def n_stars(n_clusters: int) -> int:
    """Return the number of stars of a split with some clusters, those of the field included."""
    return int(first_stars(n_clusters)[-1])


def groups(start: int, stop: int) -> Numbers:
    """Return the sibling group of a range of stars: the number of its first star.

    Parameters
    ----------
    start, stop : int
        Range of stars.

    Examples
    --------
    >>> groups(6, 11).tolist()  # the last two members of a cluster of eight, and the field
    [0, 0, 8, 9, 10]
    """
    n_clusters = stop // (SMALLEST + FIELD_STARS) + 1
    starts, sizes = first_stars(n_clusters)[:-1], cluster_sizes(n_clusters)
    stars = np.arange(start, stop)
    cluster = np.searchsorted(starts, stars, side="right") - 1
    member = stars - starts[cluster] < sizes[cluster]
    group: Numbers = np.where(member, starts[cluster], stars)
    return group
