"""Pairs as rows: what is wrong with them is said in one sentence, before anything is kept."""

import json
import os
import re
from pathlib import Path

import datasets
import numpy as np
import pytest

from starbench.tasks.base import SPLITS
from starbench.tasks.errors import DataError
from starbench.tasks.own import hugging_face
from starbench.tasks.registry import get_task

ABOUT = {
    "wavelength": [5000.0, 5001.0, 5002.5],
    "nuisance_names": ["Teff"],
    "nuisance_units": ["K"],
    "elements": ["Fe/H", "Mg/Fe"],
}


def columns(n=5, seed=0, about=ABOUT):
    rng = np.random.default_rng(seed)
    return {
        "flux": rng.normal(1, 0.1, (n, 2, 3)).astype("f4"),
        "nuisance": rng.normal(size=(n, 2, 1)).astype("f4"),
        "composition": rng.normal(size=(n, 2)).astype("f4"),
        "starbench": [json.dumps(about)] + [None] * (n - 1),
    }


def data_set(edit=None, about=ABOUT, **features):
    """Three splits as anyone would make them with `datasets`, by default without fixed lengths."""
    splits = {}
    for i, split in enumerate(SPLITS):
        content = {
            name: x.tolist() if isinstance(x, np.ndarray) else x
            for name, x in columns(seed=i, about=about).items()
        }
        if edit is not None:
            edit(split, content)
        if content:
            splits[split] = datasets.Dataset.from_dict(content, **features)
    return datasets.DatasetDict(splits)


@pytest.fixture
def load(tmp_path, monkeypatch):
    """Load a data set as if it came from the Hub."""

    def from_hub(splits, name="user/pairs-v1.0"):
        def load_dataset(path, **options):
            assert path == name and not options
            return splits

        monkeypatch.setattr(datasets, "load_dataset", load_dataset)
        return get_task(data=Path(name), cache=tmp_path / "cache", progress=False)

    return from_hub


def kept(tmp_path):
    return sorted(path.name for path in tmp_path.glob("cache/*"))


def test_a_data_set_of_the_hub_is_a_task(load, tmp_path):
    task = load(data_set())
    assert task.name == "own-data-pairs-v1-0"
    assert task.reference == "pairs in user/pairs-v1.0 of the Hugging Face Hub"
    assert (task.nuisance_names, task.nuisance_units) == (("Teff",), ("K",))
    assert task.elements == ("Fe/H", "Mg/Fe") and task.wavelength_unit == "Angstrom"
    for i, split in enumerate(SPLITS):
        for name in ("flux", "nuisance", "composition"):
            assert np.array_equal(getattr(task.load(split, "own"), name), columns(seed=i)[name])


def test_rows_are_copied_once_for_each_content(load, tmp_path):
    load(data_set())
    (copy,) = tmp_path.glob("cache/*")
    written = copy.stat()
    load(data_set())
    assert kept(tmp_path) == [copy.name]
    again = copy.stat()
    assert (again.st_ino, again.st_mtime_ns) == (written.st_ino, written.st_mtime_ns)
    other = load(data_set(about={**ABOUT, "nuisance_units": ["kK"]}))
    assert len(kept(tmp_path)) == 2 and other.nuisance_units == ("kK",)


def test_array_columns_and_other_float_types_are_read(load):
    features = datasets.Features(
        {
            "flux": datasets.Array2D((2, 3), "float64"),
            "nuisance": datasets.Array2D((2, 1), "float32"),
            "composition": datasets.LargeList(datasets.Value("float32")),
            "starbench": datasets.Value("string"),
        }
    )
    task = load(data_set(features=features))
    assert np.array_equal(task.load("test", "own").flux, columns(seed=2)["flux"])
    assert np.array_equal(task.load("test", "own").composition, columns(seed=2)["composition"])


def test_rows_are_read_in_chunks(load, monkeypatch):
    monkeypatch.setattr(hugging_face, "_CHUNK_BYTES", 2 * 8 * 3)
    task = load(data_set())
    assert np.array_equal(task.load("train", "own").flux, columns()["flux"])


