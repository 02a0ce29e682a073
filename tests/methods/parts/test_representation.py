"""Principal components and pixels as representations of spectra."""

import numpy as np
import pytest
import torch
from support.spectra import draw

from starbench.methods.parts.representation import (
    Representation,
    noise_edge,
    pixels,
    principal_components,
)


@pytest.fixture(scope="module")
def flux():
    return draw("train", 400)[0].reshape(800, -1)


def test_principal_components_agree_with_a_singular_value_decomposition(flux):
    fitted = principal_components(flux, 20, seed=0)
    centred = flux.astype(np.float64) - flux.mean(axis=0, dtype=np.float64)
    _, singular, axes = np.linalg.svd(centred, full_matrices=False)
    exact = singular[:20] / np.sqrt(len(flux))
    assert fitted.deviation.numpy() == pytest.approx(exact, rel=1e-4)
    overlap = np.abs(np.sum(fitted.components.numpy()[:8] * axes[:8], axis=1))
    assert overlap == pytest.approx(np.ones(8), abs=1e-4)


def test_residual_mse_is_the_error_of_the_truncated_components(flux):
    fitted = principal_components(flux, 20, seed=0)
    rebuilt = fitted.flux(fitted.coefficients(flux)).numpy()
    assert float(fitted.residual_mse) == pytest.approx(np.mean((rebuilt - flux) ** 2), rel=1e-3)


def test_components_are_orthonormal_so_squared_errors_are_those_of_the_flux(flux):
    fitted = principal_components(flux, 20, seed=0)
    assert torch.allclose(fitted.components @ fitted.components.T, torch.eye(20), atol=1e-5)
    first, second = fitted.coefficients(flux[:50]), fitted.coefficients(flux[50:100])
    in_flux = (fitted.flux(first) - fitted.flux(second)).square().sum(1)
    assert torch.allclose((first - second).square().sum(1), in_flux, rtol=1e-4)


def test_pixels_reconstruct_exactly(flux):
    fitted = pixels(flux)
    assert fitted.flux(fitted.coefficients(flux)).numpy() == pytest.approx(flux, abs=1e-6)
    assert fitted.deviation.numpy() == pytest.approx(flux.std(axis=0), rel=1e-4)
    assert float(fitted.residual_mse) == 0


def test_more_components_than_the_rank_of_the_data_are_dropped(flux):
    # Ten spectra about their mean span nine dimensions; a tenth would be rounding.
    assert len(principal_components(flux[:10], 500, seed=0)) == 9


@pytest.mark.parametrize("fit", [pixels, lambda flux: principal_components(flux, 12, seed=0)])
def test_a_representation_is_restored_from_its_state(flux, fit):
    fitted = fit(flux)
    again = Representation(**fitted.state_dict())
    assert torch.equal(fitted.coefficients(flux), again.coefficients(flux))


def test_components_below_the_noise_are_dropped():
    rng = np.random.default_rng(0)
    signal = rng.normal(size=(4000, 3)) * [3.0, 2.0, 1.0]
    axes = np.linalg.qr(rng.normal(size=(60, 3)))[0]
    flux = (signal @ axes.T + rng.normal(0, 0.1, (4000, 60))).astype(np.float32)
    assert len(principal_components(flux, 40, seed=0)) == 40
    assert len(principal_components(flux, 40, seed=0, noise=0.1)) == 3
    assert len(principal_components(flux, 2, seed=0, noise=0.1)) == 2
    assert len(principal_components(flux, 40, seed=0, noise=0.1, min_components=10)) == 10


def survey(n=1500, seed=0, masked_share=0.1):
    """Return spectra of rank 3 with noise, their errors and masks, and the axes of the signal."""
    rng = np.random.default_rng(seed)
    signal = rng.normal(size=(n, 3)) * [3.0, 2.0, 1.0]
    axes = np.linalg.qr(np.random.default_rng(9).normal(size=(60, 3)))[0].T
    error = rng.uniform(0.05, 0.2, (n, 1)) * rng.uniform(1, 3, (n, 60))
    flux = 1 + signal @ axes + error * rng.normal(size=(n, 60))
    masked = rng.random((n, 60)) < masked_share
    flux[masked], error[masked] = 1e6, np.inf
    return flux.astype(np.float32), error.astype(np.float32), axes, signal


