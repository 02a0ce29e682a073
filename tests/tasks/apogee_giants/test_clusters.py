import numpy as np
import pytest

from starbench.tasks.apogee_giants.clusters import cluster_sizes, groups, n_stars
from starbench.tasks.fresh import FreshTest
from starbench.tasks.registry import get_task


@pytest.fixture(scope="module")
def track():
    return get_task("apogee-giants-survey")


def test_numbers_of_members_fall_as_their_inverse():
    sizes = cluster_sizes(20_000)
    members = np.arange(2, 21)
    expected = 1 / members / np.sum(1 / members)
    assert np.bincount(sizes)[2:] / len(sizes) == pytest.approx(expected, abs=1e-3)
    assert sizes.mean() == pytest.approx(7.31, abs=0.02)


def test_four_hundred_clusters_lie_in_a_field_of_eight_thousand(track):
    n_test = track.sizes("full")["test"]
    of_size = np.bincount(np.unique(groups(0, n_test), return_counts=True)[1])
    assert of_size[1] == 8000
    assert of_size[2:].sum() == 400
    assert len(of_size) == 21
    assert n_test == n_stars(400) == 8000 + cluster_sizes(400).sum()


def test_any_range_of_stars_has_the_same_groups():
    whole = groups(0, 3000)
    for start, stop in ((0, 1), (5, 6), (1, 1000), (977, 2999)):
        assert np.array_equal(groups(start, stop), whole[start:stop])


def test_members_share_their_composition_and_nothing_else(track):
    stars = track.base.survey.base.base.base.make("test", 0, 110)
    members = stars.group == 0
    assert members.sum() == 8
    assert len(np.unique(stars.composition[members], axis=0)) == 1
    assert len(np.unique(stars.nuisance[:, 0], axis=0)) == 110
    assert len(np.unique(stars.composition, axis=0)) == len(np.unique(stars.group))


def test_no_star_to_train_on_has_a_sibling(track):
    assert len(np.unique(track.groups("train", "mini"))) == 2500
    assert track.training_split("none") == track.training_split("nuisance") == "train"
    assert track.training_split("pairs") == track.training_split("oracle") == "pairs"
    assert track.probed_split == "validation"
    assert track.groups("pairs", "tiny") is None


def test_pairs_are_of_the_first_generator_with_unbiased_labels(track):
    pairs = track.make("pairs", 0, 3)
    assert pairs.flux.shape == (3, 2, 7214)
    assert pairs.group is None
    source = track.source()
    assert source["emulator_sha256"] != source["model_emulator_sha256"]
    assert track.base.model.errors.trend == (0, 0)
    assert track.base.survey.errors.trend == (-40, -0.05)


def test_fresh_stars_are_other_stars_in_the_same_groups(track):
    fresh = FreshTest(track, "a-public-value-of-2026").make("test", 0, 30)
    standard = track.make("test", 0, 30)
    assert np.array_equal(fresh.group, standard.group)
    assert not (fresh.composition == standard.composition).all(axis=1).any()
    assert not (fresh.error == standard.error).all(axis=-1).any()
