"""Methods on surveys: errors of single pixels, masks, and siblings in groups."""

import dataclasses

import numpy as np
import pytest
import torch
from support.small_settings import TINY, hyperparameters
from support.spectra import draw, view

from starbench.methods.base import (
    Method,
    SettingError,
    Silent,
    constant_error,
    encode_spectra,
    filled,
    unmasked_mean,
)
from starbench.methods.fader import Fader
from starbench.methods.pca import PrincipalComponents
from starbench.methods.registry import get_method

NEED_SIBLINGS = [
    "ada-gvae", "cannon", "contrastive", "label-regression", "payne", "rsca", "swap-consistency",
    "vicreg",
]  # fmt: skip


def fitted(method: type[Method], train, **settings) -> Method:
    instance = method(hyperparameters(method, TINY | settings), seed=1)
    instance.fit(train, train, Silent())
    return instance


def noisy(label_access, n_pairs=100):
    clean = view("train", n_pairs, label_access)
    noise = np.random.default_rng(0).normal(0, 0.03, clean.flux.shape).astype(np.float32)
    return dataclasses.replace(clean, flux=clean.flux + noise)


@pytest.mark.parametrize(
    "name",
    ["cannon", "conditional-whitening", "contrastive", "fader", "linear-erasure", "pca",
     "polynomial-residual", "rsca"],
)  # fmt: skip
def test_equal_errors_give_the_bits_of_one_noise(name):
    method = get_method(name)
    train = noisy(method.label_access)
    error = np.full_like(train.flux, 0.03)
    by_noise = fitted(method, dataclasses.replace(train, noise=float(np.float32(0.03))))
    by_error = fitted(method, dataclasses.replace(train, error=error))
    u = None if method.label_access == "none" else train.nuisance
    expected = by_noise.encode(train.flux, u)
    assert np.array_equal(by_error.encode(train.flux, u), expected)
    assert np.array_equal(encode_spectra(by_error, train.flux, u, error), expected)


def test_a_few_masked_pixels_move_latents_a_little():
    """Of a fit without masks; the twin of a star may have other masks than the star."""
    flux, nuisance, _ = draw("test", 50)
    flux, u = flux.reshape(100, -1), nuisance.reshape(100, -1)
    train = dataclasses.replace(noisy("nuisance", 400), noise=0.03)
    method = fitted(Fader, train, epochs=20)
    error = np.full_like(flux, 0.03)
    plain = method.encode(flux, u)
    error[:, 10:13] = np.inf
    masked = encode_spectra(method, flux, u, error)
    assert not np.array_equal(masked, plain)
    assert np.square(masked - plain).mean() < 0.2 * plain.var(axis=0).mean()


def test_worse_errors_pull_refined_latents_to_the_mean():
    train = dataclasses.replace(noisy("nuisance", 400), noise=0.03)
    method = fitted(Fader, train, noise_matching=False)
    spread = [
        np.var(encode_spectra(method, train.flux, train.nuisance, np.full_like(train.flux, e)), 0)
        for e in (0.03, 0.3)
    ]
    assert spread[1].sum() < spread[0].sum()


@pytest.mark.parametrize("refinement", [0, 1])
def test_networks_on_pixels_give_masked_ones_no_weight(refinement):
    train = noisy("nuisance", 60)
    error = np.full_like(train.flux, 0.03)
    error[::2, 5:15] = np.inf
    latents = [
        encode_spectra(
            fitted(
                Fader,
                dataclasses.replace(train, flux=flux, error=error),
                components=0,
                refinement=refinement,
            ),
            flux,
            train.nuisance,
            error,
        )
        for flux in (train.flux, np.where(np.isfinite(error), train.flux, np.float32(np.nan)))
    ]
    assert np.isfinite(latents[0]).all()
    assert np.array_equal(*latents)


@pytest.mark.parametrize("name", NEED_SIBLINGS)
def test_siblings_may_form_groups_of_any_size(name):
    method = get_method(name)
    pairs = view("train", 60, "oracle" if method.label_access == "oracle" else "pairs")
    group = np.minimum(np.arange(120), pairs.twin)
    group = np.where(group < 20, 0, group)  # a cluster, pairs
    group[100:] = 1000 + np.arange(20)  # stars of the field, and twins that lost theirs
    train = dataclasses.replace(pairs, twin=None, group=group)
    latent = fitted(method, train).encode(train.flux, train.nuisance)
    assert np.isfinite(latent).all()
    field = dataclasses.replace(train, group=np.arange(120))
    with pytest.raises(SettingError, match=f"{name} learns from siblings, but no two stars"):
        fitted(method, field)


def test_masked_pixels_are_filled_with_the_mean_of_the_others():
    flux = np.array([[1, 2, 9], [3, 9, 9]], np.float32)
    error = np.array([[1, 1, np.inf], [1, np.inf, np.inf]], np.float32)
    mean = unmasked_mean(flux, error)
    assert mean.tolist() == [2, 2, 1]
    assert filled(flux, error, mean).tolist() == [[1, 2, 1], [3, 2, 1]]


def test_a_constant_error_is_found_only_without_masks():
    assert constant_error(np.full((3, 2), 0.5)) == 0.5
    assert constant_error(np.full((3, 2), np.inf)) is None
    assert constant_error(np.array([[1.0, 1.0], [1.0, 2.0]])) is None


def test_a_method_that_takes_errors_without_such_an_argument_is_refused():
    class Forgetful(Method):
        name, label_access, reference, takes_errors = "forgetful", "none", "tests", True
        Hyperparameters = PrincipalComponents.Hyperparameters

        def encode(self, flux, nuisance):
            return flux

    with pytest.raises(SettingError, match="its encode has no argument 'error'; add it"):
        get_method(Forgetful)


@pytest.fixture
def fixed_signs(monkeypatch):
    """Turn eigenvectors to one side: their signs are LAPACK's choice, which rounding can change."""
    real = torch.linalg.eigh

    def eigh(matrix):
        values, vectors = real(matrix)
        side = torch.randn(len(matrix), generator=torch.Generator().manual_seed(0)).double()
        return values, vectors * torch.sign(side @ vectors)

    monkeypatch.setattr(torch.linalg, "eigh", eigh)


@pytest.mark.usefixtures("fixed_signs")
def test_spectra_on_disk_give_the_latents_of_those_in_memory(tmp_path):
    train = noisy("nuisance", 300)
    error = np.full_like(train.flux, 0.03)
    error[:, ::7] = np.inf
    arrays = {}
    for name, values in (("flux", train.flux), ("error", error)):
        arrays[name] = np.memmap(tmp_path / name, np.float32, "w+", shape=values.shape)
        arrays[name][:] = values
    for name in ("pca", "polynomial-residual", "fader"):
        method = get_method(name)
        latents = [
            encode_spectra(fitted(method, each), train.flux, train.nuisance, error)
            for each in (
                dataclasses.replace(train, error=error),
                dataclasses.replace(train, **arrays),
            )
        ]
        assert latents[1] == pytest.approx(latents[0], rel=1e-3, abs=1e-3)


@pytest.mark.parametrize("name", ["conditional-autoencoder", "vicreg", "payne", "pca"])
def test_twenty_noisy_pairs_suffice_to_fit(name):
    method = get_method(name)
    train = dataclasses.replace(noisy(method.label_access, 20), noise=0.03)
    u = None if method.label_access == "none" else train.nuisance
    assert np.isfinite(fitted(method, train, epochs=1).encode(train.flux, u)).all()
