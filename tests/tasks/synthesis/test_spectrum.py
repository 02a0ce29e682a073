"""Broadening, the disc, and one real spectrum."""

from pathlib import Path

import numpy as np
import pytest

from starbench.tasks.synthesis import spectrum


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


@pytest.mark.parametrize("count", [2, 4, 8])
def test_disc_angles_integrate_over_the_disc(count):
    mu, weight = spectrum.disc_angles(count)
    # flux of a limb-darkened disc: twice the integral of I(mu) mu over mu
    assert weight.sum() == pytest.approx(1)
    assert weight @ mu**2 == pytest.approx(1 / 2)
    assert weight @ mu == pytest.approx(2 / 3, rel=0.02)


def test_real_radiative_transfer_gives_the_stored_spectrum():
    pytest.importorskip("pysme", reason="PySME is not installed (pip install starbench[synthesis])")
    with np.load(Path(__file__).parents[1] / "apogee_giants" / "pysme_spectra.npz") as file:
        labels, stored = file["labels"][0], file["flux"][0]
    flux = spectrum.synthesise(labels)
    assert flux.shape == (7214,)
    assert np.abs(flux - stored).max() < 1e-5
