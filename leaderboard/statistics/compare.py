"""Two methods on the same stars: how far apart they are, and how sure that is.

The share of a method is the mean, over its seeds and over the pairs, of the part of each pair's two
stars whose twin ranks low enough. The difference of two methods is drawn a thousand times on two
levels. Pairs are resampled, once for both methods, so that what makes a pair hard for both cancels.
Within a resample, the mean over all seeds there could be, not the few that were run, is drawn for
each method on its own as the share m' of

    logit(m') = logit(m) + s / (sqrt(n) m (1 - m)) * t,

with t of Student's distribution of n - 1 degrees of freedom, n seeds, their mean m and standard
deviation s: in log-odds, so that a share stays below 1 and near it is sure to a few hundredths
where it would be to points about a half. (Seeds drawn with replacement instead, as pairs are,
give a spread too small by (n - 1) / n, and of two to five of them much too few values: 50 to 85 %
of such intervals hold the truth. The difference of two such means: Behrens and Fisher; Box & Tiao
1973, Bayesian Inference in Statistical Analysis, section 2.5.) With a single seed the interval
holds the spread over pairs alone.

The interval of one method alone (`share_interval`) comes from the same two levels. Both need the
ranks of every star: a mean squared error, of which a row holds one number, has neither.

A bootstrap cannot imagine what it has not seen: where all pairs are found, or two methods differ on
five pairs of thousands, its interval is too narrow. There an exact binomial bound stands in.

What takes time, summing each method's pairs over the resamples, is done once for all methods of a
table (`resample_all`), so that they can be compared with each other (`pairwise`).
"""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from starbench.leaderboard.statistics.aggregate import Group, sections
from starbench.leaderboard.store.board import Entry, ranks_beside
from starbench.metrics import resample_pairs
from starbench.metrics.bootstrap import interval, resampled_sums
from starbench.metrics.recovery import PER_MILLE, within
from starbench.results.ranks import read_ranks
from starbench.results.text import RowError, printable

TAILS = 0.05  # what lies outside an interval
_HANDFUL = 10  # pairs; with more of them the bootstrap and the sign test agree


@dataclass(frozen=True)
class Comparison:
    """The difference of two methods' shares.

    Attributes
    ----------
    share_a, share_b : float
        Mean over seeds.
    difference : float
        Of the first less the second.
    low, high : float
        95 % interval of the difference.
    seeds_a, seeds_b : int
    """

    share_a: float
    share_b: float
    difference: float
    low: float
    high: float
    seeds_a: int
    seeds_b: int

    @property
    def separable(self) -> bool:
        """Whether the interval leaves out zero."""
        return self.low > 0 or self.high < 0


def found_stars(rank: np.ndarray, metric: str) -> np.ndarray:
    """Tell for each star [n_pairs, 2] whether its twin ranks low enough."""
    return within(rank, PER_MILLE[metric])


def found_share(rank: np.ndarray, metric: str) -> np.ndarray:
    """Return for each pair [n_pairs] the part of its two stars whose twin ranks low enough."""
    return found_stars(rank, metric).mean(axis=1)


@dataclass(frozen=True, eq=False)
class Resampled:
    """A method's share, and what it would have been for other pairs.

    Attributes
    ----------
    share : float
        Mean over seeds and pairs.
    by_pair : numpy.ndarray [n_pairs], float64
        Mean over seeds of the part of each pair's stars that was found.
    by_seed : numpy.ndarray [n_resamples, n_seeds], float64
        Share of each seed in each resample of the pairs, the same resamples for every method.
    """

    share: float
    by_pair: np.ndarray
    by_seed: np.ndarray


