import numpy as np
import pytest

from starbench.metrics import alikeness
from starbench.metrics.alikeness import alikeness_estimates, field_stars, random_pairs


def test_the_share_is_that_of_field_pairs_within_the_median_of_siblings():
    # Siblings 2 apart; field stars at 0, 1, 3, 7: distances 1, 3, 7, 2, 6, 4.
    latent = np.array([[0.0], [2.0], [0], [1], [3], [7]], np.float32)
    group = np.array([9, 9, 0, 1, 2, 3])
    share = alikeness_estimates(latent, group, np.arange(6.0)[:, None])["alike_field_pairs"]
    assert share.value == pytest.approx(2 / 6)
    assert (share.low, share.high) == (share.value, share.value)  # a single group


def test_groups_weigh_alike_in_the_median():
    # One pair at distance 10 weighs as much as the six of a group at distances of at most 0.3.
    latent = np.concatenate([[0, 10], [50, 50.1, 50.2, 50.3], np.arange(100, 900, 8)])[:, None]
    group = np.concatenate([[0, 0], [1] * 4, np.arange(2, 102)])
    share = alikeness_estimates(latent, group, latent)["alike_field_pairs"]
    # The median lies between 0.3 and 10, at 5.15: no two field stars are as near.
    assert share.value == 0 and share.high == pytest.approx(99 / 4950)


def test_a_leak_shows_within_bins_of_the_nuisance_difference():
    rng = np.random.default_rng(0)
    n_field, n_groups = 600, 40
    group = np.concatenate([np.arange(n_field), 1000 + np.repeat(np.arange(n_groups), 4)])
    nuisance = rng.normal(size=(len(group), 1))
    nuisance[n_field:] *= 0.2  # members of a group have similar nuisances
    only_nuisance = alikeness_estimates(nuisance, group, nuisance)
    # It seems to find siblings, but within a bin as many field stars are as alike.
    assert only_nuisance["alike_field_pairs"].value < 0.2
    bins = [only_nuisance[f"alike_field_pairs.bin.{i}"] for i in (1, 2, 3, 4)]
    for each in bins:
        assert each.low <= each.value <= each.high
        assert 0.1 < each.value < 0.9
    chemistry = rng.normal(size=(len(group), 3))
    of_group = rng.normal(size=(n_groups, 3))
    chemistry[n_field:] = np.repeat(of_group, 4, axis=0) + 0.1 * rng.normal(size=(4 * n_groups, 3))
    good = alikeness_estimates(chemistry, group, nuisance)
    assert all(good[f"alike_field_pairs.bin.{i}"].value < 0.02 for i in (1, 2, 3, 4))


def test_latents_that_are_not_finite_count_against_the_method():
    latent = np.array([[0.0], [np.nan], [0], [1], [3]], np.float32)
    group = np.array([9, 9, 0, 1, 2])
    u = np.zeros((5, 1))
    assert alikeness_estimates(latent, group, u)["alike_field_pairs"].value == 1
    latent = np.array([[0.0], [0.5], [0], [np.nan], [3]], np.float32)
    assert alikeness_estimates(latent, group, u)["alike_field_pairs"].value == pytest.approx(2 / 3)


def test_few_stars_have_no_estimate():
    u = np.zeros((4, 1))
    for group in ([0, 0, 1, 1], [0, 1, 2, 3], [0, 0, 0, 1]):
        estimates = alikeness_estimates(np.zeros((4, 1)), np.array(group), u)
        assert set(estimates.values()) == {None}


def test_field_pairs_are_drawn_at_random_where_there_are_many(monkeypatch):
    assert field_stars(np.array([3, 1, 3, 2])).tolist() == [1, 3]
    monkeypatch.setattr(alikeness, "FIELD_PAIRS", 1000)
    first, second = random_pairs(np.arange(100))
    assert len(first) == 1000 and (first != second).all()
    assert abs(np.bincount(second, minlength=100).mean() - 10) < 1e-9
    assert np.array_equal(first, random_pairs(np.arange(100))[0])
