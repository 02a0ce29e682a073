"""95 % intervals from a bootstrap over pairs, or over the sibling groups of a survey.

The stars of a pair share their composition, so their ranks and errors are correlated; therefore
pairs are drawn, not stars. Only the pairs that a metric averages over are resampled: the model and
the gallery in which twins were ranked stay the same. The intervals do not include the spread
between training runs, which several seeds show.

A resample is the number of times that each pair was drawn. One matrix of counts serves every
metric, so that means and ratios of sums are matrix products. Intervals are the 2.5th and 97.5th
percentiles of the resampled estimates (Efron & Tibshirani 1993, An Introduction to the Bootstrap,
chapter 13).
"""

import math
from functools import lru_cache

import numpy as np

from starbench.metrics.definitions import Estimate, Metric

RESAMPLES = 1000
_BLOCK = 50  # resamples at a time, to bound memory
_VALUE_BLOCKS = 256  # into which ordered values are divided, if there are enough for
_LEAST_BLOCK = 64  # values each


@lru_cache(maxsize=4)  # 25 MB each at 12,500 pairs; rows of several tracks take turns
def resample_pairs(n_pairs: int, n_resamples: int = RESAMPLES, seed: int = 0) -> np.ndarray:
    """Draw resamples with replacement; equal arguments give equal resamples.

    Parameters
    ----------
    n_pairs : int
    n_resamples : int
    seed : int

    Returns
    -------
    numpy.ndarray [n_resamples, n_pairs], int16, read-only
        How often each pair was drawn; every row adds up to `n_pairs`.
    """
    rng = np.random.default_rng(seed)
    counts = np.empty((n_resamples, n_pairs), np.int16)
    for row in counts:
        row[:] = np.bincount(rng.integers(n_pairs, size=n_pairs), minlength=n_pairs)
    counts.flags.writeable = False  # all callers share it
    return counts


