"""Runs on users' own noisy pairs: methods take the declared noise into account."""

import h5py
import pytest

from starbench.methods.parts.noise_model import NoiseModel
from starbench.methods.registry import get_method, make_hyperparameters
from starbench.runs.runner import run
from starbench.tasks.export import export
from starbench.tasks.observation.noise import NoiseTrack
from starbench.tasks.own.hdf5 import OwnData

SETTINGS = ("epochs=1", "components=8", "latent=3", "batch_size=16", "encoder_widths=8")


@pytest.fixture
def noises(monkeypatch):
    """Return the list of noise levels that noise models are fitted to."""
    levels, fit = [], NoiseModel.fit

    def spy(self, networks, inputs, nuisance, noise, measured):
        levels.append(noise)
        fit(self, networks, inputs, nuisance, noise, measured)

    monkeypatch.setattr(NoiseModel, "fit", spy)
    return levels


@pytest.fixture
def fitted(tmp_path, monkeypatch):
    """Return a function that runs a small Fader network and returns its row."""
    monkeypatch.setenv("STARBENCH_CACHE", str(tmp_path / "cache"))
    fader = get_method("fader")

    def fit(task):
        settings = make_hyperparameters(fader, None, SETTINGS)
        return run(
            task, fader, settings, scale=task.default_scale, out=tmp_path / "runs", quiet=True
        ).row

    return fit


def test_a_file_of_noisy_spectra_gives_fader_its_noise(toy_task, tmp_path, fitted, noises):
    path = tmp_path / "pairs.h5"
    track = NoiseTrack(toy_task, 20)
    export(track, "tiny", path, twins=True, progress=False)
    of_track, of_file = fitted(track), fitted(OwnData(path))
    assert noises == [1 / 20, 1 / 20]
    assert of_file.ranks_sha256 == of_track.ranks_sha256
    assert of_file.snr == of_track.snr == 20
    assert "--snr 20.0" in of_file.command and "--snr" not in of_track.command

    with h5py.File(path, "r+") as file:
        del file.attrs["snr"]
    blind = fitted(OwnData(path))
    assert len(noises) == 2
    assert blind.snr is None
    assert blind.ranks_sha256 != of_track.ranks_sha256

    declared = fitted(OwnData(path, snr=20.0))
    assert declared.ranks_sha256 == of_track.ranks_sha256
    assert declared.data_fingerprint == of_file.data_fingerprint
