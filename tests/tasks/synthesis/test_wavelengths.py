import numpy as np
import pytest

from starbench.tasks.synthesis.wavelengths import (
    CHIPS,
    air_to_vacuum,
    aspcap_wavelengths,
    vacuum_to_air,
)


def test_wavelengths_are_the_dr12_grid():
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
