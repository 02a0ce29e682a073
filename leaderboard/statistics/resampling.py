"""A method's share of found twins, and its 95 % interval over seeds and pairs.

The share is the mean, over a method's seeds and over the pairs, of the fraction of each pair's two
stars whose twin ranks low enough. Its distribution is drawn a thousand times on two levels. Pairs
are resampled with replacement. Within a resample, the mean over all possible seeds, of which only n
were run, is drawn as the share m' of

    logit(m') = logit(m) + s / (sqrt(n) m (1 - m)) * t,

where t follows Student's distribution with n - 1 degrees of freedom, and m and s are mean and
standard deviation over the n seeds. In log-odds a share stays below 1, and near 1 its uncertainty
shrinks from points to hundredths of a point. Resampling the seeds with replacement, like pairs,
would underestimate their variance by (n - 1) / n and sample two to five values: such intervals
cover the truth 50 to 85 % of the time. With a single seed the interval covers pairs alone.

Intervals need the ranks of every star. A row holds only one mean squared error, so these have no
such interval.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from starbench.metrics import resample_pairs
from starbench.metrics.bootstrap import interval, pair_means, resampled_sums
from starbench.metrics.recovery import PER_MILLE, within
from starbench.results.ranks import Ranks

TAILS = 0.05  # probability outside an interval

Floats = npt.NDArray[np.float64]


OfSeeds = npt.NDArray[np.int64] | list[Ranks]
"""Ranks of a method's seeds: [n_seeds, n_pairs, 2], or those of a survey's siblings."""


def found_stars(rank: npt.NDArray[np.int64], metric: str) -> npt.NDArray[np.bool_]:
    """Return for each star [n_pairs, 2] whether its twin ranks low enough for a share."""
    return within(rank, PER_MILLE[metric])


def found_share(rank: npt.NDArray[np.int64] | Ranks, metric: str) -> Floats:
    """Return for each pair [n_pairs] the fraction of its two stars whose twin ranks low enough.

    In a survey for each group [n_groups] the fraction of its ordered pairs of siblings.
    """
    if isinstance(rank, Ranks):
        return rank.found(metric)
    return pair_means(found_stars(rank, metric))


def found_shares(of_seeds: OfSeeds, metric: str) -> Floats:
    """Return the shares of `found_share` of a method's seeds [n_seeds, n_pairs]."""
    return np.stack([found_share(rank, metric) for rank in of_seeds])


@dataclass(frozen=True, eq=False)
class Resampled:
    """A method's share, and its values in resamples of the pairs.

    Attributes
    ----------
    share : float
        Mean over seeds and pairs.
    by_pair : numpy.ndarray [n_pairs], float64
        Mean over seeds of the fraction of each pair's stars that was found.
    by_seed : numpy.ndarray [n_resamples, n_seeds], float64
        Share of each seed in each resample; the resamples are the same for every method.
    """

    share: float
    by_pair: Floats
    by_seed: Floats


def resample_all(
    found: Sequence[Floats], counts: npt.NDArray[np.int16] | None = None
) -> list[Resampled]:
    """Resample the pairs of several methods at once.

    Parameters
    ----------
    found : sequence of numpy.ndarray [n_seeds, n_pairs]
        For each method, the fraction of each pair's stars that it found, of the same pairs.
    counts : numpy.ndarray [n_resamples, n_pairs], int16, optional
        The resamples, by default those of `starbench.metrics.resample_pairs`.
    """
    if not found:
        return []
    n_pairs = found[0].shape[1]
    counts = resample_pairs(n_pairs) if counts is None else counts
    # Sums of halves are exact, so they depend neither on the machine nor on which methods are
    # resampled together. Shares of a survey's groups are no halves.
    shares = resampled_sums(counts, np.concatenate(found).T) / n_pairs
    ends = np.cumsum([len(each) for each in found])
    by_seed = np.split(shares, ends[:-1], axis=1)
    return [
        Resampled(float(a.mean()), a.mean(axis=0), b) for a, b in zip(found, by_seed, strict=True)
    ]


def resample(found: Floats) -> Resampled:
    """Resample the pairs of one method; see `resample_all`."""
    return resample_all([found])[0]


def mean_over_all_seeds(
    by_seed: Floats, draws: np.random.Generator, degrees: float | None = None
) -> Floats:
    """Draw within each resample the mean share over all possible seeds [n_resamples].

    Parameters
    ----------
    by_seed : numpy.ndarray [n_resamples, n_seeds]
        With a single seed the result is that seed's share.
    draws : numpy.random.Generator
    degrees : float, optional
        Degrees of freedom of Student's t, by default n_seeds - 1.
    """
    n_resamples, n_seeds = by_seed.shape
    mean: Floats = by_seed.mean(axis=1)
    if n_seeds == 1:
        return mean
    error = by_seed.std(axis=1, ddof=1) / math.sqrt(n_seeds)
    inside = (mean > 0) & (mean < 1)  # at 0 and 1 all seeds agree
    slope = np.divide(error, mean * (1 - mean), out=np.zeros(n_resamples), where=inside)
    odds = np.divide(mean, 1 - mean, out=np.ones(n_resamples), where=inside)
    # With one degree of freedom some draws of Student's t overflow exp.
    t = draws.standard_t(n_seeds - 1 if degrees is None else degrees, n_resamples)
    shift = np.exp(np.clip(slope * t, -50, 50))
    return np.where(inside, odds * shift / (1 + odds * shift), mean)


def share_interval(method: Resampled) -> tuple[float, float]:
    """Return the 95 % interval of a method's share over seeds and pairs.

    Where every seed found all pairs, or none, the bootstrap interval has no width, and that of
    Clopper and Pearson (1934, Biometrika 26, 404) takes its place.
    """
    low, high = interval(mean_over_all_seeds(method.by_seed, np.random.default_rng(0)))
    if low == high and method.share in (0, 1):
        reach: float = 1 - (TAILS / 2) ** (1 / len(method.by_pair))
        return (1 - reach, 1.0) if method.share else (0.0, reach)
    return low, high