def test_folders_of_every_kind_are_read(tmp_path):
    splits = data_set()
    splits.save_to_disk(str(tmp_path / "saved"))
    for split in SPLITS:  # in pieces, as the Hub has them
        for i in range(2):
            shard = splits[split].shard(2, i, contiguous=True)
            shard.to_parquet(str(tmp_path / "clone/data" / f"{split}-0000{i}-of-00002.parquet"))
    tasks = [
        get_task(data=tmp_path / name, cache=tmp_path / "cache", progress=False)
        for name in ("saved", "clone")
    ]
    assert tasks[0].fingerprint("own") == tasks[1].fingerprint("own")
    assert [task.name for task in tasks] == ["own-data-saved", "own-data-clone"]


def drop(*names, where=SPLITS):
    def edit(split, content):
        for name in names if split in where else ():
            del content[name]

    return edit


def put(name, make, where="validation"):
    def edit(split, content):
        if split == where:
            content[name] = make(content[name])

    return edit


def about(**changes):
    return {"about": {key: x for key, x in {**ABOUT, **changes}.items() if x is not None}}


WRONG = {
    "a missing split": (
        {"edit": lambda split, x: split == "test" and x.clear()}, "has no split test; it needs"),
    "a missing column": ({"edit": drop("nuisance", where="test")}, "test has no column nuisance;"),
    "no metadata": ({"edit": drop("starbench")}, "does not state its wavelengths and nuisances"),
    "metadata that are no JSON": (
        {"edit": put("starbench", lambda x: ["Teff", *x[1:]], "train")}, "is not JSON ("),
    "metadata that are a list": ({"about": [1]}, "is not a JSON object"),
    "no wavelengths": (about(wavelength=None), "needs wavelength, a list of numbers; add it"),
    "wavelengths as texts": (about(wavelength=["a"] * 3), "needs wavelength, a list of numbers"),
    "no names": (about(nuisance_names=None), "needs nuisance_names, a list of strings; add it"),
    "wavelengths in water": (
        about(wavelength_medium="water"),
        "`starbench`, wavelength_medium is 'water'; write vacuum or air"),
    "one name as a text": (about(nuisance_names="Teff"), "needs nuisance_names, a list of strings"),
    "no units": (about(nuisance_units=None), "needs nuisance_units, a list of strings; add it"),
    "no elements": (about(elements=None), "has no elements, but train has a composition"),
    "wavelengths that fall": (about(wavelength=[3, 2, 1]), "wavelength does not increase from"),
    "a name too many": (
        about(nuisance_names=["Teff", "log g"]), "train/nuisance holds 1 values instead of 2;"),
    "a unit too few": (about(nuisance_units=[]), "nuisance_units has 0 units for 1 nuisance_names"),
    "another number of pixels": (
        about(wavelength=[1.0, 2.0]), "train/flux holds 3 values instead of 2; each row needs 2"),
    "a short spectrum": (
        {"edit": put("flux", lambda x: [[x[0][0], [1.0]], *x[1:]])},
        "validation/flux holds 1 values instead of 3; each row needs 2 x 3 numbers, acc"),
    "a spectrum without twin": (
        {"edit": put("flux", lambda x: [x[0][:1], *x[1:]])}, "flux holds 1 values instead of 2"),
    "an empty row": (
        {"edit": put("flux", lambda x: [None, *x[1:]])}, "validation/flux is empty in some row"),
    "an empty number": (
        {"edit": put("nuisance", lambda x: [[[None], [1.0]], *x[1:]])}, "nuisance lacks a number"),
    "one number a row": (
        {"edit": put("nuisance", lambda x: [1.0] * len(x))},
        "validation/nuisance holds double; each row needs 2 x 1 numbers"),
    "whole numbers": (
        {"edit": put("nuisance", lambda x: [[[1], [2]]] * len(x))},
        "validation/nuisance is of type int64; store it as float32 or float64"),
    "some compositions": (
        {"edit": put("composition", lambda x: [None, *x[1:]])},
        "validation has no composition in 1 of 5 rows; give it in all or in none"),
    "a composition of test only": (
        {"edit": drop("composition", where=SPLITS[:2])}, "give it in all splits or in none"),
}  # fmt: skip


