import re

import h5py
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from starbench.tasks.base import SPLITS
from starbench.tasks.errors import DataError
from starbench.tasks.own import hdf5 as own_data
from starbench.tasks.own.hdf5 import OwnData


@given(
    st.tuples(*[st.integers(1, 9)] * 3),
    st.integers(1, 40),
    st.integers(1, 5),
    st.sampled_from(["f4", "f8", ">f4"]),
    st.booleans(),
)
@settings(
    max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None
)
def test_a_file_of_the_layout_is_read_unchanged(pairs_file, n, n_pixels, n_nuisance, dtype, known):
    without = {} if known else {f"{split}/composition": None for split in SPLITS}
    path = pairs_file(n=n, n_pixels=n_pixels, n_nuisance=n_nuisance, dtype=dtype, **without)
    task = OwnData(path)
    task.prepare("own", progress=False)
    assert task.sizes("own") == dict(zip(SPLITS, n, strict=True))
    assert task.elements == (("Fe/H", "Mg/Fe") if known else ())
    with h5py.File(path) as file:
        for split in SPLITS:
            read = task.load(split, "own")
            assert read.flux.dtype == np.float32 and read.noiseless_flux is read.flux
            assert np.array_equal(read.flux, file[split]["flux"][()].astype(np.float32))
            assert np.array_equal(read.nuisance, file[split]["nuisance"][()].astype(np.float32))
            assert (read.composition is not None) == known


def test_a_file_is_read_in_chunks_of_bounded_size(pairs_file, monkeypatch):
    path = pairs_file(n=(10, 4, 4))
    whole = OwnData(path)
    monkeypatch.setattr(own_data, "_CHUNK_BYTES", 3 * 8 * 12)
    pieces = OwnData(path)
    assert [len(piece) for _, piece in pieces.chunks("train", "own")] == [3, 3, 3, 1]
    assert np.array_equal(pieces.load("train", "own").flux, whole.load("train", "own").flux)


def test_names_as_bytes_or_as_one_text_are_read(pairs_file):
    path = pairs_file(n_nuisance=1, nuisance_names="Teff", nuisance_units=np.array([b"K"]))
    task = OwnData(path)
    assert (task.nuisance_names, task.nuisance_units) == (("Teff",), ("K",))


def test_the_name_is_a_slug_and_the_fingerprint_follows_the_content(pairs_file):
    one, same = OwnData(pairs_file("My Pairs (2).h5")), OwnData(pairs_file("b.h5", dtype="f4"))
    changed = pairs_file("c.h5")
    with h5py.File(changed, "r+") as file:
        file["test/flux"][3, 1, 5] += 1e-3
    renamed = OwnData(pairs_file("d.h5", nuisance_units=["K", "dex"]))
    assert one.name == "own-data-my-pairs-2"
    assert one.fingerprint("own") == same.fingerprint("own")
    assert len({x.fingerprint("own") for x in (one, OwnData(changed), renamed)}) == 3


@pytest.mark.parametrize(
    ("stated", "medium"),
    [("vacuum", "vacuum"), ("AIR", "air"), (np.bytes_("air"), "air"), (None, "unknown")],
)
def test_the_medium_of_the_wavelengths_is_read_and_is_no_content(pairs_file, stated, medium):
    path = pairs_file()
    before = OwnData(path).fingerprint("own")
    if stated is not None:
        with h5py.File(path, "r+") as file:
            file["wavelength"].attrs["medium"] = stated
    task = OwnData(path)
    assert task.card.medium == medium
    assert task.fingerprint("own") == before


@pytest.mark.parametrize("stated", ["water", ""])
def test_another_medium_is_refused(pairs_file, stated):
    path = pairs_file()
    with h5py.File(path, "r+") as file:
        file["wavelength"].attrs["medium"] = stated
    with pytest.raises(DataError, match=r"medium of wavelength is .*; write vacuum or air"):
        OwnData(path)


def test_only_the_scale_own_exists(pairs_file):
    with pytest.raises(DataError, match="--scale mini does not exist; choose one of own"):
        OwnData(pairs_file()).prepare("mini")


def test_the_composition_of_test_may_be_withheld(pairs_file):
    known, withheld = (
        OwnData(pairs_file()),
        OwnData(pairs_file("b.h5", **{"test/composition": None})),
    )
    withheld.prepare("own", progress=False)
    assert withheld.elements == known.elements
    assert withheld.load("test", "own").composition is None
    assert np.array_equal(
        withheld.load("train", "own").composition, known.load("train", "own").composition
    )
    assert withheld.fingerprint("own") != known.fingerprint("own")


