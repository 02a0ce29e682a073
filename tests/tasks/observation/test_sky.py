import numpy as np
import pytest

from starbench.tasks.observation import sky


def test_lines_are_those_of_the_table():
    wavelength, share = sky.airglow()
    assert len(wavelength) == len(share) == 94
    assert 15_180 < wavelength.min() < wavelength.max() < 16_960
    brightest = wavelength[share == share.max()]
    assert brightest == pytest.approx([15_833.160, 15_833.376])  # 4-2 Q1(1.5)
    assert share.max() == 0.5


def test_the_sky_is_bright_at_its_lines_and_dark_beside_them():
    line, beside = sky.sky_brightness(np.array([16_692.38, 16_690.9]))
    alone = np.exp(-(0.1095**2) / (2 * (16_692.38 / 22_500 / np.sqrt(8 * np.log(2))) ** 2))
    assert line == pytest.approx(13 * 0.96 * alone, rel=1e-3)  # two components 0.219 A apart
    assert beside < 0.01 * line


def test_errors_grow_with_the_sky_and_more_so_for_faint_stars():
    brightness = np.array([[0.0, 3.0, 8.0]] * 2)
    error = sky.relative_error(brightness, np.array([110.0, 55.0]))
    assert error[0] == pytest.approx([1, 2, 3])
    assert error[1] == pytest.approx([1, np.sqrt(13), np.sqrt(33)])


def test_an_observed_spectrum_has_such_errors():
    """2M17334253-1654573 (DR14): the sky at 17.4 times the star, errors 4.5 times as large."""
    error = sky.relative_error(np.array([[17.4]]), np.array([110.0]))
    assert error == pytest.approx(np.array([[4.5]]), rel=0.06)
