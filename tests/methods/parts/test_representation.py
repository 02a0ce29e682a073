"""Principal components and pixels as representations of spectra."""

import numpy as np
import pytest
import torch
from support.spectra import draw

from starbench.methods.parts.representation import Representation, pixels, principal_components


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