RNG = np.random.default_rng(1)
WRONG_STRUCTURE = {
    "a missing group": ({"validation": None}, "has no group validation; it needs train,"),
    "a group that is an array": ({"test": np.ones(3)}, "has no group test"),
    "missing flux": ({"train/flux": None}, "holds no dataset train/flux; add it (links"),
    "missing nuisance": ({"test/nuisance": None}, "holds no dataset test/nuisance; add it"),
    "missing wavelengths": ({"wavelength": None}, "holds no dataset wavelength; add it"),
    "flux without the axis of twins": (
        {"train/flux": np.ones((6, 12))}, "train/flux is that of stars, [stars, pixels], but"),
    "flux of triples": (
        {"train/flux": np.ones((6, 3, 12))}, "train/flux has shape (6, 3, 12); give [pairs, 2,"),
    "nuisance of fewer pairs than flux": (
        {"train/nuisance": np.ones((5, 2, 2))},
        "train/nuisance has shape (5, 2, 2), but the flux and the attribute nuisance_names imply"),
    "nuisance with fewer columns than names": (
        {"test/nuisance": np.ones((4, 2, 1))},
        "test/nuisance has shape (4, 2, 1), but the flux and the attribute nuisance_names imply"),
    "composition with a column too many": (
        {"train/composition": np.ones((6, 3))},
        "train/composition has shape (6, 3), but the flux and the attribute elements imply (6,"),
    "composition in one split only": (
        {"train/composition": None, "validation/composition": None},
        "train has no composition, but test has; give it in all splits or in none"),
    "unnamed elements": ({"elements": None}, "has no attribute elements at its root"),
    "unnamed nuisance": (
        {"nuisance_names": None}, "has no attribute nuisance_names at its root; add one string"),
    "too few nuisance names": ({"nuisance_names": ["Teff"]}, "nuisance_units has 2 units for 1"),
    "an empty nuisance name": (
        {"nuisance_names": ["Teff", " "]}, "nuisance_names is ['Teff', ' ']; give each column"),
    "two nuisances of one name": ({"nuisance_names": ["Teff", "Teff"]}, "give each column its"),
    "no nuisance": ({"nuisance_names": np.array([], "S1")}, "nuisance_names has 0 names; give 1"),
    "six nuisances": (
        {"nuisance_names": [*"abcdef"], "nuisance_units": ["K"] * 6}, "has 6 names; give 1 to 5"),
    "missing units": ({"nuisance_units": None}, "has no attribute nuisance_units at its root"),
    "a unit too few": ({"nuisance_units": ["K"]}, "nuisance_units has 1 units for 2"),
    "wavelengths of another number of pixels": (
        {"wavelength": np.arange(11.0)},
        "train/flux has 12 pixels, but wavelength has 11 values; give one wavelength for each"),
    "splits of unequal pixels": (
        {"test/flux": np.ones((4, 2, 13))}, "test/flux has 13 pixels, but wavelength has 12"),
    "wavelengths that fall": (
        {"wavelength": np.arange(12.0)[::-1]}, "wavelength does not increase from pixel to"),
    "wavelengths with a NaN": ({"wavelength": np.append(np.arange(11.0), np.nan)}, "does not"),
    "wavelengths in a table": ({"wavelength": np.ones((12, 1))}, "wavelength has shape (12, 1);"),
    "whole numbers": (
        {"train/flux": np.ones((6, 2, 12), int)},
        "train/flux is of type int64; store it as float32 or float64"),
    "texts": ({"train/nuisance": np.full((6, 2, 2), b"x")}, "train/nuisance is of type |S1;"),
    "an empty split": (
        {"test/flux": np.ones((0, 2, 12)), "test/nuisance": np.ones((0, 2, 2))},
        "test holds no pairs; give at least one"),
}  # fmt: skip


@pytest.mark.parametrize(("changes", "sentence"), WRONG_STRUCTURE.values(), ids=WRONG_STRUCTURE)
def test_a_wrong_structure_is_refused_in_one_sentence(pairs_file, changes, sentence):
    path = pairs_file(**changes)
    with pytest.raises(DataError, match=re.escape(sentence)) as caught:
        OwnData(path)
    text = str(caught.value)
    assert text.startswith(str(path)) and text.endswith(".") and "\n" not in text


