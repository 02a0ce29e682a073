"""The chain from labels to spectra, piece by piece, and one spectrum."""

from pathlib import Path

import numpy as np
import pytest

from starbench.tasks.apogee_giants import population
from starbench.tasks.synthesis import atmosphere, engine, spectrum, training_set
from starbench.tasks.synthesis.build_temperatures import DEPTHS
from starbench.tasks.synthesis.lines import COLUMNS, load_lines
from starbench.tasks.synthesis.wavelengths import (
    CHIPS,
    air_to_vacuum,
    aspcap_wavelengths,
    vacuum_to_air,
)


@pytest.fixture(scope="module")
def lines():
    return load_lines()


def test_grid_is_the_dr12_grid():
    wavelength = aspcap_wavelengths()
    assert wavelength.shape == (7214,)
    assert (np.diff(wavelength) > 0).all()
    # first and last pixel of ASPCAP's chips on the apStar grid, in vacuum Angstrom
    assert wavelength[0] == pytest.approx(10 ** (4.179 + 6e-6 * 322))
    assert wavelength[-1] == pytest.approx(10 ** (4.179 + 6e-6 * 8305))
    assert sum(last - first for first, last in CHIPS) == 7214


def test_air_and_vacuum_invert_each_other():
    vacuum = np.linspace(15_000, 17_100, 50)
    assert np.abs(air_to_vacuum(vacuum_to_air(vacuum)) - vacuum).max() < 1e-7
    # Brackett 11: 16811.11 A in vacuum, 16806.52 A in air (NIST)
    assert vacuum_to_air(np.array(16811.11)) == pytest.approx(16806.52, abs=0.02)


def test_line_table_is_sorted_finite_and_in_range(lines):
    assert tuple(lines.columns) == COLUMNS
    assert lines["wlcent"].is_monotonic_increasing
    assert np.isfinite(lines[list(COLUMNS[1:])].to_numpy()).all()
    metals = lines[lines["species"] != "H 1"]
    assert metals["wlcent"].between(15_050, 17_100).all()
    assert {"CO 1", "CN 1", "OH 1", "Fe 1", "Fe 2"} <= set(lines["species"])


@pytest.mark.parametrize(
    ("species", "wavelength", "excitation"),
    [
        ("Fe 1", 15207.526, 5.38),
        ("Mg 1", 15740.716, 5.93),
        ("Mg 1", 15748.9, 5.93),
        ("Mg 1", 15765.8, 5.93),
        ("Al 1", 16718.96, 4.08),
        ("H 1", 16806.52, 12.75),
    ],
)
def test_known_lines_are_there(lines, species, wavelength, excitation):
    near = lines[(lines["species"] == species) & (abs(lines["wlcent"] - wavelength) < 0.2)]
    assert abs(near["excit"] - excitation).min() < 0.02


def test_the_co_bandhead_is_at_its_wavelength(lines):
    co = lines[lines["species"] == "CO 1"]["wlcent"]
    # the lines of the 3-0 band crowd redwards of the head and are absent just bluewards of it
    assert co.between(15577.3, 15582.0).sum() > 3 * co.between(15573.0, 15577.3).sum()


def test_each_element_of_the_task_has_a_line_or_a_molecule(lines):
    atoms = {name.split()[0] for name in lines["species"]}
    assert set(population.ELEMENTS) - atoms == {"N", "O"}  # seen through CN, and CO and OH


def _gaussian_line(mu):
    grid = np.arange(2000)
    line = 1 - 0.5 * np.exp(-0.5 * ((grid - 1000) / 4.0) ** 2)
    return np.tile(line, (len(mu), 1)), np.ones((len(mu), 2000))


def test_broadening_keeps_a_constant_and_the_equivalent_width():
    mu, weight = spectrum.disc_angles(4)
    line, continuum = _gaussian_line(mu)
    step = 4.6e-6
    assert weight.sum() == pytest.approx(1)
    flat = spectrum.broaden(continuum, continuum, mu, weight, step)
    assert np.abs(flat - 1).max() < 1e-12
    smooth = spectrum.broaden(line, continuum, mu, weight, step)
    assert (1 - smooth).sum() == pytest.approx((1 - line[0]).sum(), rel=1e-9)
    assert smooth.min() > line.min()


