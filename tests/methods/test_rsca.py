"""RSCA gives no weight to what twins do not share, and finds more twins with pairs."""

import numpy as np
import pytest
from support.spectra import draw, view

from starbench.methods.base import Silent, View
from starbench.methods.polynomial_residual import PolynomialResidual
from starbench.methods.rsca import RelevantScaledComponents
from starbench.metrics import twin_ranks


def fitted(train, **settings):
    method = RelevantScaledComponents(RelevantScaledComponents.Hyperparameters(**settings))
    method.fit(train, train, Silent())
    return method


def siblings(n_pairs, seed):
    """Return pairs that share three of five directions, and these directions."""
    rng = np.random.default_rng(seed)
    directions = np.linalg.qr(np.random.default_rng(5).normal(size=(30, 5)))[0].T
    shared = np.repeat(rng.normal(size=(n_pairs, 3)), 2, axis=0) * [1.0, 0.7, 0.5]
    own = rng.normal(size=(2 * n_pairs, 5)) * [0.1, 0.1, 0.1, 3.0, 2.0]
    flux = (np.hstack([shared, np.zeros((2 * n_pairs, 2))]) + own) @ directions
    nuisance = rng.normal(size=(2 * n_pairs, 2))  # says nothing of what twins do not share
    twin = np.arange(2 * n_pairs) ^ 1
    return View(flux.astype(np.float32), nuisance.astype(np.float32), twin), directions


def test_directions_that_twins_do_not_share_have_no_weight():
    train, directions = siblings(20_000, 0)
    method = fitted(train, components=5, degree=1)
    base = np.zeros((1, 30), np.float32)
    u = np.zeros((1, 2), np.float32)
    moved = [
        np.abs(method.encode(base + d.astype(np.float32), u) - method.encode(base, u)).sum()
        for d in directions
    ]
    assert max(moved[3:]) < 0.02 * min(moved[:3])


def test_axes_are_scaled_as_published():
    """Among siblings an axis scatters by sqrt(1 - sigma^2): z = y sqrt(1 / sigma^2 - 1)."""
    train, _ = siblings(20_000, 0)
    latent = fitted(train, components=5, degree=0).encode(train.flux, train.nuisance)
    within = np.cov((latent - latent[train.twin]).T) / 2
    total = np.cov(latent.T)
    for matrix in (within, total):
        off = matrix - np.diag(np.diag(matrix))
        assert np.abs(off).max() < 0.01 * np.diag(matrix).max()
    sigma2 = np.diag(within) / np.diag(total)
    signal = sigma2 < 0.5
    assert signal.sum() == 3
    assert np.diag(within)[signal] == pytest.approx(1 - sigma2[signal], rel=1e-2)
    # (0.1 / total)^2 of each of the three, for any turn of the principal components
    made = 0.01 / (np.array([1.0, 0.49, 0.25]) + 0.01)
    assert np.sort(sigma2[signal]) == pytest.approx(np.sort(made), rel=0.1)


def test_all_components_reconstruct():
    train = view("train", 300, "pairs")
    method = fitted(train, components=60)
    rebuilt = method.decode(method.encode(train.flux, train.nuisance), train.nuisance)
    assert np.mean((rebuilt - train.flux) ** 2) < 1e-4 * train.flux.var()


def test_learning_from_pairs_finds_more_twins():
    flux, nuisance, _ = draw("test", 300)
    flat, u = flux.reshape(600, -1), nuisance.reshape(600, -1)
    residual = PolynomialResidual(PolynomialResidual.Hyperparameters(latent=30, whitening=1.0))
    train = view("train", 1500, "pairs")
    residual.fit(train, train, Silent())
    shares = [
        (twin_ranks(method.encode(flat, u).reshape(300, 2, -1)).rank == 1).mean()
        for method in (residual, fitted(train, components=30))
    ]
    assert shares[1] > shares[0] + 0.2
