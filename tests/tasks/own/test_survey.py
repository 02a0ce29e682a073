"""Users' own surveys: errors, masks, groups, and what is wrong with them."""

import re

import h5py
import numpy as np
import pytest
from support.surveys import fingerprint_by_hand, write_survey

from starbench.common.text import one_line
from starbench.tasks.base import SPLITS
from starbench.tasks.errors import DataError
from starbench.tasks.export import export
from starbench.tasks.own import hdf5
from starbench.tasks.own.hdf5 import OwnData


@pytest.fixture
def survey_file(tmp_path):
    return lambda name="survey.h5", **changes: write_survey(tmp_path / name, **changes)


def test_a_survey_is_read_with_errors_groups_and_filled_masks(survey_file):
    path = survey_file()
    task = OwnData(path)
    task.prepare("own", progress=False)
    assert task.card.survey and task.has_errors and task.sizes("own")["test"] == 30
    stars = task.load("test", "own")
    with h5py.File(path) as file:
        flux, error = file["test/flux"][()], file["test/error"][()]
        assert np.array_equal(stars.error[:, 0], error)
        assert np.array_equal(stars.flux[:, 0], np.where(np.isinf(error), 1, flux))
        assert np.isnan(flux).any() and np.isfinite(stars.flux).all()
        assert np.array_equal(stars.group, file["test/group"][()])
        assert np.array_equal(stars.nuisance[:, 0], file["test/nuisance"][()])
        assert np.array_equal(stars.nuisance_error[:, 0], file["test/nuisance_error"][()])
        assert np.array_equal(task.groups("test", "own"), file["test/group"][()])
    assert list(task.problems("own", progress=False)) == []
    ((_, truth),) = task.noiseless_flux("test", "own")
    assert np.array_equal(np.isnan(truth), np.isinf(stars.error))


def test_garbage_in_masked_pixels_changes_no_bit(survey_file):
    path, other = survey_file(), survey_file("other.h5")
    with h5py.File(other, "r+") as file:
        for split in SPLITS:
            flux = file[split]["flux"][()]
            flux[np.isinf(file[split]["error"][()])] = -9999
            file[split]["flux"][...] = flux
    one, two = OwnData(path), OwnData(other)
    assert one.fingerprint("own") == two.fingerprint("own")
    assert np.array_equal(one.load("train", "own").flux, two.load("train", "own").flux)


def test_errors_groups_and_label_errors_are_part_of_the_fingerprint(survey_file):
    prints = {OwnData(survey_file()).fingerprint("own")}
    for place in ("train/error", "test/group", "validation/nuisance_error"):
        path = survey_file(f"{place.replace('/', '-')}.h5")
        with h5py.File(path, "r+") as file:
            values = file[place][()]
            values[-1] = 2 * values[-1] + 1
            file[place][...] = values
        prints.add(OwnData(path).fingerprint("own"))
    assert len(prints) == 4


def test_the_fingerprint_of_pairs_is_that_of_the_first_releases(pairs_file):
    path = pairs_file()
    expected = fingerprint_by_hand(path, ("flux", "nuisance", "composition"))
    assert OwnData(path).fingerprint("own") == expected


def test_pairs_may_have_errors(pairs_file):
    rng = np.random.default_rng(1)
    sizes = dict(zip(SPLITS, (6, 4, 4), strict=True))
    errors = {f"{s}/error": rng.uniform(0.1, 0.2, (n, 2, 12)) for s, n in sizes.items()}
    errors["train/error"][2, 1, 3] = np.inf
    path = pairs_file(**errors)
    task = OwnData(path)
    pairs = task.load("train", "own")
    assert pairs.group is None and pairs.error.shape == (6, 2, 12)
    assert pairs.flux[2, 1, 3] == 1 and np.isinf(pairs.error[2, 1, 3])
    assert task.fingerprint("own") != OwnData(pairs_file("no errors.h5")).fingerprint("own")


def test_stars_without_an_unmasked_pixel_are_left_out_and_counted(survey_file, caplog):
    path = survey_file()
    with h5py.File(path, "r+") as file:
        error = file["train/error"][()]
        error[[3, 39]] = np.inf
        file["train/error"][...] = error
    for _ in range(2):  # read, then remembered
        task = OwnData(path)
        caplog.clear()
        task.prepare("own", progress=False)
        assert (
            f"{path}: all pixels are masked of 2 of the 40 stars of train, the first of which is "
            "star 3 (train star 3); they are left out."
        ) in caplog.text
        assert task.dropped == {"train": 2}
        assert task.sizes("own") == {"train": 38, "validation": 24, "test": 30}
        kept = np.delete(np.arange(40), [3, 39])
        stars = task.load("train", "own")
        with h5py.File(path) as file:
            assert np.array_equal(stars.nuisance[:, 0], file["train/nuisance"][()][kept])
            assert np.array_equal(stars.group, file["train/group"][()][kept])
        assert np.array_equal(task.labels_on_disk("train", "own")[0], stars.nuisance)
        assert np.array_equal(task.groups("train", "own"), stars.group)
        assert np.array_equal(task.make("train", 2, 5).flux, stars.flux[2:5])
    with pytest.raises(DataError, match="allow a larger share with --max-dropped"):
        OwnData(path, max_dropped=0.04).prepare("own", progress=False)
    for share in (1.5, "0.1", float("nan")):
        with pytest.raises(DataError, match=f"--max-dropped is {share!r}; give a share from 0 to"):
            OwnData(path, max_dropped=share)


