import json

import h5py
import mlcroissant
import numpy as np
import pytest
from support.toy_survey import SIZES, ToySurvey
from support.toy_task import ToyTask

from starbench.tasks.errors import DataError
from starbench.tasks.export import export
from starbench.tasks.registry import get_task
from starbench.tasks.survey.choices import Choices
from starbench.tasks.survey.importing import import_survey

FIELDS = ("flux", "error", "nuisance", "nuisance_error", "composition")


@pytest.mark.parametrize("name", ["parquet", "fits", "survey.h5"])
def test_a_survey_comes_back_as_it_was_exported(tmp_path, name):
    export(ToySurvey(), "tiny", tmp_path / name, name if "." not in name else None, progress=False)
    export(ToySurvey(), "tiny", tmp_path / "direct.h5", progress=False)
    imported = import_survey([tmp_path / name], tmp_path / "back.h5", Choices(), progress=False)
    assert imported.report.dropped == [] and len(imported.stars) == sum(SIZES.values())
    with h5py.File(tmp_path / "direct.h5") as one, h5py.File(tmp_path / "back.h5") as two:
        for split in SIZES:
            for field in FIELDS:
                np.testing.assert_array_equal(one[split][field][:], two[split][field][:])
            assert (one[split]["identifier"][:] == two[split]["identifier"][:]).all()
            before, after = one[split]["group"][:], two[split]["group"][:]
            same = before[:, None] == before
            np.testing.assert_array_equal(same, after[:, None] == after)
        np.testing.assert_array_equal(one["wavelength"][:], two["wavelength"][:])
        assert two.attrs["elements"].tolist() == ["Fe/H", "Mg/Fe"]


@pytest.mark.parametrize("form", ["hdf5", "parquet"])
def test_the_halves_of_pairs_become_siblings(tmp_path, form):
    out = tmp_path / ("pairs.h5" if form == "hdf5" else "pairs")
    task = ToyTask(n_pixels=60, n_pairs=(6, 4, 3))
    export(task, "tiny", out, form, twins=True, progress=False)
    imported = import_survey(
        [out], tmp_path / "stars.h5", Choices(), cache=tmp_path / "cache", progress=False
    )
    assert imported.report.dropped == []
    with h5py.File(tmp_path / "stars.h5") as file:
        expected = task.make("test", 0, 3)
        np.testing.assert_array_equal(file["test/flux"][:], expected.flux.reshape(6, 60))
        np.testing.assert_array_equal(file["test/nuisance"][:], expected.nuisance.reshape(6, 2))
        group = file["test/group"][:]
        np.testing.assert_array_equal(group[::2], group[1::2])
        assert len(set(group)) == 3 and "error" not in file["test"]


def test_the_noise_that_pairs_declare_becomes_errors(tmp_path):
    export(ToyTask(), "tiny", tmp_path / "pairs.h5", twins=True, progress=False)
    with h5py.File(tmp_path / "pairs.h5", "a") as file:
        file.attrs["snr"] = 50.0
    imported = import_survey(
        [tmp_path / "pairs.h5"], tmp_path / "stars.h5", Choices(), progress=False
    )
    np.testing.assert_allclose(imported.stars["snr"], 50, rtol=0.2)
    with h5py.File(tmp_path / "stars.h5") as file:
        for split in SIZES:
            assert (file[split]["error"][:] == np.float32(1 / 50)).all()


def test_an_exported_survey_is_not_read_without_import(tmp_path):
    export(ToySurvey(), "tiny", tmp_path / "out", "parquet", progress=False)
    with pytest.raises(DataError, match="single stars; bring them into one file with `starbench "):
        get_task(data=tmp_path / "out")


def test_the_format_must_hold_what_the_task_has(tmp_path):
    with pytest.raises(DataError, match="--format datasets is for pairs; give hdf5, parquet or fi"):
        export(ToySurvey(), "tiny", tmp_path / "out", "datasets", progress=False)
    with pytest.raises(DataError, match="--format fits is for surveys"):
        export(ToyTask(), "tiny", tmp_path / "out", "fits", progress=False)

    class Elsewhere(ToySurvey):
        wavelength = ToySurvey.wavelength + 0.1

    with pytest.raises(DataError, match="hold only pixels of its grid"):
        export(Elsewhere(), "tiny", tmp_path / "out", "fits", progress=False)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("task", "form"), [(ToySurvey, "parquet"), (ToySurvey, "fits"), (ToyTask, "parquet")]
)
def test_exports_describe_themselves_in_valid_croissant(tmp_path, task, form):
    out = tmp_path / "out"
    export(task(), "tiny", out, form, progress=False)
    content = json.loads((out / "croissant.json").read_text())
    assert content["conformsTo"] == "http://mlcommons.org/croissant/1.1"
    data = mlcroissant.Dataset(jsonld=str(out / "croissant.json"))  # raises if it is not valid
    assert not data.metadata.ctx.issues.errors and not data.metadata.ctx.issues.warnings
    card = (out / "README.md").read_text()
    assert card.startswith("---\npretty_name:") and task().card.licence in card
    if form == "parquet":
        row = next(iter(data.records("train")))
        flux = (
            row["train/spectrum"]["train/spectrum/flux"] if task is ToySurvey else row["train/flux"]
        )
        expected = task().make("train", 0, 1).flux[0]
        np.testing.assert_array_equal(np.stack(flux).ravel(), expected.ravel())
    export(task(), "tiny", out, form, force=True, progress=False)  # its own files may be replaced