def test_broadening_has_the_stated_resolving_power():
    mu, weight = spectrum.disc_angles(4)
    step = 1e-6
    line = np.ones((4, 4001))
    line[:, 2000] = 0
    flux = spectrum.broaden(line, np.ones_like(line), mu, weight, step, macroturbulence=1e-6)
    depth = 1 - flux
    width = np.ptp(np.flatnonzero(depth >= depth.max() / 2)) * step
    assert 1 / width == pytest.approx(22_500, rel=0.05)


def test_brackett_lines_have_the_quantum_numbers_of_their_levels(lines):
    hydrogen = lines[lines["species"] == "H 1"].sort_values("gamvw")
    assert (hydrogen["gamqst"] == 4).all()  # without it the engine returns garbage
    assert hydrogen["gamvw"].tolist() == list(range(10, 24))


@pytest.mark.parametrize("count", [2, 4, 8])
def test_disc_angles_integrate_over_the_disc(count):
    mu, weight = spectrum.disc_angles(count)
    # flux of a limb-darkened disc: twice the integral of I(mu) mu over mu
    assert weight.sum() == pytest.approx(1)
    assert weight @ mu**2 == pytest.approx(1 / 2)
    assert weight @ mu == pytest.approx(2 / 3, rel=0.02)


@pytest.mark.parametrize(("teff", "logg"), [(3950, 1.4), (4500, 2.2), (5050, 3.1)])
def test_temperature_rises_inwards(teff, logg):
    depth, temperature = atmosphere.temperature_structure(teff, logg)
    assert np.array_equal(depth, DEPTHS)
    assert (np.diff(temperature) > 0).all()
    assert temperature[0] < teff < temperature[-1]


def test_pressure_rises_inwards_and_with_gravity():
    atmospheres = atmosphere.Atmospheres()
    giant = atmospheres(4500, 1.6, 0.0)[1]
    subgiant = atmospheres(4500, 2.9, 0.0)[1]
    assert (np.diff(giant) > 0).all()
    assert (subgiant > giant).all()
    with pytest.raises(ValueError, match="Teff = 6000"):
        atmospheres(6000, 2.0, 0.0)


def test_training_labels_cover_the_task_and_extend():
    labels = training_set.training_labels(64, seed=1)
    assert labels.shape == (64, 19)
    assert np.array_equal(training_set.training_labels(32, seed=1), labels[:32])
    assert labels[:, 0].min() < 4000
    assert labels[:, 0].max() > 5000
    spread = training_set.training_labels(512, seed=1).std(axis=0)
    assert (spread > training_set.held_out_labels().std(axis=0) * 0.95).all()


def test_held_out_stars_lie_within_the_task():
    labels = training_set.held_out_labels()
    assert labels.shape == (220, 19)
    for column, (low, high) in enumerate((population.TEFF_RANGE, population.LOGG_RANGE)):
        assert low <= labels[:, column].min() <= labels[:, column].max() <= high


def test_response_stars_differ_from_their_base_in_one_abundance():
    labels = training_set.response_labels().reshape(6, 18, 19)
    step = labels[:, 1:] - labels[:, :1]
    assert np.allclose(step[:, :, 2:], 0.1 * np.eye(17))
    assert np.allclose(step[:, :, :2], 0)


def test_isolated_reports_errors_crashes_and_timeouts():
    with pytest.raises(engine.EngineError, match="ZeroDivisionError"):
        engine.isolated(lambda: 1 / 0)
    with pytest.raises(engine.EngineError, match="no result after"):
        engine.isolated(__import__("time").sleep, 5, timeout=0.2)


def test_real_radiative_transfer_gives_the_stored_spectrum():
    pytest.importorskip("pysme", reason="PySME is not installed (pip install starbench[synthesis])")
    with np.load(Path(__file__).with_name("pysme_spectra.npz")) as file:
        labels, stored = file["labels"][0], file["flux"][0]
    flux = spectrum.synthesise(labels)
    assert flux.shape == (7214,)
    assert np.abs(flux - stored).max() < 1e-5
