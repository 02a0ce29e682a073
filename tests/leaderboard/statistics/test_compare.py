"""Differences between methods on the same stars, against known standard errors."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest
from support.rows import FakeTask

from starbench.leaderboard.statistics.compare import (
    choose,
    compare_ranks,
    compare_shares,
    ranks_of,
)
from starbench.leaderboard.statistics.resampling import found_share, resample, share_interval
from starbench.leaderboard.store.board import load
from starbench.metrics.bootstrap import sign_test
from starbench.results.text import RowError


def test_found_share_of_a_pair():
    # 4 stars: within 0.1 % and 1 % both mean the nearest.
    rank = np.array([[1, 2], [1, 1]])
    np.testing.assert_array_equal(found_share(rank, "doppelganger_free"), [0.5, 1.0])
    # 2,000 stars: 0.1 % are 2, 1 % are 20.
    rank = np.full((1000, 2), 21)
    rank[0], rank[1] = (2, 20), (3, 1)
    assert found_share(rank, "doppelganger_free").sum() == 0.5
    assert found_share(rank, "doppelganger_0.1").sum() == 1.0
    assert found_share(rank, "doppelganger_1").sum() == 2.0


def test_a_method_does_not_differ_from_itself():
    found = np.random.default_rng(0).random((1, 400))
    same = compare_shares(found, found)
    assert (same.difference, same.low, same.high) == (0, 0, 0)
    assert not same.separable


def test_pairing_cancels_what_is_hard_for_both_methods():
    draws = np.random.default_rng(0)
    hard = draws.random((1, 2000)).round()
    a, b = hard.copy(), hard.copy()
    b[0, :40] = 1 - b[0, :40]
    a[0, :40] = 1
    b[0, :40] = 0
    result = compare_shares(a, b)
    assert result.difference == pytest.approx(0.02)
    # 40 of 2,000 pairs differ: the standard error is sqrt(0.02 * 0.98 / 2000) = 0.00313.
    assert result.low == pytest.approx(0.02 - 1.96 * 0.00313, abs=0.001)
    assert result.high == pytest.approx(0.02 + 1.96 * 0.00313, abs=0.001)
    unpaired = compare_shares(a, b[:, ::-1])
    assert unpaired.high - unpaired.low > 3 * (result.high - result.low)


def test_spread_between_seeds_widens_the_interval():
    shares = np.array([0.4, 0.5, 0.6])
    found = (np.arange(1000) / 1000 < shares[:, None]).astype(float)
    steady = np.tile((np.arange(1000) / 1000 < 0.5).astype(float), (3, 1))
    wide, narrow = compare_shares(found, steady), compare_shares(steady, steady)
    assert wide.difference == pytest.approx(0, abs=1e-12)
    # Three seeds of 0.4, 0.5 and 0.6: 4.303, the quantile of Student's t of two degrees of freedom,
    # times 0.1 / sqrt(3).
    assert wide.high - wide.low == pytest.approx(2 * 4.303 * 0.0577, rel=0.15)
    assert narrow.high - narrow.low == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize(("seeds_a", "seeds_b"), [(2, 2), (3, 3), (5, 5), (5, 2)])
def test_equal_methods_differ_significantly_in_at_most_5_percent(seeds_a, seeds_b):
    """The spread over seeds exceeds that over pairs, as for weak methods."""
    draws, n_pairs, trials = np.random.default_rng(7), 200, 400
    hard = draws.random(n_pairs)
    apart = sum(
        compare_shares(*(trained(draws, n, hard) for n in (seeds_a, seeds_b))).separable
        for _ in range(trials)
    )
    # 20 of 400, and a binomial deviation of 4.4; the solution of Behrens and Fisher is known to be
    # on the safe side with few seeds.
    assert 0 < apart <= 33


@pytest.mark.parametrize("n_seeds", [2, 3, 5])
def test_interval_of_a_share_covers_the_truth_in_95_percent(n_seeds):
    draws, n_pairs, trials = np.random.default_rng(8), 200, 400
    covered = 0
    for _ in range(trials):
        low, high = share_interval(resample(trained(draws, n_seeds, draws.random(n_pairs))))
        covered += low <= 0.5 <= high
    assert covered >= 0.95 * trials - 3 * 4.4


def trained(draws, n_seeds, hard):
    """Return the pairs that seeds of a method find [n_seeds, n_pairs], half of them in the mean."""
    quality = 0.5 + 0.08 * draws.standard_normal((n_seeds, 1))
    return (hard < quality).astype(float)


def test_a_difference_of_five_pairs_is_not_significant_and_of_six_is():
    every = np.ones((1, 5000))
    for missed, apart in ((5, False), (6, True)):
        found = every.copy()
        found[0, :missed] = 0
        result = compare_shares(every, found)
        assert result.separable is apart
        assert result.low >= 0 and result.high > 0.0012
        assert compare_shares(found, every).separable is apart


@given(st.integers(0, 40), st.integers(0, 40))
def test_sign_test_is_the_exact_binomial_test(better, worse):
    if better + worse:
        expected = binomtest(better, better + worse).pvalue
        assert sign_test(better, worse) == pytest.approx(expected, rel=1e-12)
    assert sign_test(better, worse) == sign_test(worse, better)


def test_a_share_of_zero_or_one_has_an_interval_of_finite_width():
    # 0 of 1,000: the exact 97.5 % bound is 1 - 0.025^(1/1000) = 0.368 %.
    low, high = share_interval(resample(np.ones((2, 1000))))
    assert (low, high) == (pytest.approx(1 - 0.003682, abs=1e-6), 1)
    low, high = share_interval(resample(np.zeros((1, 1000))))
    assert (low, high) == (0, pytest.approx(0.003682, abs=1e-6))
    assert share_interval(resample(np.full((1, 1000), 0.5))) == (0.5, 0.5)


def compared(entries, a, b, task):
    return compare_ranks(*ranks_of(choose(entries, a, b, task)), "doppelganger_free")


@pytest.fixture
def rows(add, make_run, directory):
    add(*(make_run(seed=seed, nearest=0.8) for seed in range(3)))
    add(*(make_run(seed=seed, nearest=0.2, method="baseline") for seed in range(2)))
    return lambda: load(directory)


def test_methods_of_the_leaderboard_are_compared(rows):
    result = compared(rows(), "fader", "baseline", "apogee-giants")
    assert (result.seeds_a, result.seeds_b) == (3, 2)
    assert result.difference == pytest.approx(result.share_a - result.share_b)
    assert result.separable
    assert result.low > 0.2
    back = compared(rows(), "baseline", "fader", "apogee-giants")
    assert back.difference == pytest.approx(-result.difference)


def test_rows_that_cannot_be_compared_are_refused(rows, add, make_run):
    with pytest.raises(RowError, match="no rows of fadre on apogee-giants; choose from baseline,"):
        compared(rows(), "fadre", "baseline", "apogee-giants")
    with pytest.raises(RowError, match="no rows on apogee-giants-snr50"):
        compared(rows(), "fader", "baseline", "apogee-giants-snr50")
    (path,) = add(make_run(nearest=0.5, hyperparameters={"n_latent": 5}))
    digest = path.stem[-8:]
    with pytest.raises(RowError, match=f"several settings .* choose from .*fader@{digest}"):
        compared(rows(), "fader", "baseline", "apogee-giants")
    assert compared(rows(), f"fader@{digest}", "baseline", "apogee-giants").seeds_a == 1
    add(make_run(method="later", data_fingerprint="new-full"), task=FakeTask(data="new"))
    with pytest.raises(RowError, match="differ in `data_fingerprint`"):
        compared(rows(), "later", "baseline", "apogee-giants")


def test_of_several_versions_of_a_task_the_newest_common_one_is_compared(rows, add, make_run):
    newer = {"task_version": 2, "data_fingerprint": "new-full"}
    task = FakeTask(version=2, data="new")
    add(*(make_run(seed=seed, nearest=0.6, **newer) for seed in range(2)), task=task)
    first, second = choose(rows(), "fader", "baseline", "apogee-giants")  # which has no such rows
    assert (first.row.task_version, second.row.task_version) == (1, 1)
    assert len(first.entries) == 3

    add(make_run(nearest=0.3, method="baseline", **newer), task=task)
    first, second = choose(rows(), "fader", "baseline", "apogee-giants")
    assert (first.row.task_version, second.row.task_version) == (2, 2)
    assert (len(first.entries), len(second.entries)) == (2, 1)

    add(make_run(method="later", task_version=3, data_fingerprint="last-full"),
        task=FakeTask(version=3, data="last"))  # fmt: skip
    with pytest.raises(RowError, match="fader and later differ in `task_version`"):
        choose(rows(), "fader", "later", "apogee-giants")
