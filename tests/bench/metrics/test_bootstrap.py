import time

import numpy as np
import pytest

from starbench.metrics.bootstrap import (
    interval,
    pair_means,
    resample_pairs,
    resampled_medians,
    resampled_sums,
)


def test_every_resample_draws_n_pairs():
    counts = resample_pairs(123, 50)
    assert counts.shape == (50, 123)
    assert (counts.sum(axis=1) == 123).all() and (counts >= 0).all()


def test_seeds_are_reproducible_and_differ():
    first = resample_pairs(40, 20, seed=1).copy()
    resample_pairs.cache_clear()
    np.testing.assert_array_equal(resample_pairs(40, 20, seed=1), first)
    assert (resample_pairs(40, 20, seed=2) != first).any()


def test_cached_resamples_are_read_only():
    with pytest.raises(ValueError, match="read-only"):
        resample_pairs(10, 5)[0, 0] = 7


def test_sums_and_medians_equal_those_of_the_drawn_pairs(rng):
    counts = resample_pairs(31, 120)  # not a multiple of the block
    values = rng.normal(size=(31, 2))
    drawn = [np.repeat(values, row, axis=0) for row in counts]
    sums = resampled_sums(counts, values)
    np.testing.assert_allclose(sums, [stars.sum(axis=0) for stars in drawn], atol=1e-12)
    np.testing.assert_array_equal(
        resampled_medians(counts, values), [np.median(stars) for stars in drawn]
    )


@pytest.mark.parametrize("unit", [1.0, 0.5, 1 / 3, 2.0**23 + 1, np.nan])
def test_sums_are_as_exact_as_in_float64(rng, unit):
    columns = unit * rng.integers(3, size=(500, 3))
    counts = resample_pairs(500, 60)
    expected = counts.astype(np.float64) @ columns
    np.testing.assert_allclose(resampled_sums(counts, columns), expected, rtol=1e-13)
    if unit in (1.0, 0.5):  # whole numbers of which none is rounded
        np.testing.assert_array_equal(resampled_sums(counts, columns), expected)


def simulated_pairs(rng, n_pairs):
    """Stars of a pair are correlated: resampling single stars would give intervals too narrow."""
    return 1 + rng.exponential(size=(n_pairs, 1)) + 0.3 * rng.exponential(size=(n_pairs, 2))


def test_interval_of_the_mean_covers_the_truth_95_times_in_100(rng):
    n_pairs, trials = 200, 600
    counts = resample_pairs(n_pairs)
    covered = 0
    for _ in range(trials // 60):  # sixty experiments at a time, as columns
        pairs = np.stack([simulated_pairs(rng, n_pairs).mean(axis=1) for _ in range(60)], axis=1)
        means = resampled_sums(counts, pairs) / n_pairs
        for column in means.T:
            low, high = interval(column)
            covered += low <= 2.3 <= high
    assert 0.92 <= covered / trials <= 0.97  # standard deviation 0.009


def test_resampled_medians_are_exact_at_the_edges_of_the_sample(rng):
    values = np.sort(rng.random(800)).reshape(400, 2)
    counts = np.zeros((3, 400), np.int16)
    counts[0, 0] = counts[1, -1] = 400
    counts[2, :200] = 2
    drawn = [np.repeat(values, row, axis=0) for row in counts]
    expected = [np.median(stars) for stars in drawn]
    np.testing.assert_array_equal(resampled_medians(counts, values), expected)


@pytest.mark.parametrize("n_values", [3, 40, 10**6])  # few values: the stars of many pairs tie
def test_resampled_medians_are_exact_where_only_the_middle_is_searched(rng, n_values):
    values = rng.integers(n_values, size=(2_000, 2)) / n_values
    counts = resample_pairs(2_000, 60)
    drawn = [np.repeat(values, row, axis=0) for row in counts]
    expected = [np.median(stars) for stars in drawn]
    np.testing.assert_array_equal(resampled_medians(counts, values), expected)


def test_interval_of_the_median_covers_the_truth_95_times_in_100(rng):
    n_pairs, trials = 150, 300
    truth = np.median(simulated_pairs(np.random.default_rng(0), 1_000_000))
    counts = resample_pairs(n_pairs)
    covered = 0
    for _ in range(trials):
        low, high = interval(resampled_medians(counts, simulated_pairs(rng, n_pairs)))
        covered += low <= truth <= high
    assert 0.90 <= covered / trials <= 0.98


def test_pair_means_are_means_bit_for_bit(rng):
    for values in (
        rng.normal(size=(500, 2)),
        1 / rng.integers(1, 99, (500, 2)),
        rng.random((500, 2)) < 0.5,
    ):
        np.testing.assert_array_equal(pair_means(values), values.mean(axis=1))


def test_interval_ignores_resamples_without_an_estimate():
    estimates = np.arange(1001.0)
    assert interval(np.append(estimates, [np.nan] * 100)) == interval(estimates)


def test_sixty_metrics_of_the_full_protocol_take_seconds(rng):
    start = time.perf_counter()
    counts = resample_pairs(12_500)
    for column in resampled_sums(counts, rng.random((12_500, 60))).T:
        interval(column)
    resampled_medians(counts, rng.random((12_500, 2)))
    assert time.perf_counter() - start < 20  # 1 to 2 s undisturbed