@pytest.mark.parametrize(("changes", "sentence"), WRONG.values(), ids=WRONG)
def test_invalid_rows_are_refused_in_one_sentence(load, tmp_path, changes, sentence):
    with pytest.raises(DataError, match=re.escape(sentence)) as caught:
        load(data_set(**changes))
    text = str(caught.value)
    assert text.startswith("user/pairs-v1.0") and text.endswith(".") and "\n" not in text
    assert kept(tmp_path) == []


def test_a_number_that_is_not_finite_is_refused_as_in_hdf5(load):
    task = load(data_set(put("flux", lambda x: [*x[:3], [[float("nan")] * 3] * 2, x[4]])))
    sentence = "user/pairs-v1.0: validation/flux holds a value that is NaN, first in pair 3;"
    with pytest.raises(DataError, match=re.escape(sentence)):
        task.prepare("own", progress=False)


def test_a_data_set_that_cannot_be_loaded_is_named(monkeypatch, tmp_path):
    def load_dataset(path):
        raise ConnectionError("no route\nto host")

    monkeypatch.setattr(datasets, "load_dataset", load_dataset)
    sentence = (
        "nobody/pairs is neither a file nor a folder here, and cannot be loaded from the Hub "
        "(no route to host); check the name"
    )
    with pytest.raises(DataError, match=re.escape(sentence)):
        get_task(data=Path("nobody/pairs"), cache=tmp_path)


@pytest.mark.parametrize(
    "name", ["nowhere.h5", "nowhere", "data/pairs.h5", "data/pairs.parquet", "../user/pairs",
             "/user/pairs", "a/b/c", "user/"],
)  # fmt: skip
def test_a_missing_path_is_not_looked_up_on_the_hub(name, monkeypatch):
    monkeypatch.setattr(datasets, "load_dataset", None)
    with pytest.raises(DataError, match="is not a file; give --data an HDF5 file of pairs"):
        get_task(data=Path(name))


def test_folders_that_hold_no_pairs_are_named(tmp_path):
    def sentence(folder):
        with pytest.raises(DataError) as caught:
            get_task(data=folder, cache=tmp_path / "cache", progress=False)
        assert str(caught.value).startswith(str(folder)) and "\n" not in str(caught.value)
        return str(caught.value)

    (tmp_path / "empty").mkdir()
    assert "holds neither Parquet files of train" in sentence(tmp_path / "empty")
    data_set()["train"].save_to_disk(str(tmp_path / "one"))
    assert "holds one split; save a DatasetDict of train, valid" in sentence(tmp_path / "one")
    data_set().save_to_disk(str(tmp_path / "cut"))
    (arrow,) = (tmp_path / "cut/train").glob("*.arrow")
    arrow.write_bytes(arrow.read_bytes()[:100])
    assert "save it again with DatasetDict.save_to_disk" in sentence(tmp_path / "cut")
    (tmp_path / "text").mkdir()
    (tmp_path / "text/train.parquet").write_text("flux,nuisance")
    assert "write its Parquet files again" in sentence(tmp_path / "text")


def test_an_interrupted_copy_leaves_nothing(load, tmp_path, monkeypatch):
    def cut_off(path, *rest):
        path.write_bytes(b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr(hugging_face, "write_pairs", cut_off)
    with pytest.raises(KeyboardInterrupt):
        load(data_set())
    assert kept(tmp_path) == []


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes on this system")
def test_a_pipe_is_refused_rather_than_waited_for(tmp_path):
    os.mkfifo(tmp_path / "train.parquet")
    with pytest.raises(DataError, match=r"train\.parquet is not a file"):
        get_task(None, data=tmp_path)