def resampled_sums(counts: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """Sum columns over the pairs of each resample.

    Parameters
    ----------
    counts : numpy.ndarray [n_resamples, n_pairs], int16
    columns : numpy.ndarray [n_pairs, n_columns], float64
        One value a pair, such as the sum over its two stars.

    Returns
    -------
    numpy.ndarray [n_resamples, n_columns], float64
    """
    if _sums_fit_float32(columns):
        columns = columns.astype(np.float32)  # twice as fast
    sums = np.empty((len(counts), columns.shape[1]))
    for start in range(0, len(counts), _BLOCK):
        block = slice(start, start + _BLOCK)
        sums[block] = counts[block].astype(columns.dtype) @ columns
    return sums


def _sums_fit_float32(columns: np.ndarray) -> bool:
    """Return whether float32 sums over resamples are exact, in whatever order they are added.

    They are where all values are whole numbers or halves and no sum, of as many values as there are
    pairs, reaches 2^23.
    """
    twice = 2 * columns
    if not np.array_equal(twice, np.rint(twice)):
        return False
    return bool(np.abs(twice).max(initial=0) * len(columns) < 2**24)


def resampled_medians(counts: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Return the median over the stars of each resample.

    Parameters
    ----------
    counts : numpy.ndarray [n_resamples, n_pairs], int16
    values : numpy.ndarray [n_pairs, 2]

    Returns
    -------
    numpy.ndarray [n_resamples], float64
        Mean of the two middle values.
    """
    order = np.argsort(values, axis=None)
    ordered = values.reshape(-1)[order].astype(np.float64)
    pair = order // values.shape[1]
    # The number of stars below the middle in a resample is a sum over n_pairs draws of 0, 1 or 2,
    # each with a variance of at most 1. So the median of a random resample almost always lies near
    # the middle, within five standard deviations; if it does not, all stars are searched.
    n_stars, reach = values.size, 5 * math.isqrt(len(values))
    middle = slice(max(0, n_stars // 2 - reach), n_stars // 2 + reach)
    places = _places_of_medians(counts, pair, middle)
    if places is None:
        places = _places_of_medians(counts, pair, slice(0, n_stars))
    medians: np.ndarray = ordered[places].mean(axis=1)
    return medians


def _places_of_medians(counts: np.ndarray, pair: np.ndarray, window: slice) -> np.ndarray | None:
    """Return the two middle stars of each resample, or None if one lies outside the window.

    Parameters
    ----------
    counts : numpy.ndarray [n_resamples, n_pairs], int16
    pair : numpy.ndarray [n_stars]
        Of each star, in rising order of the values.
    window : slice

    Returns
    -------
    numpy.ndarray [n_resamples, 2], int64, or None
    """
    n_stars = len(pair)  # of each resample as well
    middle = np.array([(n_stars + 1) // 2, n_stars // 2 + 1])
    ahead = np.bincount(pair[: window.start], minlength=counts.shape[1])
    before = resampled_sums(counts, ahead[:, None]).astype(np.int32)
    places = np.empty((len(counts), 2), np.int64)
    for start in range(0, len(counts), _BLOCK):
        block = slice(start, start + _BLOCK)
        of_stars = np.take(counts[block], pair[window], axis=1)  # contiguous, unlike [:, pair]
        drawn = np.cumsum(of_stars, axis=1, dtype=np.int32) + before[block]
        if (before[block] >= middle[0]).any() or (drawn[:, -1] < middle[1]).any():
            return None
        places[block] = np.stack([np.argmax(drawn >= place, axis=1) for place in middle], axis=1)
    places += window.start
    return places


def pair_means(values: np.ndarray) -> np.ndarray:
    """Return the mean of values [n_pairs, 2] over the stars of each pair [n_pairs], float64.

    Examples
    --------
    >>> pair_means(np.array([[True, False], [True, True]])).tolist()
    [0.5, 1.0]
    """
    # Several times as fast as a mean along an axis of two, and equal to it bit for bit.
    means: np.ndarray = (values[:, 0].astype(np.float64) + values[:, 1]) / 2
    return means


def group_means(values: np.ndarray, group: np.ndarray) -> np.ndarray:
    """Return the mean of values [n] over each group [n_groups], float64.

    Parameters
    ----------
    values : numpy.ndarray [n]
    group : numpy.ndarray [n], int64
        0, 1, ...; each of them occurs.

    Examples
    --------
    >>> group_means(np.array([1.0, 2.0, 4.0]), np.array([1, 0, 1])).tolist()
    [2.0, 2.5]
    """
    return np.bincount(group, weights=values) / np.bincount(group)


def group_sums(columns: np.ndarray, group: np.ndarray) -> np.ndarray:
    """Return the sums of columns [n, n_columns] over each group [n_groups, n_columns], float64."""
    return np.stack([np.bincount(group, weights=column) for column in columns.T], axis=1)


def weighted_medians(counts: np.ndarray, values: np.ndarray, group: np.ndarray) -> np.ndarray:
    """Return the median of each resample, where all groups drawn weigh alike.

    It is the value at which half of the weight is reached, or the mean of the two values between
    which it is. For groups of equal size it is the median.

    Parameters
    ----------
    counts : numpy.ndarray [n_resamples, n_groups], int16
    values : numpy.ndarray [n]
    group : numpy.ndarray [n], int64
        Group of each value: 0, 1, ...; a group may be absent.

    Returns
    -------
    numpy.ndarray [n_resamples], float64
        NaN where a resample draws no group that has a value.

    Examples
    --------
    >>> counts = np.ones((1, 2), np.int16)
    >>> weighted_medians(counts, np.array([1.0, 2.0, 9.0]), np.array([0, 1, 1])).tolist()
    [1.5]
    """
    order = np.argsort(values, kind="stable")
    size = np.bincount(group, minlength=counts.shape[1])
    group = group[order]
    ordered, weight = values[order].astype(np.float64), size[size > 0].min() / size[group]
    # The sums over blocks of values tell in which block half of the weight is reached, so that
    # only one block is searched in each resample.
    length = max(_LEAST_BLOCK, -(-len(values) // _VALUE_BLOCKS))
    n_blocks = -(-len(values) // length)
    padding = n_blocks * length - len(values)
    cell = group * n_blocks + np.arange(len(values)) // length
    of_blocks = np.bincount(cell, weights=weight, minlength=counts.shape[1] * n_blocks)
    reached = np.cumsum(resampled_sums(counts, of_blocks.reshape(-1, n_blocks)), axis=1)
    half = reached[:, -1:] / 2
    slack = 1e-9 * half  # of rounding; weights of equal groups are exact
    members = np.pad(group, (0, padding)).reshape(n_blocks, length)
    weights = np.pad(weight, (0, padding)).reshape(n_blocks, length)
    ordered = np.pad(ordered, (0, padding), mode="edge")
    rows = np.arange(len(counts))
    middle = []
    for target in (half - slack, np.nextafter(half + slack, np.inf)):
        block = (reached >= target).argmax(axis=1)
        before = np.where(block > 0, reached[rows, block - 1], 0.0)
        drawn = counts[rows[:, None], members[block]] * weights[block]
        sums = before[:, None] + np.cumsum(drawn, axis=1)
        sums[:, -1] = reached[rows, block]  # as the block was found by, whatever the rounding
        middle.append(ordered[block * length + (sums >= target).argmax(axis=1)])
    return np.where(half[:, 0] > 0, np.mean(middle, axis=0), np.nan)


def interval(estimates: np.ndarray) -> tuple[float, float]:
    """Return the 2.5th and 97.5th percentile of resampled estimates [n_resamples].

    Resamples without an estimate, such as those that drew no pair of a small subset, are NaN and
    ignored.

    Examples
    --------
    >>> low, high = interval(np.arange(1001.0))
    >>> round(low, 9), round(high, 9)
    (25.0, 975.0)
    """
    low, high = np.nanpercentile(estimates, (2.5, 97.5))
    return float(low), float(high)


def estimate(metric: Metric, value: float, resampled: np.ndarray) -> Estimate:
    """Return a value with its interval, widened where the value lies outside it.

    The percentiles of a biased estimate can all lie on one side of the value. R^2 of a constant
    prediction is 0 at best, and below that in nearly every resample, whose mean is another.

    Parameters
    ----------
    metric : Metric
    value : float
        The estimate from all pairs.
    resampled : numpy.ndarray [n_resamples], float64

    Returns
    -------
    Estimate
        ``low <= value <= high``.

    Examples
    --------
    >>> from starbench.metrics import METRICS
    >>> estimate(METRICS["doppelganger_free"], 0.5, np.array([0.1, 0.2])).high
    0.5
    """
    low, high = interval(resampled)
    return Estimate(value, min(low, value), max(high, value), metric.version)


def sign_test(better: int, worse: int) -> float:
    """Return the two-sided p-value of a sign test.

    Parameters
    ----------
    better, worse : int
        Numbers of pairs on which the first method is better, and worse.

    Examples
    --------
    >>> sign_test(5, 0), sign_test(6, 0), sign_test(3, 3)
    (0.0625, 0.03125, 1.0)
    """
    n = better + worse
    tail = sum(math.comb(n, k) for k in range(min(better, worse) + 1))
    return min(1.0, float(2 * tail / 2**n))
