import numpy as np
import pytest

from starbench.tasks.base import SPLITS, Task
from starbench.tasks.errors import DataError


def test_facts_come_from_the_card(toy_task):
    for name in ("name", "version", "reference", "nuisance_names", "nuisance_units", "elements"):
        assert getattr(toy_task, name) == getattr(toy_task.card, name)
    assert toy_task.snr is None and toy_task.wavelength_unit == "Angstrom"
    assert toy_task.default_scale == "full"


def test_chunks_load_and_labels_follow_from_make(toy_task):
    toy_task.prepare("tiny")
    assert list(toy_task.problems("tiny")) == []
    for split in SPLITS:
        n = toy_task.sizes("tiny")[split]
        pairs = toy_task.load(split, "tiny")
        assert np.array_equal(pairs.flux, toy_task.make(split, 0, n).flux)
        assert pairs.noiseless_flux is pairs.flux
        for labels in (toy_task.labels_on_disk, toy_task.drawn_labels):
            nuisance, composition = labels(split, "tiny")
            assert np.array_equal(nuisance, pairs.nuisance)
            assert np.array_equal(composition, pairs.composition)
    assert [rows.start for rows, _ in toy_task.chunks("train", "tiny")] == [0, 16, 32]


def test_a_scale_that_is_not_on_the_card_is_refused(toy_task):
    with pytest.raises(DataError, match="--scale huge does not exist; choose one of full, mini"):
        toy_task.prepare("huge")


def test_a_task_without_stored_data_says_so(toy_task):
    assert not toy_task.stored
    with pytest.raises(DataError, match="toy keeps no data on disk"):
        toy_task.cached("tiny")


def test_a_task_without_make_cannot_be_instantiated():
    with pytest.raises(TypeError, match="abstract"):
        type("Incomplete", (Task,), {"fingerprint": lambda self, scale: "x"})()