def test_constant_errors_give_the_same_bits_as_none(flux):
    fitted = principal_components(flux, 20, seed=0)
    error = np.repeat(np.linspace(0.1, 0.2, len(flux), dtype=np.float32)[:, None], 96, axis=1)
    assert torch.equal(fitted.coefficients(flux, error), fitted.coefficients(flux))


@pytest.mark.parametrize("masked", [0, 30])
def test_weighted_coefficients_solve_the_weighted_normal_equations(masked):
    flux, error, _, _ = survey()
    fitted = principal_components(flux, 5, seed=0, error=error)
    x, e = flux[7].astype(np.float64), error[7].astype(np.float64)
    e[:masked] = np.inf
    best = np.sort(e)[int(0.05 * np.isfinite(e).sum())]
    weight = np.minimum((best / e) ** 2, 1)
    axes, ridge = fitted.components.double().numpy(), (best / fitted.deviation.numpy()) ** 2
    residual = np.where(weight > 0, x - fitted.mean.numpy(), 0)
    expected = np.linalg.solve(axes * weight @ axes.T + np.diag(ridge), axes @ (weight * residual))
    # The projection of a spectrum that holds what is expected where a pixel weighs nothing.
    completed = weight * residual + (1 - weight) * (expected @ axes)
    found = fitted.coefficients(flux[7:8], e[None].astype(np.float32))[0].numpy()
    assert found == pytest.approx(axes @ completed, rel=1e-3, abs=1e-3)


def test_weighted_components_find_the_signal_beneath_masks():
    flux, error, axes, signal = survey(masked_share=0.2)
    fitted = principal_components(flux, 10, seed=0, error=error, noise=0.2)
    assert len(fitted) == 3
    overlap = np.linalg.svd(fitted.components.numpy() @ axes.T)[1]
    assert overlap == pytest.approx(np.ones(3), abs=5e-3)
    assert fitted.mean.numpy() == pytest.approx(np.ones(60), abs=0.1)
    assert fitted.deviation.numpy() == pytest.approx([3.0, 2.0, 1.0], rel=0.1)
    found = fitted.coefficients(flux, error).numpy() @ fitted.components.numpy() @ axes.T
    assert np.std(found - signal, axis=0).max() < 0.35


@pytest.mark.parametrize("on_pixels", [False, True])
def test_noise_covariance_is_the_scatter_over_noise_realisations(on_pixels):
    flux, error, _, _ = survey()
    fitted = pixels(flux, error) if on_pixels else principal_components(flux, 4, 0, error=error)
    one = np.repeat(error[3:4], 20_000, axis=0)
    noise = np.where(np.isfinite(one), one, 0) * np.random.default_rng(1).normal(size=one.shape)
    found = fitted.coefficients((np.where(np.isfinite(one), flux[3], 1) + noise).astype("f4"), one)
    expected = torch.cov(found.T.double())
    covariance = fitted.noise_covariance(flux[3:4], error[3:4])
    assert torch.allclose(covariance, expected, atol=0.04 * expected.diagonal().max())
    drawn = fitted.measured(flux[3:4], error[3:4]).draw(torch.Generator().manual_seed(0))
    assert drawn.shape == (1, len(fitted))


def test_noise_that_differs_between_spectra_makes_no_components():
    rng = np.random.default_rng(2)
    level = np.exp(rng.uniform(-5, -3.5, (300, 1)))
    error = np.repeat(level, 400, axis=1).astype(np.float32)
    error[rng.random(error.shape) < 0.05] = np.inf
    flux = (1 + level * rng.normal(size=error.shape)).astype(np.float32)
    assert len(principal_components(flux, 40, seed=0, error=error, noise=0.1)) == 1
    spread = level * rng.normal(size=error.shape)
    largest = np.linalg.norm(spread, 2) ** 2 / len(spread)
    assert largest == pytest.approx(noise_edge(level[:, 0], 400), rel=0.1)


def test_a_masked_spectrum_is_the_mean():
    flux, error, _, _ = survey(200)
    fitted = principal_components(flux, 4, 0, error=error)
    nothing = np.full_like(error[:2], np.inf)
    assert fitted.coefficients(flux[:2], nothing).abs().max() == 0


def test_a_pixel_that_is_always_masked_is_the_continuum():
    flux, error, _, _ = survey(200)
    error[:, 5] = np.inf
    for fitted in (pixels(flux, error), principal_components(flux, 4, 0, error=error)):
        assert fitted.mean[5] == pytest.approx(1, abs=1e-6)
        assert torch.isfinite(fitted.coefficients(flux, error)).all()
