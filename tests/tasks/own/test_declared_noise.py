"""Noise that users declare for their own pairs: in the file, in metadata, or as an option."""

import h5py
import numpy as np
import pytest

from starbench.evaluation.views import view_split
from starbench.tasks.errors import DataError
from starbench.tasks.export import export
from starbench.tasks.observation.noise import NoiseTrack
from starbench.tasks.own.hdf5 import OwnData
from starbench.tasks.registry import get_task

SPREAD = 0.1  # of the flux in `pairs_file`, within a pixel


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """Keep the memory of checks in a folder of the test."""
    monkeypatch.setenv("STARBENCH_CACHE", str(tmp_path / "cache"))


def noise_seen(task):
    """Return the noise that every method's view states."""
    (scale,) = task.card.sizes
    views = [view_split(task, split, scale, "nuisance", 0).view for split in ("train", "test")]
    assert views[0].noise == views[1].noise
    return views[0].noise


def test_methods_see_the_noise_that_a_file_declares(pairs_file):
    assert noise_seen(OwnData(pairs_file())) is None
    for number, snr in enumerate((50, 50.0, np.float32(50), np.array([50]))):
        task = OwnData(pairs_file(f"{number}.h5", snr=snr))
        assert task.snr == 50.0
        assert noise_seen(task) == 1 / 50


def test_an_option_declares_noise_in_place_of_the_file(pairs_file):
    path = pairs_file(snr=50)
    assert noise_seen(get_task(data=path, snr=30)) == 1 / 30
    assert noise_seen(get_task(data=pairs_file("b.h5"), snr=30)) == 1 / 30
    with pytest.raises(DataError, match=r"--snr declares the noise of --data; .* remove it"):
        get_task("apogee-giants-snr50", snr=50)


def test_the_fingerprint_tells_declared_noise_apart(pairs_file):
    path = pairs_file()
    tasks = [OwnData(path), OwnData(path, snr=50), OwnData(path, snr=30)]
    assert len({task.fingerprint("own") for task in tasks}) == 3
    assert OwnData(pairs_file("b.h5", snr=50)).fingerprint("own") == tasks[1].fingerprint("own")


def test_reconstructions_are_compared_with_the_flux_as_it_is(pairs_file):
    split = OwnData(pairs_file(snr=50)).load("test", "own")
    assert split.noiseless_flux is split.flux


@pytest.mark.parametrize("snr", [0, -50, np.nan, np.inf, 1e9])
def test_a_number_that_is_no_ratio_is_refused(pairs_file, snr):
    with pytest.raises(DataError, match=r"pairs.h5: snr is .*; give one number above 0"):
        OwnData(pairs_file(snr=snr))


@pytest.mark.parametrize(
    "snr", [True, 50j, "fifty", b"50", [50.0, 50.0, 30.0], np.zeros(0), h5py.Empty("f8")], ids=str
)
def test_an_attribute_that_is_not_one_number_is_refused(pairs_file, snr):
    with pytest.raises(DataError, match=r"attribute snr cannot be read \(it is not one number\)"):
        OwnData(pairs_file(snr=snr))


@pytest.mark.parametrize("snr", [0.0, -1.0, float("nan"), float("inf")])
def test_an_option_that_is_no_ratio_is_refused(pairs_file, snr):
    with pytest.raises(DataError, match=r"--snr: snr is .*; give one number above 0"):
        OwnData(pairs_file(), snr=snr)


def test_noise_that_the_flux_cannot_have_is_refused(pairs_file):
    OwnData(pairs_file(snr=1.05 / SPREAD)).prepare("own", progress=False)
    path = pairs_file("b.h5", snr=0.5 / SPREAD)
    for _ in range(2):  # the second time from memory
        with pytest.raises(
            DataError,
            match=r"b.h5: snr = 5 is noise of standard deviation 0.2 in every pixel, but the flux "
            r"of train varies by only 0.\d*; correct snr",
        ):
            OwnData(path).prepare("own", progress=False)


def test_noise_needs_a_continuum_of_one(pairs_file):
    path = pairs_file(snr=50)
    with h5py.File(path, "r+") as file:
        for split in ("train", "validation", "test"):
            file[f"{split}/flux"][...] *= 300
    with pytest.raises(
        DataError, match=r"the mean flux is \d{3}; divide the flux by its continuum"
    ):
        OwnData(path).prepare("own", progress=False)


@pytest.mark.parametrize("form", ["hdf5", "parquet", "datasets"])
def test_exported_noise_is_declared_in_every_format(toy_task, tmp_path, form):
    out = tmp_path / ("out.h5" if form == "hdf5" else "out")
    export(NoiseTrack(toy_task, 50), "tiny", out, form, twins=True, progress=False)
    assert noise_seen(get_task(data=out, progress=False)) == 1 / 50


def test_declared_noise_survives_an_export_of_own_pairs(pairs_file, tmp_path):
    export(OwnData(pairs_file(), snr=50), "own", tmp_path / "out.h5", progress=False)
    assert OwnData(tmp_path / "out.h5").snr == 50


@pytest.mark.parametrize("snr", ["0", '"fifty"', "[50]", "-1e400"])
def test_metadata_of_a_table_that_declare_no_ratio_are_refused(toy_task, tmp_path, snr):
    from starbench.tasks.storage.about import About

    text = About.of_task(NoiseTrack(toy_task, 50), "tiny").to_json()
    assert About.from_json(text, "table").snr == 50
    if snr == "[50]":
        assert About.from_json(text.replace('"snr": 50.0', '"snr": [50]'), "table").snr == 50
        return
    with pytest.raises(DataError, match=r"table: snr is .*; give one number above 0"):
        About.from_json(text.replace('"snr": 50.0', f'"snr": {snr}'), "table")
