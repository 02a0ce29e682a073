"""Whitened residuals have the identity covariance at every nuisance; decoding inverts encoding."""

import dataclasses

import numpy as np
from support.spectra import draw, view

from starbench.methods.base import Silent, View
from starbench.methods.conditional_whitening import ConditionalWhitening
from starbench.methods.polynomial_residual import PolynomialResidual
from starbench.metrics import twin_ranks


def fitted(train, **settings):
    method = ConditionalWhitening(ConditionalWhitening.Hyperparameters(**settings))
    method.fit(train, train, Silent())
    return method


def turning_spectra(n, seed):
    """Return spectra with two lines, whose strengths and ratio change with the nuisance."""
    rng = np.random.default_rng(seed)
    nuisance = rng.uniform(-1, 1, (n, 1)).astype(np.float32)
    lines = np.linalg.qr(np.random.default_rng(5).normal(size=(30, 2)))[0].T
    angle, growth = 0.6 * nuisance[:, 0], np.exp(0.5 * nuisance[:, 0])
    made = rng.normal(size=(n, 2)) * [0.1, 0.02]
    strength = np.stack([
        growth * (np.cos(angle) * made[:, 0] - np.sin(angle) * made[:, 1]),
        growth * (np.sin(angle) * made[:, 0] + np.cos(angle) * made[:, 1]),
    ], 1)  # fmt: skip
    flux = 1 + 0.3 * nuisance * lines[:1] + strength @ lines
    return flux.astype(np.float32), nuisance


def test_the_covariance_is_the_identity_at_each_nuisance():
    method = fitted(View(*turning_spectra(20_000, 0)), latent=2)
    flux, nuisance = turning_spectra(20_000, 1)
    latent = method.encode(flux, nuisance)
    for low in np.arange(-1, 1, 0.25):
        here = latent[(nuisance[:, 0] >= low) & (nuisance[:, 0] < low + 0.25)]
        assert np.abs(here.mean(0)).max() < 0.1
        assert np.abs(np.cov(here.T) - np.eye(2)).max() < 0.12


def test_decoding_inverts_encoding():
    flux, nuisance = turning_spectra(500, 1)
    for noise in (None, 0.001):
        train = dataclasses.replace(View(*turning_spectra(2000, 0)), noise=noise)
        method = fitted(train, latent=2, degree=6)
        latent = method.encode(flux, nuisance)
        again = method.encode(method.decode(latent, nuisance), nuisance)
        assert np.abs(again - latent).max() < (1e-3 if noise is None else 0.02) * latent.std()


def test_one_covariance_for_all_is_the_whitened_residual():
    train = view("train", 300, "nuisance")
    one = fitted(train, covariance_degree=0, degree=4, latent=10).encode(train.flux, train.nuisance)
    residual = PolynomialResidual(PolynomialResidual.Hyperparameters(latent=10))
    residual.fit(train, train, Silent())
    other = residual.encode(train.flux, train.nuisance)
    assert np.abs(one - other).max() < 1e-3


def test_a_covariance_for_each_nuisance_finds_more_twins():
    flux, nuisance, _ = draw("test", 300)
    train = view("train", 600, "nuisance")
    missed = []
    for degree in (0, 1):
        method = fitted(train, covariance_degree=degree, latent=10)
        latent = method.encode(flux.reshape(600, -1), nuisance.reshape(600, -1))
        missed.append((twin_ranks(latent.reshape(300, 2, -1)).rank > 1).mean())
    assert missed[1] < 0.5 * missed[0]
