"""The methods without a decoder: contrastive learning and label regression."""

import dataclasses

import numpy as np
import pytest
import torch
from support.spectra import draw, view

from starbench.methods.base import SettingError, Silent
from starbench.methods.contrastive import Contrastive, info_nce
from starbench.methods.label_regression import LabelRegression
from starbench.methods.parts.encoder import pairs
from starbench.methods.pca import PrincipalComponents
from starbench.metrics import twin_ranks

SMALL = {"components": 24, "encoder_widths": (64,)}


def fitted(method, train, **settings):
    instance = method(method.Hyperparameters(**SMALL, **settings))
    instance.fit(train, train, Silent())
    return instance


def encoded(instance):
    flux, nuisance, composition = draw("test", 300)
    latent = instance.encode(flux.reshape(600, -1), nuisance.reshape(600, -1))
    return latent, np.repeat(composition, 2, axis=0)


def nearest(latent):
    return (twin_ranks(latent.reshape(len(latent) // 2, 2, -1)).rank == 1).mean()


@pytest.mark.parametrize("temperature", [0.5, 2.0])
def test_info_nce_is_its_formula(temperature):
    latent = torch.randn(8, 3, generator=torch.Generator().manual_seed(0)).double()
    total = 0.0
    for i in range(8):
        weight = [
            0.0 if j == i else np.exp(-float((latent[i] - latent[j]).abs().sum()) / temperature)
            for j in range(8)
        ]
        total -= np.log(weight[(i + 4) % 8] / sum(weight))
    assert info_nce(latent, temperature).item() == pytest.approx(total / 8)


def test_pairs_of_a_hand_worked_case():
    assert pairs(torch.tensor([2, 3, 0, 1])).tolist() == [[0, 2], [1, 3]]


def test_contrastive_learning_finds_twins():
    train = view("train", 1500, "pairs")
    components = PrincipalComponents(PrincipalComponents.Hyperparameters(latent=10))
    components.fit(train, train, Silent())
    latent, _ = encoded(fitted(Contrastive, train, latent=10, epochs=20, batch_size=64))
    assert nearest(latent) > 0.95
    assert nearest(encoded(components)[0]) < 0.8


def test_fresh_noise_is_added_to_noisy_spectra_alone():
    clean = view("train", 60, "pairs")
    noisy = dataclasses.replace(clean, noise=0.02)
    settings = {"latent": 5, "epochs": 2}

    def latent(train, fresh_noise):
        return encoded(fitted(Contrastive, train, fresh_noise=fresh_noise, **settings))[0]

    assert np.array_equal(latent(clean, 0.0), latent(clean, 1.0))
    assert not np.array_equal(latent(noisy, 0.0), latent(noisy, 1.0))


def test_regression_recovers_the_composition():
    train = view("train", 2000, "oracle")
    latent, composition = encoded(fitted(LabelRegression, train, epochs=40, matching=False))
    # Judged on [Fe/H], of which all metal lines tell.
    assert np.corrcoef(latent[:, 0], composition[:, 0])[0, 1] > 0.95


def test_predictions_of_twins_scatter_alike_along_all_axes():
    flux, nuisance, composition = draw("train", 2000)
    noisy = flux + 0.02 * np.random.default_rng(0).normal(size=flux.shape).astype(np.float32)
    train = dataclasses.replace(
        view("train", 2000, "oracle"),
        flux=noisy.reshape(4000, -1), nuisance=nuisance.reshape(4000, -1),
        composition=np.repeat(composition, 2, axis=0), twin=np.arange(4000) ^ 1, noise=0.02,
    )  # fmt: skip
    instance = fitted(LabelRegression, train, epochs=10)
    latent = instance.encode(train.flux[:500], train.nuisance[:500])  # the pairs held out
    difference = latent[::2] - latent[1::2]
    within, total = np.mean(difference**2, axis=0) / 2, np.var(latent, axis=0)
    # An axis scatters by one, weighed with the root of its share of signal.
    known = total > within
    assert known.sum() >= 3
    assert within[known] == pytest.approx(1 - within[known] / total[known], abs=0.01)


def test_regression_needs_the_composition():
    train = dataclasses.replace(view("train", 20, "oracle"), composition=None)
    with pytest.raises(SettingError, match="needs the composition, which these data do not hold"):
        fitted(LabelRegression, train)
