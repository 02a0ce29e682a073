"""Latents of a shuffled export are scored by its attribute; older exports stay usable."""

import h5py
import numpy as np
import pytest

from starbench.metrics import twin_ranks
from starbench.results.ranks import read_ranks
from starbench.runs.predictions import PredictionsError
from starbench.runs.predictions_scoring import score_predictions
from starbench.tasks.errors import DataError
from starbench.tasks.export import export
from starbench.tasks.own.hdf5 import OwnData
from starbench.tasks.registry import get_task
from starbench.tasks.storage.shuffled import ATTRIBUTE


def score(predictions, task, out):
    folder = score_predictions(
        predictions, task, scale="tiny", method_name="theirs", label_access="nuisance",
        reference="tests", device="cpu", out=out, quiet=True,
    ).folder  # fmt: skip
    return read_ranks(folder.ranks).rank


def encoded(spectra, out, *, copy=True):
    """Encode an export with nothing but its file."""
    with h5py.File(spectra) as data, h5py.File(out, "w") as file:
        file["latent"] = data["test/flux"][..., :9]
        if copy and ATTRIBUTE in data.attrs:
            file.attrs[ATTRIBUTE] = data.attrs[ATTRIBUTE]
    return out


def test_a_shuffled_export_is_scored_by_its_attribute(toy_task, tmp_path):
    shuffled, pairs = tmp_path / "shuffled.h5", tmp_path / "pairs.h5"
    export(toy_task, "tiny", shuffled, progress=False)
    export(toy_task, "tiny", pairs, twins=True, progress=False)
    test = toy_task.make("test", 0, 20)
    with h5py.File(shuffled) as data:
        flux, nuisance = data["test/flux"][()], data["test/nuisance"][()]
        assert "composition" not in data["test"] and "composition" in data["train"]
        assert np.array_equal(data["train/flux"], toy_task.make("train", 0, 40).flux)
    assert (twin_ranks(flux[..., :9]).rank > 1).mean() > 0.8  # neighbours are no twins
    key = lambda x, u: sorted(map(bytes, np.concatenate([x, u], axis=2).reshape(40, -1)))  # noqa: E731
    assert key(flux, nuisance) == key(test.flux, test.nuisance)
    expected = twin_ranks(test.flux[..., :9]).rank
    for spectra in (shuffled, pairs):
        assert np.array_equal(
            score(encoded(spectra, tmp_path / "p.h5"), toy_task, tmp_path), expected
        )


def test_orders_that_do_not_fit_are_refused(make_toy_task, tmp_path):
    toy_task, other = (make_toy_task(n_pairs=(40, 30, 60)) for _ in range(2))
    export(toy_task, "tiny", tmp_path / "s.h5", progress=False)
    predictions = encoded(tmp_path / "s.h5", tmp_path / "p.h5", copy=False)
    with pytest.raises(PredictionsError, match="copy the attribute test_order from the export"):
        score(predictions, toy_task, tmp_path)
    encoded(tmp_path / "s.h5", predictions)
    other.fingerprint = lambda scale: "toy-data-2"
    with pytest.raises(PredictionsError, match="test_order is not that of toy at scale tiny"):
        score(predictions, other, tmp_path)
    with h5py.File(predictions, "r+") as file:
        for name in ("reconstruction", "swapped_reconstruction"):
            file[name] = np.ones((60, 2, 60), np.float32)
    with pytest.raises(PredictionsError, match="reconstructions need to know the twins"):
        score(predictions, toy_task, tmp_path)


def test_a_shuffled_export_is_no_set_of_pairs(toy_task, tmp_path):
    export(toy_task, "tiny", tmp_path / "s.h5", progress=False)
    with pytest.raises(DataError, match="export the task again with --twins"):
        OwnData(tmp_path / "s.h5")
    export(toy_task, "tiny", tmp_path / "folder", progress=False)
    with pytest.raises(DataError, match="export the task again with --twins"):
        get_task(data=tmp_path / "folder", cache=tmp_path / "cache", progress=False)
