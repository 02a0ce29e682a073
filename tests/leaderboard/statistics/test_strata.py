"""Differences in bins of a label, against shares counted by hand and the difference over all."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from starbench.leaderboard.statistics.compare import compare_shares
from starbench.leaderboard.statistics.strata import star_labels, strata, strata_table


def test_shares_within_bins_equal_a_hand_calculation():
    # Ten pairs of labels 0 ... 19: fifths of four stars. A finds all, B none of the four highest.
    values = np.arange(20.0).reshape(10, 2)
    found_a = np.ones((2, 10, 2), bool)
    found_b = (values < 16)[None]
    table = strata(found_a, found_b, {"x": values})
    assert [(each.lowest, each.highest, each.n_stars) for each in table] == [
        (0, 3, 4), (4, 7, 4), (8, 11, 4), (12, 15, 4), (16, 19, 4)
    ]  # fmt: skip
    assert [each.share_b for each in table] == [1, 1, 1, 1, 0]
    assert [(each.difference, each.low, each.high) for each in table] == [(0, 0, 0)] * 4 + [
        (1, 1, 1)
    ]
    marked = [line for line in strata_table(table).splitlines() if line.endswith("<")]
    assert len(marked) == 1
    assert marked[0].split()[:4] == ["x", "16.00", "to", "19.00"]


def test_the_interval_of_a_bin_has_the_width_of_its_stars():
    # 2,000 pairs; both stars of a pair in one bin, so that each bin is 400 pairs of its own.
    values = np.repeat(np.arange(2000.0)[:, None], 2, axis=1)
    found_a = np.ones((1, 2000, 2), bool)
    found_b = found_a.copy()
    found_b[0, :40] = False  # a tenth of the first bin
    first, *others = strata(found_a, found_b, {"x": values})
    assert first.difference == pytest.approx(0.1)
    # sqrt(0.1 * 0.9 / 400) = 1.5 points
    assert first.high - first.low == pytest.approx(2 * 1.96 * 0.015, rel=0.12)
    assert all(each.low == each.high == 0 for each in others)


@settings(max_examples=20, deadline=None, derandomize=True)
@given(st.integers(0, 10**6), st.integers(1, 3), st.integers(1, 3))
def test_bins_add_up_to_all_stars(start, seeds_a, seeds_b):
    draws = np.random.default_rng(start)
    values = draws.integers(0, 12, (60, 2)).astype(float)  # many stars of one value
    found = [draws.random((n, 60, 2)) < 0.5 for n in (seeds_a, seeds_b)]
    table = strata(*found, {"x": values})
    assert sum(each.n_stars for each in table) == 120
    overall = compare_shares(*(each.mean(axis=2) for each in found))
    for share, name in ((overall.share_a, "share_a"), (overall.share_b, "share_b")):
        counted = sum(each.n_stars * getattr(each, name) for each in table) / 120
        assert counted == pytest.approx(share)
    assert [each.lowest for each in table] == sorted(each.lowest for each in table)
    assert all(each.low <= each.difference <= each.high for each in table)
    # One bin of all stars is the comparison itself, to the last draw.
    (one,) = strata(*found, {"x": values}, n_bins=1)
    assert (one.low, one.high) == pytest.approx((overall.low, overall.high))


def test_star_labels_are_the_nuisances_and_the_iron_abundance():
    nuisance = np.arange(12.0).reshape(3, 2, 2)
    composition = np.array([[0.1, 5], [0.2, 6], [0.3, 7]])
    labels = star_labels(nuisance, composition, ("Teff", "logg"), ("Fe/H", "C/Fe"))
    assert list(labels) == ["Teff", "logg", "[Fe/H]"]
    np.testing.assert_array_equal(labels["logg"], nuisance[..., 1])
    np.testing.assert_array_equal(labels["[Fe/H]"], [[0.1, 0.1], [0.2, 0.2], [0.3, 0.3]])
    assert list(star_labels(nuisance, composition, ("Teff", "logg"), ("C/Fe", "N/Fe"))) == [
        "Teff", "logg"
    ]  # fmt: skip