@pytest.mark.parametrize("split", SPLITS)
@pytest.mark.parametrize(
    ("value", "what"), [(np.nan, "NaN"), (np.inf, "infinite"), (-1e39, "infinite")]
)
@pytest.mark.parametrize("field", ["flux", "nuisance", "composition"])
def test_a_value_that_is_not_finite_is_named_with_its_first_pair(
    pairs_file, monkeypatch, split, value, what, field
):
    monkeypatch.setattr(own_data, "_CHUNK_BYTES", 2 * 8 * 12)
    path = pairs_file(dtype="f8")
    with h5py.File(path, "r+") as file:
        for pair in (2, 3):
            file[split][field][(pair, *[1] * (file[split][field].ndim - 1))] = value
    task = OwnData(path)
    sentence = (
        f"{path}: {split}/{field} holds a value that is {what}, first in pair 2; correct that pair"
    )
    with pytest.raises(DataError, match=re.escape(sentence)):
        task.prepare("own", progress=False)
    with pytest.raises(DataError, match=re.escape(sentence)):
        task.load(split, "own")


def test_a_nuisance_that_never_varies_is_named(pairs_file):
    path = pairs_file()
    with h5py.File(path, "r+") as file:
        file["train/nuisance"][..., 1] = 2.5
    with pytest.raises(
        DataError, match="the nuisance u1 has the same value in all spectra of train"
    ):
        OwnData(path).prepare("own", progress=False)


def test_a_path_that_is_not_an_hdf5_file_is_named(tmp_path):
    with pytest.raises(
        DataError, match=r"nowhere\.h5 is not a file; give --data an HDF5 file of pairs"
    ):
        OwnData(tmp_path / "nowhere.h5")
    with pytest.raises(DataError, match="is not a file"):
        OwnData(tmp_path)
    text = tmp_path / "text.h5"
    text.write_text("wavelength,flux\n" * 100)
    with pytest.raises(
        DataError, match=r"text\.h5 cannot be read as HDF5 \(.*\); give --data an HDF5"
    ):
        OwnData(text)


def test_a_truncated_file_is_named(pairs_file):
    path = pairs_file(n_pixels=500)
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size // 2)
    with pytest.raises(DataError, match=r"cannot be read as HDF5 \(.*truncated.*\)"):
        OwnData(path)


def test_damaged_compressed_data_are_named(pairs_file):
    path = pairs_file()
    flux = RNG.normal(1, 0.1, (6, 2, 12)).astype("f4")
    with h5py.File(path, "r+") as file:
        del file["train/flux"]
        dataset = file.create_dataset(
            "train/flux", data=flux, chunks=(6, 2, 12), compression="gzip", fletcher32=True
        )
        offset = dataset.id.get_chunk_info(0).byte_offset
    assert np.array_equal(OwnData(path).load("train", "own").flux, flux)
    with path.open("r+b") as file:
        file.seek(offset + 30)
        file.write(b"\0\1\2\3")
    with pytest.raises(
        DataError, match=r"train/flux cannot be read in pairs 0-5 \(.*\); copy or write"
    ):
        OwnData(path).prepare("own", progress=False)


def test_a_file_that_changes_after_opening_is_named(pairs_file):
    path = pairs_file()
    task = OwnData(path)
    task.prepare("own", progress=False)
    pairs_file(n=(7, 4, 4))
    with pytest.raises(DataError, match="changed after it was opened; start the command again"):
        task.load("train", "own")


def test_links_to_other_files_are_refused(pairs_file, tmp_path):
    path = pairs_file()
    with h5py.File(path, "a") as file:
        flux = file["train/flux"][()]
        del file["train/flux"]
        (tmp_path / "secret.bin").write_bytes(flux.tobytes())
        file["train"].create_dataset(
            "flux", flux.shape, flux.dtype, external=str(tmp_path / "secret.bin")
        )
    with pytest.raises(DataError, match="holds no dataset train/flux"):
        OwnData(path)
    with h5py.File(path, "a") as file:
        del file["train/flux"]
        file["train/flux"] = h5py.ExternalLink("other.h5", "flux")
    with pytest.raises(DataError, match="holds no dataset train/flux"):
        OwnData(path)


def test_a_long_name_is_cut(pairs_file):
    assert len(OwnData(pairs_file("a" * 200 + ".h5")).name) <= 64


@pytest.mark.parametrize(("factor", "warned"), [(1, False), (0.3, False), (5000, True)])
def test_flux_that_is_not_divided_by_its_continuum_is_warned_of(pairs_file, caplog, factor, warned):
    path = pairs_file()
    with h5py.File(path, "a") as file:
        for split in SPLITS:
            file[f"{split}/flux"][...] *= factor
    OwnData(path).prepare("own", progress=False)
    found = [record.message for record in caplog.records]
    sentence = r"the mean flux of train is 4.92e\+03, so that .*; divide the flux by its continuum"
    assert any(re.search(sentence, message) for message in found) == warned
