import numpy as np
import pytest

from starbench.tasks.observation.hidden import HiddenInstrument, recorded
from starbench.tasks.registry import get_task


@pytest.fixture(scope="module")
def track():
    return get_task("apogee-giants-hidden")


def test_parameters_have_the_stated_ranges_and_deviations(track):
    hidden = track.base.base  # below the manifest's check and the noise
    assert isinstance(hidden, HiddenInstrument)
    drawn = hidden.parameters("train", 0, 4000, each=2).reshape(8000, -1)
    resolution, turbulence = drawn[:, 0], drawn[:, 1]
    assert 19_000 < resolution.min() < 19_010 < 22_490 < resolution.max() < 22_500
    assert 3 < turbulence.min() < 3.01 < 5.99 < turbulence.max() < 6
    assert drawn[:, 2].std() == pytest.approx(0.4, rel=0.03)
    assert drawn[:, 3:].std(axis=0) == pytest.approx(np.full(6, 0.003), rel=0.03)
    correlation = np.corrcoef(drawn.T) - np.eye(9)
    assert abs(correlation).max() < 5 / np.sqrt(len(drawn))


def test_unseen_parameters_give_the_spectra_again(track):
    pairs = track.make("test", 3, 6)
    clean = track.base.base.base.make("test", 3, 6)
    made = recorded(clean.flux.reshape(6, -1), track.wavelength, pairs.unseen.reshape(6, -1))
    assert made.reshape(pairs.flux.shape) == pytest.approx(pairs.noiseless_flux, abs=1e-6)
    assert abs(made.reshape(pairs.flux.shape) - clean.flux).std() > 0.002
    assert list(track.card.unseen_names[:3]) == ["R", "vmacro", "velocity"]


def test_twins_have_instruments_of_their_own(track):
    unseen = track.make("test", 0, 4).unseen
    assert (unseen[:, 0] != unseen[:, 1]).all()
