import hashlib

import h5py
import numpy as np
import pytest

from starbench.tasks.apogee_giants import ApogeeGiants
from starbench.tasks.base import SPLITS
from starbench.tasks.make_manifest import make_manifest

N_PIXELS = 150


class AnalyticEmulator:
    """Spectra by a formula: each label deepens lines of its own, more so in cool stars."""

    def __init__(self, strength=1.0, n_pixels=N_PIXELS):
        self.strength = strength
        self.wavelength = np.linspace(15100.0, 17000.0, n_pixels)
        self.sha256 = hashlib.sha256(f"analytic {strength} {n_pixels}".encode()).hexdigest()
        self._response = np.sin(np.outer(np.arange(2, 21), np.linspace(0.0, 9.0, n_pixels)))

    def flux(self, labels):
        scaled = labels / np.array([5000.0, 3.0, *[1.0] * 17])
        depth = 0.02 * self.strength * (scaled @ self._response) / scaled[:, :1]
        return np.exp(-np.abs(0.1 + depth)).astype(np.float32)


@pytest.fixture(scope="session")
def emulator():
    return AnalyticEmulator()


@pytest.fixture(scope="session")
def manifest(emulator):
    """A manifest of the formula's spectra."""
    return make_manifest(ApogeeGiants(emulator=emulator))


@pytest.fixture
def task(tmp_path, emulator, manifest):
    """The task with spectra by a formula, in a cache of its own."""
    return ApogeeGiants(tmp_path / "cache", emulator=emulator, manifest=manifest)


@pytest.fixture
def pairs_file(tmp_path):
    """A factory of files of own pairs; the keyword arguments replace arrays or attributes."""

    def write(name="my pairs.h5", n=(6, 4, 4), n_pixels=12, n_nuisance=2, dtype="f4", **changes):
        rng = np.random.default_rng(7)
        path = tmp_path / name
        with h5py.File(path, "w") as file:
            file["wavelength"] = np.linspace(5000.0, 6000.0, n_pixels)
            file.attrs["nuisance_names"] = [f"u{i}" for i in range(n_nuisance)]
            file.attrs["nuisance_units"] = ["K"] * n_nuisance
            file.attrs["elements"] = ["Fe/H", "Mg/Fe"]
            for split, size in zip(SPLITS, n, strict=True):
                file[f"{split}/flux"] = rng.normal(1, 0.1, (size, 2, n_pixels)).astype(dtype)
                file[f"{split}/nuisance"] = rng.normal(size=(size, 2, n_nuisance)).astype(dtype)
                file[f"{split}/composition"] = rng.normal(size=(size, 2)).astype(dtype)
            for place, value in changes.items():
                if place in file.attrs or place in ("nuisance_names", "nuisance_units", "elements"):
                    file.attrs.pop(place, None)
                    if value is not None:
                        file.attrs[place] = value
                else:
                    if place in file:
                        del file[place]
                    if value is not None:
                        file[place] = value
        return path

    return write
