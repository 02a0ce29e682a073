import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from starbench.tasks.observation import instrument
from starbench.tasks.registry import get_task

SPEED_OF_LIGHT = instrument.SPEED_OF_LIGHT
PIXEL = SPEED_OF_LIGHT * 6e-6 * np.log(10)  # km/s, as in apogee-giants
WAVELENGTH = 15_168 * 10 ** (6e-6 * np.arange(601))
CENTRE = 300


def line(deviation, centre=CENTRE, depth=0.4):
    """Return a Gaussian absorption line [1, n_pixels]; deviation and centre in pixels."""
    x = np.arange(len(WAVELENGTH)) - centre
    return (1 - depth * np.exp(-(x**2) / (2 * deviation**2))).astype(np.float32)[None]


def moments(flux):
    """Return equivalent width, centre and deviation of a line, in pixels."""
    absorption = 1 - flux[0, CENTRE - 40 : CENTRE + 40].astype(np.float64)
    x = np.arange(80)
    width = absorption.sum()
    centre = (x * absorption).sum() / width
    return width, centre, np.sqrt(((x - centre) ** 2 * absorption).sum() / width)


def changed(flux, deviation, velocity):
    return instrument.broadened(flux, WAVELENGTH, np.array([deviation]), np.array([velocity]))


@settings(max_examples=30, deadline=None)
@given(st.floats(0, 8), st.floats(-3, 3))
def test_a_line_is_widened_in_quadrature_and_shifted_by_its_velocity(deviation, velocity):
    width, centre, own = moments(line(2.0))
    new_width, new_centre, total = moments(changed(line(2.0), deviation, velocity))
    assert new_width == pytest.approx(width, rel=1e-4)  # the equivalent width is conserved
    assert new_centre - centre == pytest.approx(velocity / PIXEL, abs=2e-3)
    assert total == pytest.approx(np.hypot(own, deviation / PIXEL), rel=2e-3)


def test_a_broadened_line_has_the_profile_of_a_wider_gaussian():
    deviation = 1.5
    depth = 0.4 * 2.0 / np.hypot(2.0, deviation)
    expected = line(np.hypot(2.0, deviation), CENTRE + 0.5, depth)
    assert changed(line(2.0), deviation * PIXEL, 0.5 * PIXEL) == pytest.approx(expected, abs=2e-6)


def test_without_width_and_velocity_nothing_changes():
    assert changed(line(2.0), 0.0, 0.0) == pytest.approx(line(2.0), abs=1e-6)


def test_ends_of_a_detector_are_continued_by_their_mirror_image():
    slope = np.linspace(1.0, 0.9, len(WAVELENGTH), dtype=np.float32)[None]
    assert changed(slope, 6.0, 0.0) == pytest.approx(slope, abs=2e-4)


def test_the_given_resolving_power_is_reached():
    def deviation(power):
        return SPEED_OF_LIGHT / power / np.sqrt(8 * np.log(2)) / PIXEL

    added = instrument.resolution_deviation(np.array([19_000.0]), 22_500.0)[0]
    _, _, reached = moments(changed(line(deviation(22_500)), added, 0.0))
    assert reached == pytest.approx(deviation(19_000), rel=1e-4)


def test_macroturbulence_adds_a_quarter_of_the_difference_of_squares():
    assert instrument.macroturbulence_deviation(np.array([3.0, 5.0]), 3.0) == pytest.approx([0, 2])


def test_radial_tangential_macroturbulence_has_the_variance_that_is_used():
    zeta = 4.0
    mu = (np.arange(100_000) + 0.5) / 100_000  # cosine of the angle to the line of sight
    # Half of the surface moves along the radius, half across it; N(0, zeta / sqrt 2) each.
    variance = zeta**2 / 2 * (0.5 * mu**2 + 0.5 * (1 - mu**2))
    assert np.average(variance, weights=mu) == pytest.approx(zeta**2 / 4)


@pytest.fixture(scope="module")
def wavelength():
    return get_task("apogee-giants").wavelength


def test_level_and_tilt_act_on_each_detector_alone(wavelength):
    flux = np.ones((1, len(wavelength)), np.float32)
    level, tilt = np.array([[0.01, 0.0, 0.0]]), np.array([[0.0, 0.0, 0.02]])
    first, second, third = instrument.detectors(wavelength)
    result = instrument.recontinued(flux, wavelength, level, tilt)[0]
    assert result[first] == pytest.approx(np.full(2920, 1.01), abs=1e-6)
    assert (result[second] == 1).all()
    assert result[third] == pytest.approx(np.linspace(0.98, 1.02, third.stop - third.start))


def test_the_task_has_three_detectors(wavelength):
    assert [part.start for part in instrument.detectors(wavelength)] == [0, 2920, 5320]
    assert instrument.pixel_velocity(wavelength) == pytest.approx(PIXEL)


def test_spectra_are_changed_one_by_one():
    both = np.concatenate([line(2.0), line(3.0)])
    together = instrument.broadened(both, WAVELENGTH, np.array([1.0, 4.0]), np.array([0.3, -1.0]))
    assert np.array_equal(together[1:], changed(line(3.0), 4.0, -1.0))
