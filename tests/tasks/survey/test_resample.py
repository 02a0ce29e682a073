"""Resampling conserves flux, propagates errors and covers no pixel that nobody measured."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from starbench.tasks.errors import DataError
from starbench.tasks.survey.resample import resample
from starbench.tasks.survey.wavelengths import vacuum_angstrom
from starbench.tasks.synthesis.wavelengths import aspcap_wavelengths


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.fixture
def target():
    return aspcap_wavelengths()


def survey_grid():
    """Return the 8,575 pixels of APOGEE's spectra [Angstrom]."""
    return 10 ** (4.179 + 6e-6 * np.arange(8575))


def spectra(rng, n, n_pixels):
    flux = rng.uniform(0.5, 1.0, (n, n_pixels)).astype(np.float32)
    return flux, rng.uniform(0.01, 0.1, (n, n_pixels)).astype(np.float32)


def brute_force(old, flux, error, new):
    """Return one spectrum on other pixels of steps of 1, pixel by pixel."""
    means, errors = np.ones(len(new)), np.full(len(new), np.inf)
    for i, centre in enumerate(new):
        overlap = np.minimum(old + 0.5, centre + 0.5) - np.maximum(old - 0.5, centre - 0.5)
        overlap = np.clip(overlap, 0, None)
        used = overlap > 1e-3
        if overlap[used].sum() > 0.99 and np.isfinite(error[used]).all():
            weight = overlap[used] / overlap[used].sum()
            means[i] = weight @ flux[used]
            errors[i] = np.sqrt(weight**2 @ error[used].astype(float) ** 2)
    return means, errors


@given(seed=st.integers(0, 2**32 - 1), shift=st.floats(0.03, 0.97), masked=st.floats(0, 0.5))
def test_equals_brute_force_between_pixels_of_equal_steps(seed, shift, masked):
    rng = np.random.default_rng(seed)
    old, new = np.arange(100.0, 130.0), np.arange(95.0, 135.0) + shift
    flux, error = spectra(rng, 3, len(old))
    error[rng.random(error.shape) < masked] = np.inf
    found = resample(old, flux, error, new)
    for i in range(3):
        for values, expected in zip(found, brute_force(old, flux[i], error[i], new), strict=True):
            np.testing.assert_allclose(values[i], expected, rtol=1e-5)


@given(seed=st.integers(0, 2**32 - 1), size=st.floats(1.2, 6.0))
def test_flux_is_conserved_where_pixels_become_larger(seed, size):
    rng = np.random.default_rng(seed)
    old = np.cumsum(rng.uniform(0.8, 1.1, 200))
    new = np.arange(old[5], old[-6], size)
    flux, error = spectra(rng, 1, len(old))
    means, _ = resample(old, flux, error, new)
    edges = np.concatenate([[old[0]], (old[1:] + old[:-1]) / 2, [old[-1]]])
    total = np.concatenate([[0], np.cumsum(flux[0].astype(float) * np.diff(edges))])
    ends = np.array([new[0] - size / 2, new[-1] + size / 2])
    expected = np.diff(np.interp(ends, edges, total))[0]
    # Overlaps below a thousandth of a pixel, at either end of it, count as rounding.
    assert means.sum(dtype=float) * size == pytest.approx(expected, rel=2e-3)


def test_equal_pixels_are_copied_unchanged(rng, target):
    flux, error = spectra(rng, 2, len(target))
    copied, of_it = resample(target, flux, error, target)
    assert np.array_equal(copied, flux)
    assert np.array_equal(of_it, error)


def test_a_gap_between_detectors_is_masked_and_its_ends_are_not(rng):
    old = np.concatenate([np.arange(100.0, 120.0), np.arange(130.0, 150.0)])
    new = np.arange(105.25, 145.0)
    _, error = resample(old, *spectra(rng, 1, len(old)), new)
    measured = (new + 0.5 <= 119.5) | (new - 0.5 >= 129.5)
    assert np.array_equal(np.isfinite(error[0]), measured)


def test_logarithms_in_float32_lose_no_pixel(target):
    """Rounded so, wavelengths near 16,000 Angstrom are off by up to a twentieth of a pixel."""
    exact = survey_grid()
    rounded = vacuum_angstrom(np.log10(exact).astype(np.float32), "log10", "vacuum", "a survey")
    assert np.abs(rounded - exact).max() > 0.02 * np.diff(exact).min()
    flux, error = np.ones((1, len(exact)), np.float32), np.full((1, len(exact)), 0.1, np.float32)
    means, errors = resample(rounded, flux, error, target)
    assert np.isfinite(errors).all()
    np.testing.assert_allclose(means, 1, rtol=1e-6)


@pytest.mark.parametrize("values", [[-2.0, -1.0, 1.0], [0.0, 1.0, 2.0]])
def test_wavelengths_that_are_not_above_0_are_refused(values):
    with pytest.raises(DataError, match=r"a file has wavelengths of .* Angstrom; correct those"):
        vacuum_angstrom(np.array(values), "nm", "vacuum", "a file")


def test_wavelengths_rounded_to_hundredths_mask_no_pixel(rng, target):
    old = np.round(survey_grid(), 2)
    flux, error = spectra(rng, 2, len(old))
    new_flux, new_error = resample(old, flux, error, target)
    place = np.searchsorted(survey_grid(), target - 0.05)
    np.testing.assert_array_equal(new_flux, flux[:, place])
    np.testing.assert_array_equal(new_error, error[:, place])
