"""The rank of every sibling of a star among strangers, by L1 distance in the latent space.

Stars of one composition are siblings and form a group: twins, members of a cluster, repeated visits
of one star. A group may have one member, a star of the field, or many. For each ordered pair of
siblings, a star q and its sibling s, the rank of s is

    1 + number of strangers closer to q than s is + number of strangers exactly as far,

where strangers are all stars of other groups, those of the field included. Other siblings of q are
no strangers: they neither help nor harm. With q in a group of m among n stars a rank lies between 1
and n - m + 1. Distances, ties and latents that are not finite are treated as in
`starbench.metrics.ranking`, whose ranks are those of groups of two, bit for bit.

Figures over ordered pairs are means over the pairs of a group, then over groups of two or more, so
that groups weigh alike whatever their size. The bootstrap resamples groups.
"""

from dataclasses import dataclass

import numpy as np

from starbench.common.arrays import real_numbers
from starbench.common.threads import default_threads
from starbench.metrics.ranking import Counting, finite_rows

_BLOCK = 1 << 20  # distances at a time


@dataclass(frozen=True)
class SiblingRanks:
    """The rank of every sibling, from which the recovery metrics of a survey follow.

    Attributes
    ----------
    rank : numpy.ndarray [n_ordered], int64
        Of each ordered pair of siblings, in the order of `ordered_pairs`.
    tied : numpy.ndarray [n_ordered], int64
        Number of strangers exactly as far as the sibling; `rank` counts them too.
    group : numpy.ndarray [n_ordered], int64
        Group of each ordered pair: 0, 1, ... of those that have two members or more.
    n_stars : int
        Number of all stars, those of the field included.
    """

    rank: np.ndarray
    tied: np.ndarray
    group: np.ndarray
    n_stars: int

    @property
    def n_groups(self) -> int:
        """Number of groups of two or more."""
        return int(self.group.max()) + 1

    @property
    def n_strangers(self) -> np.ndarray:
        """Number of strangers [n_ordered] among which each sibling is ranked."""
        n_ordered = np.bincount(self.group)
        n_members = (1 + np.sqrt(1 + 4 * n_ordered)) // 2  # m (m - 1) ordered pairs of m
        strangers: np.ndarray = (self.n_stars - n_members.astype(np.int64))[self.group]
        return strangers


@dataclass(frozen=True)
class OrderedPairs:
    """The ordered pairs of siblings of a set of stars, by star and then by sibling.

    Attributes
    ----------
    query, sibling : numpy.ndarray [n_ordered], int64
        Numbers of the two stars.
    group : numpy.ndarray [n_ordered], int64
        As in `SiblingRanks`, in rising order of the groups' labels.
    """

    query: np.ndarray
    sibling: np.ndarray
    group: np.ndarray

    def __len__(self) -> int:
        """Return the number of ordered pairs."""
        return len(self.query)


def ordered_pairs(group: np.ndarray) -> OrderedPairs:
    """Return the ordered pairs of siblings.

    Parameters
    ----------
    group : numpy.ndarray [n_stars], integers
        Equal for siblings.

    Examples
    --------
    >>> pairs = ordered_pairs(np.array([5, 2, 5, 9, 5]))
    >>> pairs.query.tolist(), pairs.sibling.tolist(), pairs.group.tolist()
    ([0, 0, 2, 2, 4, 4], [2, 4, 0, 4, 0, 2], [0, 0, 0, 0, 0, 0])
    """
    group = np.asarray(group)
    if group.ndim != 1 or group.dtype.kind not in "iu":
        raise ValueError(f"groups must be integers [n_stars], not {group.dtype} {group.shape}")
    _, label, size = np.unique(group, return_inverse=True, return_counts=True)
    number = np.cumsum(size > 1) - 1  # of the groups of two or more
    member = np.argsort(label, kind="stable")  # stars by group, in their order
    start = np.concatenate([[0], np.cumsum(size)])[:-1]
    # Each member with every member of its group, less itself.
    of_star = size[label]
    query = np.repeat(np.arange(len(group)), of_star)
    place = np.arange(len(query)) - np.repeat(np.cumsum(of_star) - of_star, of_star)
    sibling = member[np.repeat(start[label], of_star) + place]
    two = query != sibling
    query, sibling = query[two], sibling[two]
    return OrderedPairs(query, sibling, number[label[query]])