def resample_all(found: Sequence[np.ndarray]) -> list[Resampled]:
    """Resample the pairs of several methods at once.

    Parameters
    ----------
    found : sequence of numpy.ndarray [n_seeds, n_pairs]
        Of each method, the part of each pair's stars that it found; the pairs are the same.
    """
    if not found:
        return []
    n_pairs = found[0].shape[1]
    # Halves times whole numbers, a million at most: sums are exact in float32, and so the same on
    # every machine and whatever other methods they are made with.
    stacked = np.concatenate(found).T.astype(np.float32)
    shares = resampled_sums(resample_pairs(n_pairs), stacked) / n_pairs
    ends = np.cumsum([len(each) for each in found])
    by_seed = np.split(shares, ends[:-1], axis=1)
    return [
        Resampled(float(a.mean()), a.mean(axis=0), b) for a, b in zip(found, by_seed, strict=True)
    ]


def resample(found: np.ndarray) -> Resampled:
    """Resample the pairs of one method; see `resample_all`."""
    return resample_all([found])[0]


def mean_over_all_seeds(by_seed: np.ndarray, draws: np.random.Generator) -> np.ndarray:
    """Draw within each resample the share that all seeds would have in the mean [n_resamples].

    Parameters
    ----------
    by_seed : numpy.ndarray [n_resamples, n_seeds]
        With a single seed it is that seed's share.
    draws : numpy.random.Generator
    """
    n_resamples, n_seeds = by_seed.shape
    mean = by_seed.mean(axis=1)
    if n_seeds == 1:
        return mean
    error = by_seed.std(axis=1, ddof=1) / math.sqrt(n_seeds)
    inside = (mean > 0) & (mean < 1)  # at 0 and 1 all seeds agree
    slope = np.divide(error, mean * (1 - mean), out=np.zeros(n_resamples), where=inside)
    odds = np.divide(mean, 1 - mean, out=np.ones(n_resamples), where=inside)
    # Of Student's t with one degree of freedom some draws are beyond what exp can take.
    shift = np.exp(np.clip(slope * draws.standard_t(n_seeds - 1, n_resamples), -50, 50))
    return np.where(inside, odds * shift / (1 + odds * shift), mean)


def share_interval(method: Resampled) -> tuple[float, float]:
    """Return the 95 % interval of a method's share: over seeds, and over pairs within them.

    With a single seed it holds the spread over pairs alone. Where all pairs, or none, were found by
    every seed, it is that of Clopper and Pearson (1934, Biometrika 26, 404).
    """
    low, high = interval(mean_over_all_seeds(method.by_seed, np.random.default_rng(0)))
    if low == high and method.share in (0, 1):
        reach = 1 - (TAILS / 2) ** (1 / len(method.by_pair))
        return (1 - reach, 1.0) if method.share else (0.0, reach)
    return low, high


def compare_resampled(a: Resampled, b: Resampled) -> Comparison:
    """Compare two methods by their shares in the same resamples of the same pairs.

    Where a handful of pairs sets the methods apart, their interval is drawn to 0 unless an exact
    sign test, too, finds the difference too large for chance.
    """
    draws = np.random.default_rng(0)
    low, high = interval(
        mean_over_all_seeds(a.by_seed, draws) - mean_over_all_seeds(b.by_seed, draws)
    )
    better, worse = (
        int((x > y).sum()) for x, y in ((a.by_pair, b.by_pair), (b.by_pair, a.by_pair))
    )
    if better + worse < _HANDFUL and sign_test(better, worse) > TAILS:
        low, high = min(low, 0.0), max(high, 0.0)
    return Comparison(
        a.share, b.share, a.share - b.share, low, high, a.by_seed.shape[1], b.by_seed.shape[1]
    )


def sign_test(better: int, worse: int) -> float:
    """Return the chance of counts as unequal as these, or more, if either is as likely.

    Examples
    --------
    >>> sign_test(5, 0), sign_test(6, 0), sign_test(3, 3)
    (0.0625, 0.03125, 1.0)
    """
    n = better + worse
    tail = sum(math.comb(n, k) for k in range(min(better, worse) + 1))
    return min(1.0, 2 * tail / 2**n)


