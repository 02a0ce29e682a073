"""The covariance is found at each nuisance, positive definite, and with its exact gradient."""

import numpy as np
import pytest
import torch
from support.points import points

from starbench.methods.parts.conditional_normal import (
    ConditionalNormal,
    cells,
    negative_log_likelihood,
)


def samples(n, seed, noise=0.0):
    """Return normal samples whose log covariance is linear in one nuisance, and that function."""
    rng = np.random.default_rng(seed)
    nuisance = rng.uniform(-1, 1, (n, 1))
    turn = np.array([[0.0, 0.8, 0.3], [0.8, 0.5, 0.0], [0.3, 0.0, -0.5]])

    def log_covariance(u):
        return np.diag([2.0, 0.0, -2.0]) + u[:, :, None] * turn

    values, axes = np.linalg.eigh(log_covariance(nuisance))
    residual = np.einsum(
        "nij,nj,nkj,nk->ni", axes, np.exp(values / 2), axes, rng.normal(size=(n, 3))
    )
    residual += noise * rng.normal(size=(n, 3))
    return torch.from_numpy(residual), nuisance, log_covariance


@pytest.mark.parametrize("noise", [0.0, 0.3])
def test_the_covariance_at_each_nuisance_is_found(noise):
    residual, nuisance, log_covariance = samples(20_000, 0, noise)
    other, u, _ = samples(4000, 1, noise)
    fitted = ConditionalNormal.fit((residual, nuisance), (other, u), 3, noise)
    assert fitted.degree >= 1
    variance, axes = fitted.axes(np.array([[-0.8], [0.0], [0.8]]))
    found = (axes @ torch.diag_embed(variance.log()) @ axes.mT).numpy()
    assert np.abs(found - log_covariance(np.array([[-0.8], [0.0], [0.8]]))).max() < 0.1


def test_the_order_rises_only_where_it_helps_others():
    rng = np.random.default_rng(0)
    both = [
        (torch.from_numpy(rng.normal(size=(n, 3)) * [3.0, 1.0, 0.1]), rng.normal(size=(n, 2)))
        for n in (500, 500)
    ]
    fitted = ConditionalNormal.fit(*both, 4)
    assert fitted.degree == 0
    assert fitted.slopes.shape == (1, 3, 3)


def test_fewer_spectra_than_numbers_to_fit_leave_a_positive_covariance():
    residual, nuisance, _ = samples(6, 0)
    fitted = ConditionalNormal.fit((residual, nuisance), samples(6, 1)[:2], 6)
    variance, _ = fitted.axes(nuisance)
    assert torch.isfinite(variance).all() and (variance > 0).all()


@pytest.mark.parametrize("noise", [0.0, 0.5])
def test_the_gradient_is_that_of_automatic_differentiation(noise):
    matrices, moments = (points(4, 25, seed).reshape(4, 5, 5) for seed in (0, 1))
    matrices = (matrices + matrices.mT).requires_grad_()
    moments = moments @ moments.mT
    covariance = torch.linalg.matrix_exp(matrices) + noise**2 * torch.eye(5)
    expected = 0.5 * (
        torch.logdet(covariance) + torch.linalg.solve(covariance, moments).diagonal(0, 1, 2).sum(1)
    )
    expected.sum().backward()
    value, gradient = negative_log_likelihood(matrices.detach(), moments, noise)
    assert torch.allclose(value, expected, rtol=1e-10)
    assert torch.allclose(gradient, matrices.grad, rtol=1e-6, atol=1e-6)


def test_cells_hold_every_spectrum_once_and_are_compact():
    nuisance = np.random.default_rng(0).uniform([4000, 1.5], [5000, 3.0], (1000, 2))
    rows = cells(nuisance, 64)
    assert sorted(np.concatenate(rows).tolist()) == list(range(1000))
    assert max(map(len, rows)) <= 64
    assert np.mean([nuisance[cell].std(0) for cell in rows], axis=0) == pytest.approx(
        nuisance.std(0) / 4, rel=0.2
    )
