import dataclasses

import numpy as np
import pytest
from support.toy_task import ToySurvey

from starbench.common.paging import on_disk, rows_on_disk
from starbench.evaluation import views
from starbench.evaluation.views import (
    allowed,
    shuffled_order,
    unshuffle,
    view_split,
    without_errors,
)
from starbench.methods.base import View
from starbench.tasks.errors import DataError
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


@pytest.mark.parametrize(
    ("access", "seen"),
    [
        ("none", ""),
        ("nuisance", "nuisance nuisance_error"),
        ("pairs", "nuisance nuisance_error twin group"),
        ("oracle", "nuisance nuisance_error twin group composition unseen"),
    ],
)
def test_each_label_access_allows_its_labels_and_no_more(access, seen):
    fields = {field.name for field in dataclasses.fields(View)}
    known = {name: np.arange(3) for name in sorted(fields)}
    assert allowed(known, access).keys() == set(seen.split())
    assert allowed({"nuisance": known["nuisance"]}, access).keys() == {"nuisance"} & set(
        seen.split()
    )


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


def test_errors_of_a_survey_are_seen_by_all_and_groups_with_pairs():
    survey = ToySurvey()
    truth = survey.load("test", "tiny")
    assert truth.flux.shape == (60, 1, 60) and np.isinf(truth.error).any()
    for access in ("none", "nuisance", "pairs", "oracle"):
        stars = view_split(survey, "test", "tiny", access, seed=3)
        view, order = stars.view, stars.order
        assert len(view) == 60 and view.twin is None
        assert np.array_equal(unshuffle(view.flux, order, each=1), truth.flux)
        assert np.array_equal(unshuffle(view.error, order, each=1), truth.error)
        assert np.array_equal(stars.labels.group, truth.group)
        assert (view.group is not None) == (access in ("pairs", "oracle"))
        assert (view.nuisance_error is not None) == (access != "none")
        if view.group is not None:
            assert np.array_equal(view.group, truth.group[order])
            assert np.array_equal(unshuffle(view.nuisance, order, each=1), truth.nuisance)


def test_pairs_have_no_groups(toy_task):
    assert toy_task.groups("test", "tiny") is None
    assert np.array_equal(
        ToySurvey().groups("test", "tiny"), ToySurvey().load("test", "tiny").group
    )
    view = view_split(toy_task, "test", "tiny", "oracle", seed=0).view
    assert view.group is view.error is view.nuisance_error is None


def test_large_views_lie_in_files_and_hold_the_same(monkeypatch, tmp_path):
    monkeypatch.setenv("STARBENCH_CACHE", str(tmp_path))
    in_memory = view_split(ToySurvey(), "train", "tiny", "none", seed=3).view
    monkeypatch.setattr(views, "LARGEST_IN_MEMORY", 100)
    mapped = view_split(ToySurvey(), "train", "tiny", "none", seed=3)
    view = mapped.view
    assert on_disk(view.flux) and on_disk(view.error) and not on_disk(in_memory.flux)
    assert np.array_equal(view.flux, in_memory.flux)
    assert np.array_equal(view.error, in_memory.error)
    assert list(tmp_path.iterdir()) == []  # the file has no name
    masked = np.isinf(in_memory.error)
    filled = without_errors(mapped, np.full(60, 7, np.float32)).view
    assert filled.error is None
    assert np.array_equal(filled.flux, np.where(masked, 7, in_memory.flux))


def test_large_views_lie_in_the_cache_of_the_task(monkeypatch, tmp_path):
    folders = []

    def rows(shape, folder):
        folders.append(folder)
        return rows_on_disk(shape, folder)

    monkeypatch.setenv("STARBENCH_CACHE", str(tmp_path / "not-this-one"))
    monkeypatch.setattr(views, "LARGEST_IN_MEMORY", 100)
    monkeypatch.setattr(views, "rows_on_disk", rows)
    task = ToySurvey()
    task._cache = tmp_path
    view_split(task, "train", "tiny", "none", seed=3)
    assert set(folders) == {tmp_path}


def test_a_disk_without_room_is_named(tmp_path):
    with pytest.raises(DataError, match=r"has no room for .* GB of spectra in the order"):
        views._empty(10**9, 10**7, tmp_path)