def put(place, index, value):
    def edit(file):
        values = file[place][()]
        values[index] = value
        file[place][...] = values

    return edit


def replace(place, value):
    def edit(file):
        del file[place]
        if value is not None:
            file[place] = value

    return edit


def attribute(name, value):
    def edit(file):
        file.attrs[name] = value

    return edit


WRONG = {
    "an error of zero": (
        put("train/error", (7, 2), 0),
        "train/error is 0 in pixel 2 of star 7 (train star 7); give a standard deviation above 0"),
    "a negative error": (put("test/error", (5, 0), -0.1), "test/error is -0.1 in pixel 0 of star"),
    "an error that is not a number": (put("test/error", (5, 0), np.nan), "error is nan in"),
    "a negative error of a label": (
        put("test/nuisance_error", (5, 1), -1), "nuisance_error is -1 in star 5 (test star 5)"),
    "a flux that is not a number and not masked": (
        lambda file: (put("train/flux", (4, 1), np.nan)(file), put("train/error", (4, 1), 1)(file)),
        "NaN, first in star 4 (train star 4); correct that star, or give an infinite error where"),
    "a missing label": (
        put("test/nuisance", (5, 0), -9999), "test/nuisance has Teff = -9999 in star 5 (test star"),
    "the same spectrum twice": (
        lambda file: [
            put(f"train/{name}", 9, file[f"train/{name}"][8])(file) for name in ("flux", "error")],
        "star 8 (train star 8) of train and star 9 (train star 9) of train hold the same"),
    "groups of another length": (
        replace("test/group", np.arange(29)), "test/group is int64 (29,); give one integer for"),
    "groups that are no integers": (
        replace("test/group", np.zeros(30)), "test/group is float64 (30,); give one integer for"),
    "no groups": (replace("validation/group", None), "has no validation/group; add one integer"),
    "no siblings in test": (
        replace("test/group", np.arange(30)), "no star of test has a sibling"),
    "a star in two splits": (
        put("test/identifier", 3, "train star 2"), "train star 2 is in train and in test; keep"),
    "a star in two groups": (
        put("test/identifier", 9, "test star 20"), "is in two groups of test, 6 and 17; give"),
    "identifiers of another length": (
        replace("test/identifier", ["a"]), "test/identifier is object (1,); give one text of"),
    "identifiers that are numbers": (
        replace("test/identifier", np.arange(30)), "test/identifier is int64 (30,); give one text"),
    "errors in one split only": (
        replace("validation/error", None), "train has error, but validation has not; give it in"),
    "errors of another shape": (
        replace("test/error", np.ones((30, 11))), "test/error has shape (30, 11), but the flux"),
    "pairs in one split": (
        replace("test/flux", np.ones((30, 2, 12))), "train/flux is that of stars, [stars, pix"),
    "errors and an SNR": (attribute("snr", 50.0), "holds errors and the attribute snr; remove snr"),
    "a mask beside the flux": (
        lambda file: file.create_dataset("train/mask", data=np.zeros((40, 12), bool)),
        "nothing reads train/mask; give train/error"),
    "single stars beside a survey": (
        lambda file: file.copy("train", "stars"), "is a survey, whose splits all hold stars; move"),
}  # fmt: skip


@pytest.mark.parametrize(("edit", "sentence"), WRONG.values(), ids=WRONG)
def test_what_is_wrong_is_named_in_one_sentence(survey_file, edit, sentence):
    path = survey_file()
    with h5py.File(path, "r+") as file:
        edit(file)
    with pytest.raises(DataError, match=re.escape(sentence)) as caught:
        OwnData(path).prepare("own", progress=False)
    text = str(caught.value)
    assert text.startswith(str(path)) and text.endswith(".") and one_line(text) == text


def test_visits_of_one_star_share_identifier_and_group(survey_file):
    path = survey_file()
    with h5py.File(path, "r+") as file:
        put("test/identifier", 1, "test star 0")(file)
    task = OwnData(path)
    task.prepare("own", progress=False)
    group = task.load("test", "own").group
    assert group[0] == group[1]


def test_a_survey_with_errors_takes_no_snr(survey_file):
    with pytest.raises(DataError, match="holds errors, which say how large the noise is; remove"):
        OwnData(survey_file(), snr=50)


def test_a_survey_is_exported_as_it_was_read(survey_file, tmp_path, monkeypatch):
    monkeypatch.setattr(hdf5, "_CHUNK_BYTES", 8 * 12 * 7)  # in several pieces
    task = OwnData(survey_file())
    out = tmp_path / "again.h5"
    export(task, "own", out, progress=False)
    again = OwnData(out)
    assert again.card.survey
    assert again.fingerprint("own") == task.fingerprint("own")
    with h5py.File(out) as file:
        assert file["train/flux"].shape == (40, 12) and file["train/group"].dtype == "<i8"
