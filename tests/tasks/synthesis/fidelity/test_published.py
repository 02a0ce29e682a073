"""Differences of abundances fitted to differences of spectra: known and published ones."""

import json
from pathlib import Path

import h5py
import numpy as np
import pytest

from starbench.tasks.apogee_giants.emulator import Emulator
from starbench.tasks.synthesis import fidelity
from starbench.tasks.synthesis.fidelity.published import (
    RATIOS,
    fit_differences,
    measure_published,
    read_published,
)
from starbench.tasks.synthesis.spectrum import LABEL_NAMES

ROOT = Path(__file__).resolve().parents[4]
# Not in the repository, as it has no licence.
PUBLISHED = ROOT.parent / "shared" / "data" / "turbospectrum_reference_spectra.h5"
PYSME = ROOT / "tests" / "tasks" / "apogee_giants" / "pysme_spectra.npz"


@pytest.fixture(scope="module")
def emulator():
    return Emulator.load()


@pytest.fixture(scope="module")
def stars():
    """Labels and PySME spectra of two held-out stars."""
    with np.load(PYSME) as file:
        return file["labels"][:2], file["flux"][:2].astype(float)


@pytest.fixture(scope="module")
def shift():
    """A difference of each label: none in the nuisance, up to 0.1 dex in [X/Fe]."""
    shift = np.zeros(len(LABEL_NAMES))
    shift[RATIOS] = np.linspace(-0.1, 0.1, len(shift[RATIOS]))
    return shift


@pytest.fixture(scope="module")
def change(emulator, stars, shift):
    """Emulated spectra minus others whose labels are lower by the shift."""
    labels, _ = stars
    return emulator.flux(labels + shift / 2).astype(float) - emulator.flux(labels - shift / 2)


@pytest.fixture(scope="module")
def fit(emulator, stars, change):
    return fit_differences(emulator, stars[0], change)


def test_known_differences_of_emulated_spectra_are_fitted_back(fit, shift):
    assert fit.value == pytest.approx(shift[RATIOS], abs=0.001)
    assert fit.of_pair == pytest.approx(np.tile(shift[RATIOS], (2, 1)), abs=0.002)
    assert np.abs(fit.residual).max() < 0.0005


def test_known_differences_of_exact_spectra_are_fitted_back(emulator, stars, shift):
    """PySME's own spectra minus emulated ones of other compositions."""
    labels, exact = stars
    change = exact - emulator.flux(labels - shift)
    fit = fit_differences(emulator, labels - shift / 2, change)
    strong = np.array([name not in ("Na/Fe", "S/Fe", "K/Fe") for name in LABEL_NAMES[RATIOS]])
    assert fit.value[strong] == pytest.approx(shift[RATIOS][strong], abs=0.01)
    assert fit.value == pytest.approx(shift[RATIOS], abs=0.03)


def test_the_errors_are_those_of_noise(emulator, stars, change, fit):
    noise = np.random.default_rng(0).normal(0, 0.002, change.shape)
    noisy = fit_differences(emulator, stars[0], change + noise)
    pulls = (noisy.value - fit.value) / noisy.error
    assert 0.5 < np.sqrt(np.mean(pulls**2)) < 1.6


def test_published_spectra_are_read_by_pixel_and_element(tmp_path):
    path = tmp_path / "published.h5"
    pixels = np.arange(300, 8400)
    with h5py.File(path, "w") as file:
        file["apstar_pixel"] = pixels
        file["flux"] = np.tile(pixels, (2, 1))
        file["params"] = np.array([[4100, 1.6, -0.1, 0.0, -0.09], [4900, 2.9, 0.1, 0.0, -0.05]])
        file["abundances"] = np.arange(34.0).reshape(2, 17)
        file["pattern"] = np.array([0, 1])
    table = read_published(path)
    assert table.flux.shape == (2, 7214)
    assert table.flux[0, 0] == 322
    assert table.flux[0, -1] == 8305
    assert table.labels[1, LABEL_NAMES.index("C/Fe")] == 0
    assert table.cm.tolist() == [-0.09, -0.05]
    assert table.labels[0, LABEL_NAMES.index("N/Fe")] == 0
    assert table.labels[0, LABEL_NAMES.index("Ni/Fe")] == 12
    assert table.labels[0, LABEL_NAMES.index("Co/Fe")] == 15
    with h5py.File(path, "a") as file:
        del file["apstar_pixel"]
        file["apstar_pixel"] = pixels + 100
    with pytest.raises(ValueError, match="lacks pixels"):
        read_published(path)


@pytest.mark.skipif(not PUBLISHED.exists(), reason="the published spectra are not here")
def test_the_stored_comparison_is_that_of_the_published_spectra(emulator):
    numbers = json.loads(fidelity.NUMBERS_PATH.read_text())
    measured = measure_published(read_published(PUBLISHED), emulator)
    for name in ("rms", "correlation"):
        mean = np.mean([row[name] for row in measured["published"]])
        assert mean == pytest.approx({"rms": 0.0284, "correlation": 0.9135}[name], abs=0.0001)
    for row, stored in zip(
        measured["differences"]["abundances"], numbers["differences"]["abundances"], strict=True
    ):
        assert row == pytest.approx(stored, abs=1e-4)