def compare_shares(found_a: np.ndarray, found_b: np.ndarray) -> Comparison:
    """Compare two methods.

    Parameters
    ----------
    found_a, found_b : numpy.ndarray [n_seeds, n_pairs]
        Part of each pair's stars that the method found, over the same pairs.

    Returns
    -------
    Comparison
    """
    return compare_resampled(resample(found_a), resample(found_b))


def pairwise(methods: Sequence[Resampled]) -> dict[tuple[int, int], Comparison]:
    """Compare every two methods.

    Parameters
    ----------
    methods : sequence of Resampled

    Returns
    -------
    dict of (int, int) to Comparison
        By the places of the two in `methods`, the earlier first.
    """
    return {
        (i, j): compare_resampled(methods[i], methods[j])
        for i, j in combinations(range(len(methods)), 2)
    }


def ranks_of(groups: Sequence[Group]) -> list[np.ndarray]:
    """Read the ranks beside the rows of groups that were judged on the same stars.

    Returns
    -------
    list of numpy.ndarray [n_seeds, n_pairs, 2], int64
        One a group.

    Raises
    ------
    RowError
        If ranks are missing, or of other numbers of pairs.
    """
    ranks = [[read_ranks(ranks_beside(entry.path)).rank for entry in group.entries]
             for group in groups]  # fmt: skip
    counts = Counter(len(rank) for of_group in ranks for rank in of_group)
    expected = max(counts, key=lambda n_pairs: (counts[n_pairs], n_pairs), default=0)
    for group, of_group in zip(groups, ranks, strict=True):
        for entry, rank in zip(group.entries, of_group, strict=True):
            if len(rank) != expected:
                raise RowError(
                    f"{printable(entry.path)}: the ranks are of {len(rank):,} pairs, but those of "
                    f"the rows beside it of {expected:,}; remove the row that is not of this task"
                )
    return [np.stack(of_group) for of_group in ranks]


def choose(entries: Sequence[Entry], a: str, b: str, task: str) -> tuple[Group, Group]:
    """Return the rows of two methods that may be compared: judged on the same stars.

    Parameters
    ----------
    entries : sequence of Entry
    a, b : str
        Method names, or names with the beginning of the settings' digest as ``fader@1a2b3c4d``
        where a method has rows of several settings.
    task : str

    Raises
    ------
    RowError
        If a method has no rows, or rows that do not compare.
    """
    groups = [group for section in sections(entries) if section.task == task
              for group in section.groups if group.entries]  # fmt: skip
    first, second = (_pick(groups, name, task) for name in (a, b))
    for field in ("task_version", "data_fingerprint"):
        if getattr(first.row, field) != getattr(second.row, field):
            raise RowError(
                f"{a} and {b} differ in `{field}`, so they were judged on different stars; "
                "run one of them again"
            )
    return first, second


def compare_ranks(ranks_a: np.ndarray, ranks_b: np.ndarray, metric: str) -> Comparison:
    """Compare two methods by the ranks [n_seeds, n_pairs, 2] that their seeds gave the stars."""
    return compare_shares(
        *(
            np.stack([found_share(rank, metric) for rank in of_seeds])
            for of_seeds in (ranks_a, ranks_b)
        )
    )


def _pick(groups: list[Group], name: str, task: str) -> Group:
    method, _, digest = name.partition("@")
    fitting = [
        group
        for group in groups
        if group.row.method == method and group.row.settings_digest.startswith(digest)
    ]
    if not fitting:
        known = sorted({group.row.method for group in groups})
        raise RowError(
            f"the leaderboard has no rows of {name} on {task}; choose from {', '.join(known)}"
            if known
            else f"the leaderboard has no rows on {task}"
        )
    if len(fitting) > 1:
        choices = ", ".join(f"{method}@{group.row.settings_digest[:8]}" for group in fitting)
        raise RowError(f"{name} has rows of several settings on {task}; choose from {choices}")
    return fitting[0]
