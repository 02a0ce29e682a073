"""The broadening agrees with the first generator's; what MOOG writes is read; MOOG itself."""

from pathlib import Path

import numpy as np
import pytest

from starbench.tasks.apogee_giants.emulator import Emulator
from starbench.tasks.apogee_giants.population import ELEMENTS
from starbench.tasks.synthesis import spectrum as first
from starbench.tasks.synthesis.engine import EngineError
from starbench.tasks.synthesis.generators import GENERATORS, SECOND_EMULATOR
from starbench.tasks.synthesis.moog import arcturus, atmosphere, engine, spectrum
from starbench.tasks.synthesis.wavelengths import aspcap_wavelengths

SPECTRA = Path(__file__).with_name("moog_spectra.npz")
needs_moog = pytest.mark.skipif(
    GENERATORS["moog"].missing() is not None, reason="MOOG is not installed"
)


def test_broadening_is_that_of_the_first_generator():
    ln_wavelength = np.log(16_000) + 4e-6 * np.arange(600)
    depth = 0.6 * np.exp(-0.5 * ((ln_wavelength - ln_wavelength[300]) / 8e-6) ** 2)
    mu, weight = first.disc_angles(8)
    line = np.tile(1 - depth, (8, 1))
    expected = first.broaden(line, np.ones_like(line), mu, weight, 4e-6, macroturbulence=5.0)
    source = np.exp(ln_wavelength)
    matrix = spectrum.broadening(source, source[100:500], 5.0, 22_500.0)
    assert 1 - matrix @ depth == pytest.approx(expected[100:500], abs=1e-6)


def test_broadening_conserves_equivalent_widths_and_resolves_what_it_should():
    source = 16_000 + 0.05 * np.arange(1200)
    depth = np.exp(-0.5 * ((source - 16_030) / 0.05) ** 2)
    target = 16_010 + 0.1 * np.arange(400)
    broadened = spectrum.broadening(source, target, 0.0, 22_500.0) @ depth
    assert broadened.sum() * 0.1 == pytest.approx(depth.sum() * 0.05, rel=1e-3)
    width = np.sqrt(((target - 16_030) ** 2 * broadened).sum() / broadened.sum())
    instrument = 16_030 / 22_500 / 2.3548
    assert width == pytest.approx(np.hypot(instrument, 0.05), rel=1e-3)


def test_matrix_to_the_pixels_covers_them():
    matrix = spectrum.to_pixels()
    assert matrix.shape == (len(aspcap_wavelengths()), len(engine.grid()))
    assert np.asarray(matrix.sum(axis=1)).ravel() == pytest.approx(1, abs=1e-4)


def test_atlas_is_read_at_rest_and_degraded(tmp_path):
    path = tmp_path / "atlas.txt"
    wavelength = np.arange(15_100, 17_000, 0.1)
    np.savetxt(path, np.column_stack([wavelength, np.full(len(wavelength), 0.8)]))
    at_rest, flux = arcturus.read_atlas(path)
    assert at_rest == pytest.approx(wavelength / (1 + arcturus.VELOCITY / 299_792.458))
    assert arcturus.on_pixels(at_rest, flux) == pytest.approx(0.8, abs=1e-4)
    assert arcturus.labels({"C": -0.1})[3] == pytest.approx(0.33)
    assert len(arcturus.labels()) == 3 + len(ELEMENTS)


def test_the_model_lists_abundances_by_number():
    layers = np.arange(10.0).reshape(2, 5) + 1
    star = engine.Star(layers, 1.7, -0.5, {"Fe": 7.0, "O": 8.5}, 9.0)
    rows = [row.split() for row in star.model().splitlines()]
    assert rows[2] == ["2"]
    assert [float(x) for x in rows[4]] == pytest.approx(layers[1].tolist())
    assert ["NATOMS", "2", "-0.5000"] in rows
    assert ["26.0", "7.0000"] in rows
    assert ["8.0", "8.5000"] in rows
    fractions = dict(star.isotopes())
    assert 1 / fractions[608.01216] + 1 / fractions[608.01316] == pytest.approx(1)


def test_alpha_of_the_atmosphere_counts_the_electron_donors_by_number():
    # Mg 10^7.60, Si 10^7.51 and Ca 10^6.34 to 10^12 hydrogen; twice the Mg
    solar = np.array([3.9811, 3.2359, 0.2188])
    expected = np.log10(1 + 3.9811 / solar.sum())
    ratios = {"Mg": np.log10(2), "Si": 0.0, "Ca": 0.0, "O": 0.5, "S": 0.5, "Ti": 0.5}
    assert spectrum.alpha_enhancement(ratios) == pytest.approx(expected, abs=1e-4)


def test_depths_are_read_and_their_absence_is_an_error(tmp_path):
    path = tmp_path / "depths"
    with pytest.raises(EngineError, match="no spectrum"):
        engine._read_depths(path)
    path.write_text("MODEL: a star\n  1.0 2.0 0.5 1.5\n 0.1000 0.2000\n 0.3000\n")
    assert engine._read_depths(path).tolist() == [0.1, 0.2, 0.3]
    path.write_text("MOOG stopped\n")
    with pytest.raises(EngineError, match="no spectrum"):
        engine._read_depths(path)


def test_the_second_emulator_returns_spectra_of_moog():
    emulator = Emulator.load(SECOND_EMULATOR)
    assert emulator.facts["held_out"]["rms"] <= 0.0004
    assert emulator.facts["held_out"]["stars"] >= 200
    assert emulator.facts["engine"].startswith("MOOG")
    assert SECOND_EMULATOR.stat().st_size <= 6e6
    with np.load(SPECTRA) as file:
        labels, flux = file["labels"], file["flux"].astype(float)
    error = emulator.flux(labels) - flux
    assert np.sqrt(np.mean(error**2)) < 0.0006
    other = Emulator.load()
    assert emulator.label_names == other.label_names
    assert np.array_equal(emulator.label_ranges, other.label_ranges)
    assert np.array_equal(emulator.wavelength, other.wavelength)


@needs_moog
def test_moog_returns_the_stored_spectrum():
    with np.load(SPECTRA) as file:
        labels, flux = file["labels"][0], file["flux"][0].astype(float)
    assert spectrum.synthesise(labels) == pytest.approx(flux, abs=2e-4)


@needs_moog
def test_the_atmosphere_is_one_and_its_range_is_held():
    layers = atmosphere.atmosphere(4500.0, 2.0, 0.0, 0.0)
    assert layers.shape == (80, 5)
    mass, temperature, pressure = layers.T[:3]
    assert (np.diff(mass) > 0).all()
    assert 2000 < temperature.min() < temperature.max() < 12_000
    assert pressure[-1] == pytest.approx(100 * mass[-1], rel=0.1)  # hydrostatic: g = 100 cm/s2
    with pytest.raises(ValueError, match="outside the models"):
        atmosphere.atmosphere(9000.0, 2.0, 0.0, 0.0)
