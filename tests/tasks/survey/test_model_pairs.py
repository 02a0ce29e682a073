"""Pairs of a model in the file of an import, and in exports."""

import json

import h5py
import numpy as np
import pytest
from support import survey_files as made
from support.surveys import model_pairs, write_survey
from support.toy_survey import ToySurveyWithPairs
from support.toy_task import ToyTask

from starbench.tasks.base import PAIRS, SPLITS
from starbench.tasks.card import Card
from starbench.tasks.errors import DataError
from starbench.tasks.export import export
from starbench.tasks.own.hdf5 import OwnData
from starbench.tasks.survey.choices import Choices
from starbench.tasks.survey.importing import import_survey
from starbench.tasks.survey.model_pairs import PairsOf


@pytest.fixture
def bring(tmp_path):
    """Import stars, with some labels left out, and pairs of a task."""

    def bring(task=None, without=(), changes=None, **choices):
        content = made.rows(12)
        content["mg_fe"][0] = 0.0
        content["object_id"] = [f"star{n % 8}" for n in range(12)]  # four with a second visit
        content |= changes or {}
        rows = {name: values for name, values in content.items() if name not in without}
        made.write_rows(tmp_path / "rows.parquet", rows)
        pairs = PairsOf(task or ToySurveyWithPairs(), "tiny")
        out = tmp_path / "stars.h5"
        imported = import_survey(
            [tmp_path / "rows.parquet"], out, Choices(**choices), pairs=pairs, force=True,
            progress=False,
        )  # fmt: skip
        return OwnData(out, cache=tmp_path / "cache"), " ".join(imported.report.notes)

    return bring


def test_an_import_takes_the_pairs_of_a_task(bring):
    task, notes = bring()
    assert task.card.has_model_pairs
    assert "12 pairs of toy-survey-with-pairs, version 1, scale tiny, are there for" in notes
    expected, read = ToySurveyWithPairs().load(PAIRS, "tiny"), task.load(PAIRS, "own")
    for field in ("flux", "error", "nuisance"):
        np.testing.assert_array_equal(getattr(read, field), getattr(expected, field))
    assert (read.nuisance_error == np.float32([80, 0.12])).all()  # that the task's card states
    with h5py.File(task.path) as file:
        provenance = json.loads(file.attrs["provenance"])
    assert provenance["pairs"] == {
        "task": "toy-survey-with-pairs",
        "version": 1,
        "scale": "tiny",
        "fingerprint": "0" * 16,
        "number": 12,
    }


def test_stars_and_pairs_have_the_same_elements(bring):
    task, notes = bring(changes={"ce_fe": [0.1] * 12})
    assert task.elements == ("Fe/H", "Mg/Fe") and task.has_composition("test")
    assert "left out: Ce/Fe of the stars and Si/Fe of the pairs." in notes
    expected = ToySurveyWithPairs().load(PAIRS, "tiny").composition
    np.testing.assert_array_equal(task.load(PAIRS, "own").composition, expected[:, [0, 2]])


def test_pairs_keep_their_composition_where_stars_have_none(bring):
    task, notes = bring(without=("fe_h", "mg_fe"))
    assert task.elements == ("Fe/H", "Si/Fe", "Mg/Fe") and "left out: " not in notes
    assert [task.has_composition(split) for split in (*SPLITS, PAIRS)] == [0, 0, 0, 1]
    expected = ToySurveyWithPairs().load(PAIRS, "tiny").composition
    np.testing.assert_array_equal(task.load(PAIRS, "own").composition, expected)


def test_labels_without_errors_have_none_in_pairs_either(bring):
    task, _ = bring(without=("teff_err", "logg_err"))
    assert task.load(PAIRS, "own").nuisance_error is None


class OtherPixels(ToySurveyWithPairs):
    wavelength = ToySurveyWithPairs.wavelength + 0.1


class OtherUnits(ToySurveyWithPairs):
    card = Card(**dict(ToySurveyWithPairs.card) | {"nuisance_units": ("kK", "dex")})


class WithoutErrors(ToySurveyWithPairs):
    def make(self, split, start, stop):
        made = super().make(split, start, stop)
        return type(made)(made.flux, made.nuisance, made.composition, made.flux)


@pytest.mark.parametrize(
    ("task", "choices", "sentence"),
    [
        (
            OtherPixels,
            {},
            "has other pixels (7,214 from 15168.23 to 16936.85 Angstrom) than the import (7,214 "
            "from 15168.13 to 16936.75 Angstrom); give another --pixels, or remove --pairs-of.",
        ),
        (
            OtherUnits,
            {},
            "has the nuisances Teff [kK] and logg [dex], but the import has Teff [K] and logg "
            "[dex]; give the same in the same order with --nuisance",
        ),
        (ToySurveyWithPairs, {"nuisances": ("logg", "Teff")}, "but the import has logg [dex] and"),
        (
            WithoutErrors,
            {},
            "The spectra of the import have errors, but those of --pairs-of toy-survey-with-pairs "
            "have none",
        ),
    ],
)
def test_pairs_that_do_not_fit_are_refused(bring, tmp_path, task, choices, sentence):
    with pytest.raises(DataError) as error:
        bring(task(), **choices)
    assert sentence in str(error.value)
    assert not (tmp_path / "stars.h5").exists()


def test_a_task_without_pairs_or_scale_is_refused():
    with pytest.raises(DataError, match="--pairs-of toy has no pairs of a model; give a"):
        PairsOf(ToyTask(), "tiny")
    with pytest.raises(DataError, match="--pairs-scale full does not exist for toy-survey-with-"):
        PairsOf(ToySurveyWithPairs(), "full")


@pytest.mark.parametrize("stars_have_composition", [True, False])
def test_exports_as_hdf5_hold_the_pairs_and_others_say_that_they_do_not(
    tmp_path, caplog, stars_have_composition
):
    changes = {} if stars_have_composition else {f"{split}/composition": None for split in SPLITS}
    task = OwnData(write_survey(tmp_path / "survey.h5", **changes, **model_pairs()))
    export(task, "own", tmp_path / "again.h5", progress=False)
    assert not caplog.records
    assert OwnData(tmp_path / "again.h5").fingerprint("own") == task.fingerprint("own")
    export(task, "own", tmp_path / "rows", progress=False)
    assert "The pairs of own-data-survey, on which methods that need twins" in caplog.text
    back = import_survey([tmp_path / "rows"], tmp_path / "back.h5", Choices(), progress=False)
    assert not any("ratios" in note for note in back.report.notes)
    with h5py.File(tmp_path / "back.h5") as file:
        assert PAIRS not in file and ("composition" in file["train"]) == stars_have_composition


def test_an_export_of_a_task_holds_its_pairs(tmp_path):
    export(ToySurveyWithPairs(), "tiny", tmp_path / "task.h5", progress=False)
    task = OwnData(tmp_path / "task.h5")
    expected, read = ToySurveyWithPairs().load(PAIRS, "tiny"), task.load(PAIRS, "own")
    np.testing.assert_array_equal(read.flux, expected.flux)
    np.testing.assert_array_equal(read.composition, expected.composition)


def test_an_import_says_that_pairs_of_its_sources_are_left_out(tmp_path):
    source = write_survey(tmp_path / "survey.h5", **model_pairs())
    imported = import_survey([source], tmp_path / "new.h5", Choices(), progress=False)
    assert (
        f"The pairs of {source} to train on are left out; --pairs-of takes those of a task."
        in imported.report.notes
    )
    with h5py.File(tmp_path / "new.h5") as file:
        assert PAIRS not in file
