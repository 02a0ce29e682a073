import numpy as np
import pytest

from starbench.evaluation.views import shuffled_order, unshuffle, view_split
from starbench.tasks.registry import get_task


@pytest.mark.parametrize(
    ("access", "expected"),
    [
        ("none", set()),
        ("nuisance", {"nuisance"}),
        ("pairs", {"nuisance", "twin"}),
        ("oracle", {"nuisance", "twin", "composition"}),
    ],
)
def test_a_view_holds_what_its_label_access_allows_and_no_more(toy_task, access, expected):
    view = view_split(toy_task, "train", "tiny", access, seed=3).view
    held = {name for name in ("nuisance", "twin", "composition") if getattr(view, name) is not None}
    assert held == expected


def test_the_rows_of_a_view_belong_together(toy_task):
    split_view = view_split(toy_task, "train", "tiny", "oracle", seed=3)
    truth = toy_task.load("train", "tiny")
    view = split_view.view
    assert np.array_equal(unshuffle(view.flux, split_view.order), truth.flux)
    assert np.array_equal(unshuffle(view.nuisance, split_view.order), truth.nuisance)
    assert np.array_equal(unshuffle(view.flux[view.twin], split_view.order), truth.flux[:, ::-1])
    for half in (0, 1):
        composition = unshuffle(view.composition, split_view.order)[:, half]
        assert np.array_equal(composition, truth.composition)
    assert np.array_equal(split_view.labels.nuisance, truth.nuisance)


def test_row_order_carries_no_information_on_pairs():
    n = 20_000
    order = shuffled_order(0, "test", 2 * n)
    rows = np.empty(2 * n, int)
    rows[order] = np.arange(2 * n)
    distance = np.abs(rows[0::2] - rows[1::2])
    # Of two random rows of 2n the mean distance is 2n / 3, and they are neighbours with probability
    # 1 / n.
    assert abs(distance.mean() / (2 * n / 3) - 1) < 0.02
    assert (distance == 1).sum() < 10
    # Neither does the first of a pair come first more often, nor does the order follow the data's.
    assert abs((rows[0::2] < rows[1::2]).mean() - 0.5) < 0.02
    assert abs(np.corrcoef(order, np.arange(2 * n))[0, 1]) < 0.02


def test_order_depends_on_seed_and_split_alone():
    first = shuffled_order(0, "train", 500)
    assert np.array_equal(first, shuffled_order(0, "train", 500))
    for other in (shuffled_order(1, "train", 500), shuffled_order(0, "test", 500)):
        assert (first == other).mean() < 0.02


def test_methods_without_twins_are_trained_on_stars_that_have_none():
    track = get_task("apogee-giants-labels")
    split = track.training_split("nuisance")
    stars = view_split(track, split, "tiny", "nuisance", seed=0)
    truth = track.load(split, "tiny")
    assert stars.view.twin is None and stars.view.unseen is None
    assert np.array_equal(unshuffle(stars.view.flux, stars.order, each=1), truth.flux)
    assert np.array_equal(unshuffle(stars.view.nuisance, stars.order, each=1), truth.nuisance)
    assert stars.view.nuisance_covariance[0, 0] == 6400


def test_only_oracles_see_what_no_label_tells():
    track = get_task("apogee-giants-labels")
    pairs = view_split(track, "test", "tiny", "pairs", seed=0)
    assert pairs.view.unseen is None
    oracle = view_split(track, "test", "tiny", "oracle", seed=0)
    truth = track.load("test", "tiny")
    assert np.array_equal(unshuffle(oracle.view.unseen, oracle.order), truth.unseen)
    stars = view_split(track, "stars", "tiny", "oracle", seed=0)
    assert stars.view.twin is None
    assert np.array_equal(
        unshuffle(stars.view.composition, stars.order, each=1)[:, 0],
        track.load("stars", "tiny").composition,
    )
