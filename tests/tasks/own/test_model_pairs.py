"""Pairs of a model in a user's own survey, for methods that need twins or compositions."""

import numpy as np
import pytest
from support.surveys import fingerprint_by_hand, model_pairs, write_survey

from starbench.evaluation.views import view_split
from starbench.tasks.base import PAIRS, SPLITS
from starbench.tasks.errors import DataError
from starbench.tasks.own.checks import FIELDS
from starbench.tasks.own.hdf5 import OwnData

NO_COMPOSITION = {f"{split}/composition": None for split in SPLITS}


@pytest.fixture
def survey_file(tmp_path):
    return lambda name="survey.h5", **changes: write_survey(tmp_path / name, **changes)


def test_methods_that_need_twins_or_compositions_train_on_the_pairs(survey_file):
    pairs = model_pairs()
    task = OwnData(survey_file(**pairs))
    task.prepare("own", progress=False)
    assert task.card.has_model_pairs and task.probed_split == "validation"
    access = ("none", "nuisance", "pairs", "oracle")
    assert [task.training_split(each) for each in access] == ["train", "train", PAIRS, PAIRS]
    assert task.sizes("own") == {"train": 40, "validation": 24, "test": 30, PAIRS: 20}
    read = task.load(PAIRS, "own")
    error = pairs["pairs/error"]
    assert np.array_equal(read.flux, np.where(np.isinf(error), np.float32(1), pairs["pairs/flux"]))
    assert np.array_equal(read.error, error) and np.isinf(error).any()
    assert np.array_equal(read.nuisance, pairs["pairs/nuisance"])
    assert np.array_equal(read.nuisance_error, pairs["pairs/nuisance_error"])
    assert np.array_equal(read.composition, pairs["pairs/composition"])
    assert read.group is None and task.groups(PAIRS, "own") is None
    assert np.array_equal(task.labels_on_disk(PAIRS, "own")[0], read.nuisance)
    view = view_split(task, PAIRS, "own", "oracle", seed=0).view
    assert np.array_equal(view.composition[view.twin], view.composition)
    assert list(task.problems("own", progress=False)) == []


def test_pairs_may_have_a_composition_where_stars_have_none(survey_file):
    task = OwnData(survey_file(**NO_COMPOSITION, **model_pairs()))
    task.prepare("own", progress=False)
    assert task.elements == ("Fe/H", "Mg/Fe")
    assert [task.has_composition(split) for split in ("train", "test", PAIRS)] == [0, 0, 1]
    pairs = {**model_pairs(), "pairs/composition": None}
    task = OwnData(survey_file("neither.h5", **NO_COMPOSITION, **pairs))
    assert task.elements == () and not task.has_composition(PAIRS)


def test_the_fingerprint_holds_the_pairs(survey_file):
    prints = [OwnData(survey_file()).fingerprint("own")]
    prints.append(OwnData(survey_file("pairs.h5", **model_pairs())).fingerprint("own"))
    for field in ("flux", "error", "nuisance", "composition"):
        pairs = model_pairs()
        pairs[f"pairs/{field}"][3] *= 1.1
        prints.append(OwnData(survey_file(f"{field}.h5", **pairs)).fingerprint("own"))
    assert len(set(prints)) == len(prints)


def test_the_fingerprint_of_a_survey_without_pairs_is_that_of_the_first_releases(survey_file):
    path = survey_file()
    assert OwnData(path).fingerprint("own") == fingerprint_by_hand(path, FIELDS)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        (
            {"pairs/flux": np.ones((20, 12), "f4")},
            "pairs/flux has shape (20, 12); give [pairs, 2, pixels]",
        ),
        (
            {"pairs/flux": np.ones((20, 2, 11), "f4")},
            "pairs/flux has 11 pixels, but wavelength has 12 values",
        ),
        (
            {"pairs/nuisance": np.ones((20, 2, 3), "f4")},
            "pairs/nuisance has shape (20, 2, 3), but the flux and the attribute nuisance_names "
            "imply (20, 2, 2)",
        ),
        (
            {"pairs/composition": np.ones((20, 3), "f4")},
            "pairs/composition has shape (20, 3), but the flux and the attribute elements imply "
            "(20, 2)",
        ),
        ({"pairs/error": None}, "train has error, but pairs has not; give it in all splits or"),
        ({"pairs/ivar": np.ones((20, 2, 12), "f4")}, "nothing reads pairs/ivar; give pairs/error"),
        ({"pairs/flux": np.ones((0, 2, 12), "f4")}, "pairs holds no pairs; give at least one"),
        (
            {"pairs/nuisance": np.full((20, 2, 2), 4500, "f4")},
            "the nuisance Teff has the same value in all spectra of pairs",
        ),
    ],
)
def test_pairs_that_cannot_be_used_are_refused(survey_file, changes, sentence):
    with pytest.raises(DataError) as error:
        OwnData(survey_file(**(model_pairs() | changes))).prepare("own", progress=False)
    assert sentence in str(error.value)


def test_a_wrong_value_is_named_by_its_pair(survey_file):
    pairs = model_pairs()
    pairs["pairs/nuisance"][7, 1, 0] = np.nan
    with pytest.raises(DataError, match="pairs/nuisance holds a value that is NaN, first in pair"):
        OwnData(survey_file(**pairs)).prepare("own", progress=False)
