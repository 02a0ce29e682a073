"""LEACE erases the monomials, moves the spectra least, and is needed only to fit."""

import sys

import numpy as np
import pytest
from support.spectra import draw, view

from starbench.methods.base import SettingError, Silent, View
from starbench.methods.linear_erasure import LinearErasure
from starbench.methods.parts.polynomial import monomials
from starbench.methods.pca import PrincipalComponents


def fitted(train, **settings):
    method = LinearErasure(LinearErasure.Hyperparameters(**settings))
    method.fit(train, train, Silent())
    return method


def explained(latent, target):
    """Return the largest share of a column's variance that a linear predictor explains."""
    design = np.column_stack([np.ones(len(latent)), latent]).astype(np.float64)
    residual = target - design @ np.linalg.lstsq(design, target, rcond=None)[0]
    return (1 - residual.var(axis=0) / target.var(axis=0)).max()


@pytest.mark.parametrize("degree", [1, 2])
def test_no_linear_predictor_finds_the_monomials_in_the_training_spectra(degree):
    train = view("train", 400, "nuisance")
    latent = fitted(train, components=40, latent=12, degree=degree).encode(train.flux, None)
    u = (train.nuisance - train.nuisance.mean(0)) / train.nuisance.std(0)
    assert explained(latent, monomials(u.astype(float), degree)[:, 1:]) < 1e-4
    components = PrincipalComponents(PrincipalComponents.Hyperparameters(latent=12))
    components.fit(train, train, Silent())
    assert explained(components.encode(train.flux, None), u) > 0.9
    if degree == 1:  # what is not erased stays
        assert explained(latent, monomials(u.astype(float), 2)[:, 3:]) > 0.01


def test_leace_moves_the_spectra_less_than_an_orthogonal_projection():
    """LEACE moves the spectra by less than deleting the directions of the slopes does."""
    train = view("train", 400, "nuisance")
    method = fitted(train, components=40, latent=38, degree=1, whitening=0.0)
    x = method._axes.representation.coefficients(train.flux).numpy().astype(np.float64)
    left = method.encode(train.flux, None) @ method._axes.decoder.numpy()
    u = (train.nuisance - train.nuisance.mean(0)) / train.nuisance.std(0)
    # Deleting the column space of cov(x, u) with an orthogonal projection erases u as well.
    basis = np.linalg.qr(x.T @ u)[0]
    deleted = x - x @ basis @ basis.T
    assert explained(deleted, u) < 1e-4
    assert np.square(left - x).sum() < np.square(deleted - x).sum()


@pytest.mark.parametrize("noise", [None, 0.02])
def test_latent_and_nuisance_reconstruct(noise):
    """Latent and nuisance reconstruct a spectrum that is linear in u and the chemistry."""
    rng = np.random.default_rng(0)
    parts = np.random.default_rng(1).normal(size=(5, 60))
    u, a = rng.normal(size=(5000, 2)), rng.normal(size=(5000, 3))
    flux = (np.hstack([u, a]) @ parts).astype(np.float32)
    noisy = (flux + (noise or 0) * rng.normal(size=flux.shape)).astype(np.float32)
    train = View(noisy, u.astype(np.float32), noise=noise)
    method = fitted(train, components=5, latent=3, degree=1)
    latent = method.encode(noisy, train.nuisance)
    assert latent.shape == (5000, 3)
    error = method.decode(latent, train.nuisance) - flux
    assert np.sqrt(np.mean(error**2)) < 0.05 * flux.std()


def test_the_package_is_needed_only_to_fit(monkeypatch):
    train = view("train", 100, "nuisance")
    method = fitted(train, latent=5)
    monkeypatch.setitem(sys.modules, "concept_erasure", None)
    with pytest.raises(SettingError, match=r'pip install "starbench\[erasure\]"'):
        fitted(train)
    restored = LinearErasure(method.hyperparameters)
    restored.load_state(method.state())
    flux, nuisance, _ = draw("test", 10)
    arguments = flux.reshape(20, -1), nuisance.reshape(20, -1)
    assert np.array_equal(restored.encode(*arguments), method.encode(*arguments))
