"""Examples survive writing and reading, and are cut to what varies most."""

import dataclasses

import h5py
import numpy as np
import pytest

from starbench.results.example import (
    WINDOW_PIXELS,
    Example,
    read_example,
    segments,
    write_example,
)
from starbench.results.text import RowError

# Two detector chips, and one line in the second.
WAVELENGTH = np.concatenate([np.linspace(15_000, 15_500, 800), np.linspace(15_600, 16_100, 800)])
FLUX = 1 - 0.4 * np.exp(-0.5 * ((WAVELENGTH - 15_900) / 2) ** 2)
EXAMPLE = Example(
    pair=3,
    half=1,
    nuisance=(4500.0, 2.5),
    twin_nuisance=(4100.0, 1.5),
    wavelength=WAVELENGTH.astype(np.float32),
    flux=FLUX.astype(np.float32),
    reconstruction=(FLUX + 1e-3).astype(np.float32),
    swapped_reconstruction=(FLUX - 2e-3).astype(np.float32),
    nuisance_names=("Teff", "logg"),
    nuisance_units=("K", "dex"),
    wavelength_unit="Angstrom",
    wavelength_medium="vacuum",
)


@pytest.fixture
def path(tmp_path):
    write_example(tmp_path / "example.h5", EXAMPLE)
    return tmp_path / "example.h5"


def fields_of(example):
    return {
        name: value.tolist() if isinstance(value, np.ndarray) else value
        for name, value in vars(example).items()
    }


def test_an_example_survives_writing_and_reading(path):
    assert fields_of(read_example(path)) == fields_of(EXAMPLE)


def test_names_and_units_may_be_missing(tmp_path):
    stretch = EXAMPLE.stretch()
    write_example(tmp_path / "stretch.h5", stretch)
    assert fields_of(read_example(tmp_path / "stretch.h5")) == fields_of(stretch)
    assert stretch.nuisance_names == () and stretch.wavelength_unit == ""
    assert stretch.wavelength_medium == ""


def test_a_stretch_is_the_window_of_one_chip_that_varies_most():
    stretch = EXAMPLE.stretch()
    assert len(stretch.flux) == WINDOW_PIXELS
    assert stretch.flux.min() == EXAMPLE.flux.min()
    assert stretch.wavelength.min() > 15_550


def test_a_spectrum_is_cut_at_the_gaps_between_chips():
    assert segments(WAVELENGTH) == [slice(0, 800), slice(800, 1600)]
    assert segments(np.linspace(0, 1, 5)) == [slice(0, 5)]


@pytest.mark.parametrize(
    ("attribute", "value"),
    [
        ("nuisance_names", ["Teff"]),
        ("nuisance_names", ["Teff", "\x1b[2J"]),
        ("nuisance_units", ["K", "x" * 301]),
        ("nuisance_names", [1, 2]),
        ("wavelength_unit", ["Angstrom"]),
    ],
)
def test_names_and_units_that_cannot_be_drawn_are_refused(path, attribute, value):
    with h5py.File(path, "a") as file:
        file.attrs[attribute] = value
    with pytest.raises(RowError, match=r"attribute|names"):
        read_example(path)


def test_a_spectrum_of_another_length_is_refused(tmp_path):
    wrong = dataclasses.replace(EXAMPLE, flux=EXAMPLE.flux[1:])
    write_example(tmp_path / "example.h5", wrong)
    with pytest.raises(RowError, match="should have the same length"):
        read_example(tmp_path / "example.h5")
