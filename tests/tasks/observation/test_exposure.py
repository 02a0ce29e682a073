import numpy as np
import pytest

from starbench.tasks.observation import exposure
from starbench.tasks.observation.exposure import Detector, Exposures, hit_pixels, persistent_light
from starbench.tasks.observation.instrument import pixel_velocity
from starbench.tasks.registry import get_task
from starbench.tasks.streams import uniforms

N = 4000


@pytest.fixture(scope="module")
def wavelength():
    return get_task("apogee-giants").wavelength


@pytest.fixture(scope="module")
def exposures():
    return Exposures.drawn(uniforms("tests/exposure", 0, N, exposure.VARIATES))


@pytest.fixture(scope="module")
def detector(wavelength):
    return Detector.of(wavelength, uniforms("tests/detector", 0, 1, 8000)[0])


def some(exposures, n):
    return Exposures(*(values[:n] for values in vars(exposures).values()))


def test_snr_is_log_normal_about_110_within_40_and_300(exposures):
    logarithm = np.log(exposures.snr / 110)
    assert 40 < exposures.snr.min() < 45
    assert 280 < exposures.snr.max() < 300
    assert np.median(exposures.snr) == pytest.approx(110, rel=0.03)
    assert logarithm.std() == pytest.approx(0.38, rel=0.03)  # 0.4, cut at 2.5 deviations


def test_a_tenth_of_the_spectra_have_persistence(exposures):
    level, slope = exposures.persistence.T
    has = level > 0
    assert has.mean() == pytest.approx(0.1, abs=4 * np.sqrt(0.09 / N))
    assert 0.02 < level[has].min() < np.median(level[has]) < level[has].max() < 0.2
    assert np.median(level[has]) == pytest.approx(np.sqrt(0.02 * 0.2), rel=0.15)
    assert not slope[~has].any()
    assert abs(slope).max() <= 0.5


def test_velocities_scatter_by_40_kilometres_a_second(exposures):
    assert exposures.velocity.std() == pytest.approx(40, rel=0.04)
    assert abs(exposures.velocity).max() < 160


def test_six_percent_of_the_pixels_are_masked(detector, exposures):
    stars = some(exposures, 300)
    masked = np.isinf(detector.errors(stars))
    assert masked.mean() == pytest.approx(0.06, abs=0.004)
    bad = detector.observed(detector.bad, stars.velocity)
    sky = detector.observed(detector.sky, stars.velocity) > exposure.SKY_LIMIT
    rays = hit_pixels(stars.rays, len(detector.wavelength))
    assert np.array_equal(masked, bad | sky | rays)
    assert bad.mean() == pytest.approx(0.03, abs=0.003)
    assert sky.mean() == pytest.approx(0.011, abs=0.002)
    assert rays.mean() == pytest.approx(0.02, abs=0.002)


def test_sky_and_bad_pixels_stay_where_the_observatory_has_them(detector, wavelength):
    n = 50  # pixels by which a star's spectrum is shifted
    velocity = np.array([0.0, 35 * pixel_velocity(wavelength)])
    for pattern in (detector.sky, detector.bad):
        still, moving = detector.observed(pattern, velocity)
        assert np.array_equal(still[n:2900], moving[n - 35 : 2900 - 35])
    error = detector.errors(
        Exposures(np.full(2, 110.0), velocity, np.zeros((2, 2)), np.full((2, 1), np.nan))
    )
    assert np.array_equal(error[0, n:2900], error[1, n - 35 : 2900 - 35])


def test_errors_are_those_of_the_snr_and_larger_under_sky_lines(detector):
    one = Exposures(np.array([80.0]), np.zeros(1), np.zeros((1, 2)), np.full((1, 1), np.nan))
    error = detector.errors(one)[0]
    sky = detector.observed(detector.sky, one.velocity)[0]
    kept = np.isfinite(error)
    assert error[kept & (sky < 1e-6)] == pytest.approx(1 / 80)
    expected = np.sqrt(1 + sky[kept] * (110 / 80) ** 2) / 80
    assert error[kept] == pytest.approx(expected, rel=1e-5)
    assert error[kept].max() > 1.8 / 80


def test_a_cosmic_ray_takes_its_neighbours_with_it():
    hit = hit_pixels(np.array([[0.5, np.nan], [0.0, 0.99]]), 10)
    assert np.flatnonzero(hit[0]).tolist() == [4, 5, 6]
    assert np.flatnonzero(hit[1]).tolist() == [0, 1, 8, 9]


def test_persistence_adds_light_to_the_blue_detector_alone(wavelength):
    light = persistent_light(wavelength, np.array([[0.1, 0.5], [0.0, 0.0]]))
    assert light[0, 0] == pytest.approx(0.05)
    assert light[0, 2919] == pytest.approx(0.15)
    assert not light[0, 2920:].any()
    assert not light[1].any()
