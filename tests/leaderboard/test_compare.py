"""Differences between methods on the same stars, against what a bootstrap must give."""

import numpy as np
import pytest

from starbench.leaderboard import compare, load
from starbench.leaderboard.compare import compare_shares, found_share
from starbench.results import RowError


def test_the_part_of_a_pair_that_is_found():
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


def test_pairing_cancels_what_both_methods_find_hard():
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
    # The mean of three seeds drawn from (0.4, 0.5, 0.6) has a deviation of 0.0816 / sqrt(3).
    assert wide.high - wide.low == pytest.approx(2 * 1.96 * 0.0471, rel=0.15)
    assert narrow.high - narrow.low == 0


@pytest.fixture
def rows(add, make_run, directory):
    add(*(make_run(seed=seed, nearest=0.8) for seed in range(3)))
    add(*(make_run(seed=seed, nearest=0.2, method="baseline") for seed in range(2)))
    return lambda: load(directory)


def test_methods_of_the_leaderboard_are_compared(rows):
    result = compare(rows(), "fader", "baseline", "apogee-giants")
    assert (result.seeds_a, result.seeds_b) == (3, 2)
    assert result.difference == pytest.approx(result.share_a - result.share_b)
    assert result.separable
    assert result.low > 0.4
    back = compare(rows(), "baseline", "fader", "apogee-giants")
    assert back.difference == pytest.approx(-result.difference)


def test_what_cannot_be_compared_is_named(rows, add, make_run, fakes):
    with pytest.raises(RowError, match="no rows of fadre on apogee-giants; choose from baseline,"):
        compare(rows(), "fadre", "baseline", "apogee-giants")
    with pytest.raises(RowError, match="no rows on apogee-giants-snr50"):
        compare(rows(), "fader", "baseline", "apogee-giants-snr50")
    (path,) = add(make_run(nearest=0.5, hyperparameters={"n_latent": 5}))
    digest = path.stem[-8:]
    with pytest.raises(RowError, match=f"several settings .* choose from .*fader@{digest}"):
        compare(rows(), "fader", "baseline", "apogee-giants")
    assert compare(rows(), f"fader@{digest}", "baseline", "apogee-giants").seeds_a == 1
    add(make_run(method="later", data_fingerprint="new-full"), task=fakes[0](data="new"))
    with pytest.raises(RowError, match="differ in `data_fingerprint`"):
        compare(rows(), "later", "baseline", "apogee-giants")
