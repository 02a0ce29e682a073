"""Tasks drawn from labels, with and without a file in the cache."""

import numpy as np
import pytest

from starbench.tasks.contract import check_task
from starbench.tasks.errors import DataError
from starbench.tasks.example import MyTask
from starbench.tasks.storage.chunks import Damaged


class StoredTask(MyTask):
    """The example, with its spectra kept in the cache."""

    stored = True

    def source(self):
        return {"lines": "60 random ones"}


@pytest.fixture
def stored(tmp_path):
    return StoredTask(cache=tmp_path)


def test_stored_spectra_are_those_that_are_drawn(stored):
    for split in ("train", "test"):
        kept, drawn = stored.load(split, "tiny"), MyTask().load(split, "tiny")
        assert np.array_equal(kept.flux, drawn.flux)
        assert np.array_equal(kept.composition, drawn.composition)
        assert np.array_equal(stored.labels_on_disk(split, "tiny")[0], drawn.nuisance)
    assert stored.cached("tiny").path.name == "my-task-1-tiny.h5"
    assert not [problem for _, problem in check_task(stored) if problem]


def test_the_fingerprint_follows_labels_and_source(stored):
    prints = {stored.fingerprint("tiny"), stored.fingerprint("full"), MyTask().fingerprint("tiny")}
    assert len(prints) == 3

    class OtherLabels(MyTask):
        def labels(self, split, start, stop):
            nuisance, composition = super().labels(split, start, stop)
            return nuisance + 1, composition

    assert OtherLabels().fingerprint("tiny") != MyTask().fingerprint("tiny")


def test_stored_data_of_other_labels_are_built_again(stored, tmp_path, caplog):
    stored.prepare("tiny", progress=False)

    class OtherLabels(StoredTask):
        def labels(self, split, start, stop):
            nuisance, composition = super().labels(split, start, stop)
            return nuisance + 1, composition

    other = OtherLabels(cache=tmp_path)
    assert "labels of train that are not those of my-task" in other.cached("tiny").fault()
    other.prepare("tiny", progress=False)
    assert "it is rebuilt" in caplog.text and other.cached("tiny").fault() is None


def test_other_data_than_a_task_expects_come_with_its_own_advice(tmp_path):
    class Strict(StoredTask):
        def check_flux(self, scale, split, start, flux):
            raise Damaged("the flux is other")

    with pytest.raises(DataError) as caught:
        Strict(cache=tmp_path).prepare("tiny", progress=False)
    assert str(caught.value).endswith("install the library versions in constraints.txt.")