class SiblingRanking(Counting[SiblingRanks]):
    """A ranking of every sibling that can be stopped, stored and continued.

    The time is proportional to the number of stars with siblings, that of all stars and d.

    Parameters
    ----------
    latent : numpy.ndarray [n_stars, d], float32
        Other real types are rounded to float32 first.
    group : numpy.ndarray [n_stars], integers
        Equal for siblings.
    n_threads : int, optional
        By default that of the run, or one for each available core.

    Raises
    ------
    ValueError
        If the shapes do not match, an array is masked or not of real numbers, or no star has a
        sibling.
    """

    def __init__(
        self, latent: np.ndarray, group: np.ndarray, *, n_threads: int | None = None
    ) -> None:
        latent, group = real_numbers(latent, "latent"), real_numbers(group, "group")
        if latent.ndim != 2 or 0 in latent.shape or group.shape != latent.shape[:1]:
            raise ValueError(
                "latents must be shaped [n_stars, d] and groups [n_stars], with n_stars and d at "
                f"least 1, not {list(latent.shape)} and {list(group.shape)}"
            )
        self._pairs = pairs = ordered_pairs(group)
        if not len(pairs):
            raise ValueError("no star has a sibling: give at least one group of two stars")
        rows, self._broken = finite_rows(latent)
        distances = pair_distances(rows, pairs.query, pairs.sibling)
        queries, n_siblings = np.unique(pairs.query, return_counts=True)
        # Importing numba takes half a second, which only rankings need.
        from starbench.metrics._l1 import SiblingBands

        bands = SiblingBands(rows, queries, np.cumsum(n_siblings), distances)
        n_threads = default_threads() if n_threads is None else n_threads
        super().__init__(rows, bands, len(pairs), n_threads)

    def _ranks(self, closer: np.ndarray, within: np.ndarray) -> SiblingRanks:
        unranked = SiblingRanks(within, within, self._pairs.group, len(self._rows))
        # All stars are infinitely far from one that is not finite, hence tied.
        broken = self._broken[self._pairs.query]
        within[broken], closer[broken] = unranked.n_strangers[broken], 0
        return SiblingRanks(1 + within, within - closer, unranked.group, unranked.n_stars)


def sibling_ranks(
    latent: np.ndarray, group: np.ndarray, *, n_threads: int | None = None
) -> SiblingRanks:
    """Rank every sibling of every star among strangers by L1 distance, exactly.

    Parameters
    ----------
    latent, group, n_threads
        See `SiblingRanking`.

    Examples
    --------
    A group of three at 0, 1 and 4, and stars of the field at 2 and 9. From the star at 0 the
    stranger at 2 is nearer than its sibling at 4; from that at 1 it is as near as the sibling at 0.

    >>> latent = np.array([[0.0], [1.0], [4.0], [2.0], [9.0]], np.float32)
    >>> ranks = sibling_ranks(latent, np.array([7, 7, 7, 1, 2]))
    >>> ranks.rank.tolist(), ranks.tied.tolist()
    ([1, 2, 2, 2, 2, 2], [0, 0, 1, 0, 0, 0])
    """
    ranking = SiblingRanking(latent, group, n_threads=n_threads)
    ranking.advance()
    return ranking.ranks()


def pair_distances(rows: np.ndarray, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Return the L1 distance [n] between some rows and others, in float32.

    Its terms are added as in the kernels, so that the bits agree.

    Parameters
    ----------
    rows : numpy.ndarray [n_stars, d], float32
    first, second : numpy.ndarray [n], int64
    """
    distance = np.zeros(len(first), np.float32)
    with np.errstate(over="ignore", invalid="ignore"):
        for start in range(0, len(first), _BLOCK):
            part = slice(start, start + _BLOCK)
            for column in rows.T:
                distance[part] += np.abs(column[first[part]] - column[second[part]])
    return distance
