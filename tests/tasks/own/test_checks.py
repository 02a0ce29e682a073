"""Numbers of users' own pairs that cannot be meant: each is named in one sentence."""

import json
import logging
import os
import re

import h5py
import numpy as np
import pytest

from starbench.tasks.base import SPLITS
from starbench.tasks.errors import DataError
from starbench.tasks.export import export
from starbench.tasks.own import hdf5 as own_data
from starbench.tasks.own.hdf5 import OwnData
from starbench.tasks.registry import get_task


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """Keep the memory of checks in a folder of the test."""
    monkeypatch.setenv("STARBENCH_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def put(place, index, value):
    """Return an edit that sets one number."""

    def edit(file):
        file[place][index] = value

    return edit


def copy_pairs(source, start, target, at):
    def edit(file):
        file[f"{target}/flux"][at] = file[f"{source}/flux"][start]

    return edit


def same_twin(file):
    file["train/flux"][5, 1] = file["train/flux"][5, 0]


def scale(factor):
    def edit(file):
        for split in SPLITS:
            flux = file[split]["flux"][()].astype("f8") * factor
            del file[split]["flux"]
            file[split]["flux"] = flux

    return edit


def julian(spread):
    def edit(file):
        for split in SPLITS:
            nuisance = file[split]["nuisance"][()].astype("f8")
            nuisance[..., 1] = 2459000 + spread * nuisance[..., 1]
            del file[split]["nuisance"]
            file[split]["nuisance"] = nuisance

    return edit


def wavelength(values):
    def edit(file):
        del file["wavelength"]
        file["wavelength"] = values

    return edit


def attribute(name, value, place="/"):
    def edit(file):
        file[place].attrs[name] = value

    return edit


WRONG = {
    "APOGEE's missing value in a nuisance": (
        put("validation/nuisance", (7, 1, 1), -9999), "validation/nuisance has u1 = -9999 in"),
    "a missing value in a composition": (
        put("test/composition", (3, 0), -9999.99), "test/composition has Fe/H = -9999.99"),
    "another missing value in a composition": (
        put("train/composition", (3, 1), -999), "train/composition has Mg/Fe = -999 in pair 3"),
    "another missing value": (put("train/nuisance", (2, 0, 0), -999), "u0 = -999 in pair 2, far"),
    "a value far outside the rest": (
        put("test/nuisance", (4, 0, 0), 3e4), "test/nuisance has u0 = 30000 in pair 4, far"),
    "a missing value in the flux": (
        put("train/flux", (8, 1, 5), -9999), "train/flux is -9999 in pair 8, which stands for"),
    "a spectrum twice in a split": (
        copy_pairs("test", 1, "test", 9), "pair 1 of test and pair 9 of test hold the same"),
    "a spectrum in the two splits that are not train": (
        copy_pairs("validation", 3, "test", 9), "pair 3 of validation and pair 9 of test hold the"),
    "a spectrum in two splits": (
        copy_pairs("train", 3, "test", 9), "pair 3 of train and pair 9 of test hold the same"),
    "a twin that is the same spectrum": (same_twin, "the two spectra of pair 5 of train are the"),
    "flux whose squares float32 does not hold": (scale(1e-25), "flux is 1.3e-25, whose"),
    "flux that float32 does not hold": (scale(1e-60), "the largest flux is 0, whose squares"),
    "a date whose changes float32 does not hold": (
        julian(0.01), "u1 has the same value in all spectra of train as float32"),
    "a date whose changes float32 rounds": (
        julian(0.4), "has steps of 0.25; subtract a constant"),
    "wavelengths finer than float32": (
        wavelength(np.linspace(15200, 15200.01, 12).astype("f4")), "store it as float64"),
    "a name longer than a row's": (
        attribute("nuisance_names", ["a", "x" * 78]), "a text of 78 characters; give at most 77"),
    "a name with a terminal escape": (
        attribute("elements", ["Fe", "\x1b[31mMg"]), r"elements holds '\x1b[31mMg'; give"),
    "a unit with a line break": (attribute("nuisance_units", ["K", "d\ne"]), "units holds"),
    "more elements than a row holds": (
        attribute("elements", [f"e{i}" for i in range(191)]), "elements has 191 names; give"),
    "a name that is not UTF-8": (
        attribute("elements", np.array([b"Fe", b"\xed\xa0"])), r"holds '\udced\udca0'; give"),
    "a name with a direction mark": (attribute("elements", ["Fe", "\u202eMg"]), "printable"),
    "a unit longer than a row's": (
        attribute("nuisance_units", ["K", "d" * 78]), "nuisance_units holds 'dddd"),
    "a unit of wavelengths longer than a row's": (
        attribute("unit", "A" * 78, "wavelength"), "wavelength_unit holds 'AAAA"),
    "more pixels than there may be": (
        wavelength(np.arange(2**20 + 1.0)), "wavelength has 1048577 values; give at most 1048576"),
    "a list of names without end": (
        attribute("elements", np.zeros((60, 60), "S2")), "elements cannot be read (it is"),
}  # fmt: skip


@pytest.mark.parametrize(("edit", "sentence"), WRONG.values(), ids=WRONG)
def test_wrong_numbers_and_names_are_named_in_one_sentence(pairs_file, edit, sentence):
    path = pairs_file(n=(40, 20, 20))
    with h5py.File(path, "r+") as file:
        edit(file)
    with pytest.raises(DataError, match=re.escape(sentence)) as caught:
        OwnData(path).prepare("own", progress=False)
    text = str(caught.value)
    assert text.startswith(str(path)) and text.endswith(".") and text.isprintable()


def test_unusual_but_sound_labels_are_accepted(pairs_file):
    path = pairs_file(n=(40, 20, 20), n_nuisance=3)
    rng = np.random.default_rng(3)
    with h5py.File(path, "r+") as file:
        for split in SPLITS:
            shape = file[split]["nuisance"].shape[:2]
            columns = [
                rng.integers(-101, -97, shape),  # -99 is a value among others
                rng.lognormal(0, 1.5, shape),
                rng.integers(0, 2, shape),
            ]
            file[split]["nuisance"][...] = np.stack(columns, axis=-1)
    task = OwnData(path)
    task.prepare("own", progress=False)
    assert (task.load("test", "own").nuisance[..., 0] < -97).all()


def test_an_attribute_of_gigabytes_is_refused_without_taking_them(pairs_file):
    path = pairs_file()
    with h5py.File(path, "r+") as file:
        file["wavelength"].attrs["unit"] = "Angstrom"
    content = bytearray(path.read_bytes())
    at = content.index(b"unit\0")
    length = content.index(b"\x08\0\0\0", at + 40)  # of the text "Angstrom"
    content[length + 3] = 0xFF
    path.write_bytes(content)
    with pytest.raises(DataError, match="the attribute unit cannot be read"):
        OwnData(path)


def test_optional_parts_that_are_links_are_refused(pairs_file):
    path = pairs_file()
    with h5py.File(path, "r+") as file:
        for split in SPLITS:
            del file[split]["composition"]
            file[split]["composition"] = h5py.ExternalLink("other.h5", "composition")
    with pytest.raises(DataError, match=r"train/composition; add it \(links are refused\)"):
        OwnData(path)


def test_datasets_that_nothing_reads_are_named(pairs_file, caplog):
    path = pairs_file(**{"train/airmass": np.ones(3), "notes": np.ones(2)})
    with caplog.at_level(logging.WARNING):
        OwnData(path).prepare("own", progress=False)
    assert f"{path}: nothing reads notes, train/airmass." in caplog.text


@pytest.mark.parametrize("place", ["mask", "train/mask", "test/flux_error", "validation/ivar"])
def test_masks_and_errors_under_other_names_are_refused(pairs_file, place):
    path = pairs_file(**{place: np.ones(3)})
    split = place.rpartition("/")[0] or "train"
    with pytest.raises(DataError, match=f"nothing reads {place}; give {split}/error, the standard"):
        OwnData(path)


def test_odd_names_of_datasets_that_nothing_reads_are_made_printable(pairs_file, caplog):
    path = pairs_file(**{"\x1b[2J": np.ones(3), "x" * 500: np.ones(2)})
    with caplog.at_level(logging.WARNING):
        OwnData(path).prepare("own", progress=False)
    assert f"{path}: nothing reads \\x1b[2J, {'x' * 80}...." in caplog.text


def test_a_file_is_checked_once(pairs_file, cache, monkeypatch):
    path = pairs_file()
    fingerprint = OwnData(path).fingerprint("own")

    def refuse(*_):
        raise AssertionError("the file is read again")

    with monkeypatch.context() as patch:
        patch.setattr(own_data.NumberCheck, "add", refuse)
        again = OwnData(path)
        assert again.fingerprint("own") == fingerprint
        with pytest.raises(AssertionError, match="read again"):  # `data verify` reads everything
            list(again.problems("own", progress=False))
        os.utime(path, ns=(1, 1))
        with pytest.raises(AssertionError, match="read again"):
            OwnData(path).prepare("own", progress=False)
    for stamp in cache.glob("checked/*"):
        stamp.write_text("damaged")
    assert OwnData(path).fingerprint("own") == fingerprint


def shards(folder):
    for split in SPLITS:
        (folder / f"{split}.parquet").rename(folder / f"{split}-00000-of-00002.parquet")
        (folder / f"{split}-00001-of-00002.parquet").write_bytes(
            (folder / f"{split}-00000-of-00002.parquet").read_bytes()
        )


def one_missing(folder):
    (folder / "test-00001-of-00002.parquet").unlink()


def other_total(folder):
    (folder / "test-00001-of-00002.parquet").rename(folder / "test-00001-of-00003.parquet")


def first_missing(folder):
    (folder / "train-00000-of-00002.parquet").unlink()


def doubled(folder):
    (folder / "test-0-of-2.parquet").write_bytes(b"")


def of_none(folder):
    for path in folder.glob("test-*"):
        path.rename(folder / path.name.replace("of-00002", "of-00000"))


def two_layouts(folder):
    (folder / "test.parquet").write_bytes(b"")


def two_folders(folder):
    (folder / "data").mkdir()
    (folder / "data" / "test-00000-of-00001.parquet").write_bytes(b"")


@pytest.mark.parametrize(
    ("edit", "sentence"),
    [
        (one_missing, "has the pieces 0 of 2, which are numbered from 0; add those of test"),
        (first_missing, "has the pieces 1 of 2, which are numbered from 0; add those of train"),
        (doubled, "holds test twice, as"),
        (of_none, "has the pieces 0, 1 of 0, which are numbered from 0"),
        (other_total, "holds test twice, as"),
        (two_layouts, "holds test twice, as"),
        (two_folders, "holds test twice, as"),
    ],
)
def test_pieces_that_are_missing_or_doubled_are_named(pairs_file, tmp_path, edit, sentence):
    folder = tmp_path / "parquet"
    export(OwnData(pairs_file()), "own", folder, "parquet", progress=False)
    shards(folder)
    edit(folder)
    with pytest.raises(DataError, match=re.escape(sentence)):
        get_task(data=folder, progress=False)


@pytest.mark.usefixtures("collector_off")
@pytest.mark.parametrize("text", ["[" * 10**5, json.dumps({"wavelength": [10**400]})])
def test_metadata_that_cannot_be_read_are_named(text):
    from starbench.tasks.storage.about import About

    content = text
    if text.startswith("{"):
        names = {"nuisance_names": ["a"], "nuisance_units": ["K"]}
        content = json.dumps({**json.loads(text), **names})
    with pytest.raises(DataError, match="its metadata `starbench`"):
        About.from_json(content, "pairs")


def test_what_a_library_says_is_made_printable():
    assert str(DataError("unknown type: \x0f.")) == "unknown type: \\x0f."
