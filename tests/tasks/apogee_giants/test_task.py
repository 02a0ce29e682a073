import itertools

import numpy as np
import pytest

from starbench.tasks.apogee_giants.task import SCALES, ApogeeGiants
from starbench.tasks.base import SPLITS
from starbench.tasks.errors import DataError
from starbench.tasks.registry import get_task


def test_a_pair_does_not_depend_on_the_range_that_is_made(task):
    whole = task.make("validation", 0, 300)
    for start, stop in ((0, 1), (124, 126), (125, 250), (299, 300), (60, 190)):
        part = task.make("validation", start, stop)
        for field in ("flux", "nuisance", "composition"):
            assert np.array_equal(getattr(part, field), getattr(whole, field)[start:stop])


def test_data_do_not_depend_on_the_size_of_chunks(task, monkeypatch):
    loaded = task.load("train", "tiny")
    monkeypatch.setattr(task, "chunk_pairs", 50)
    again = task.load("train", "tiny")
    assert [rows.start for rows, _ in task.chunks("train", "tiny")] == [0, 50, 100]
    assert np.array_equal(loaded.flux, again.flux)
    assert np.array_equal(loaded.composition, again.composition)


def test_a_larger_scale_begins_with_the_smaller_one(task):
    for split in SPLITS:
        tiny, mini = task.load(split, "tiny"), task.load(split, "mini")
        n = SCALES["tiny"][split]
        assert len(tiny) == n and len(mini) == SCALES["mini"][split]
        assert np.array_equal(tiny.flux, mini.flux[:n])
        assert np.array_equal(tiny.nuisance, mini.nuisance[:n])


def test_twins_share_their_composition_and_nothing_else(task, emulator):
    split = task.load("test", "tiny")
    assert split.flux.shape == (64, 2, len(task.wavelength)) and split.flux.dtype == np.float32
    assert split.nuisance.shape == (64, 2, 2) and split.composition.shape == (64, 17)
    assert split.noiseless_flux is split.flux
    assert (split.nuisance[:, 0] != split.nuisance[:, 1]).all()
    for half in (0, 1):
        labels = np.hstack([split.nuisance[:, half], split.composition])
        assert split.flux[:, half] == pytest.approx(emulator.flux(labels), abs=1e-5)


def test_the_splits_differ(task):
    flux = [task.load(split, "tiny").flux[:64] for split in SPLITS]
    assert not any(np.array_equal(a, b) for a, b in itertools.combinations(flux, 2))


def test_an_unknown_scale_lists_the_scales(task):
    with pytest.raises(
        DataError,
        match="--scale huge does not exist; choose one of full, mini, tiny",
    ):
        task.sizes("huge")
    with pytest.raises(DataError, match="huge"):
        task.prepare("huge")


def test_the_fingerprint_depends_on_scale_not_on_the_cache(task, tmp_path, emulator, manifest):
    elsewhere = ApogeeGiants(tmp_path / "elsewhere", emulator=emulator, manifest=manifest)
    assert task.fingerprint("mini") == elsewhere.fingerprint("mini")
    assert len({task.fingerprint(scale) for scale in SCALES}) == len(SCALES)


def test_task_of_another_emulator_than_the_manifest_is_refused(tmp_path, manifest):
    other = type("Other", (), {"sha256": "0", "wavelength": np.arange(9.0)})()
    task = ApogeeGiants(tmp_path, emulator=other, manifest=manifest)
    with pytest.raises(DataError, match=r"starbench\.tasks\.apogee_giants\.make_manifest"):
        task.prepare("tiny")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["apogee-giants", "apogee-giants-snr50"])
def test_labels_are_drawn_without_a_data_set(name, tmp_path):
    task = get_task(name, cache=tmp_path)
    nuisance, composition = task.drawn_labels("test", "tiny")
    assert nuisance.shape == (64, 2, 2)
    assert composition.shape == (64, 17)
    assert list(tmp_path.iterdir()) == []
    # Those of the manifest, and of a data set that is built.
    full = task.drawn_labels("test", "full")
    assert np.array_equal(full[0][:64], nuisance)
    task.prepare("tiny", progress=False)
    for drawn, read in zip(
        (nuisance, composition), task.labels_on_disk("test", "tiny"), strict=True
    ):
        assert np.array_equal(drawn.astype(np.float32), read.astype(np.float32))


def test_labels_that_differ_from_the_manifest_are_refused(monkeypatch):
    task = get_task("apogee-giants")
    true = task.labels
    monkeypatch.setattr(task, "labels", lambda *range: (true(*range)[0] + 1, true(*range)[1]))
    with pytest.raises(DataError, match="draws other labels of test than the manifest holds"):
        task.drawn_labels("test", "tiny")
