"""Fits of abundances recover them, and need them in the training set."""

import dataclasses

import numpy as np
import pytest
import torch
from support.small_settings import fit_small
from support.spectra import draw, view

from starbench.methods.base import SettingError
from starbench.methods.cannon import Cannon, QuadraticModel
from starbench.methods.parts.label_fit import LabelledSpectra
from starbench.methods.payne import Payne


def labelled(n, seed):
    """Return spectra that are a quadratic of five labels, of which three are the composition."""
    labels = np.random.default_rng(seed).normal(size=(n, 5))
    made = np.random.default_rng(99).normal(size=(21, 7))
    first, second = np.triu_indices(5)
    terms = np.concatenate([np.ones((n, 1)), labels, labels[:, first] * labels[:, second]], 1)
    arrays = (torch.from_numpy(x).float() for x in (terms @ made, labels[:, :3], labels[:, 3:]))
    return LabelledSpectra(*arrays)


def test_the_cannon_finds_a_quadratic_and_its_slopes():
    model = QuadraticModel(7, 3, 2)
    model.learn(labelled(500, 0), lambda **_: None)
    new = labelled(20, 1)
    predicted, slopes = model.predict(new.composition, new.nuisance)
    assert torch.allclose(predicted, new.inputs, atol=1e-2)
    moved = torch.tensor([0.0, 1e-2, 0.0])
    ahead, behind = (model.predict(new.composition + s * moved, new.nuisance)[0] for s in (1, -1))
    assert torch.allclose(slopes[:, 1], (ahead - behind) / 2e-2, atol=1e-2)


@pytest.mark.parametrize("method", [Cannon, Payne])
def test_a_fit_recovers_the_composition(method):
    train = view("train", 600, "oracle")
    settings = {"epochs": 25, "batch_size": 64, "widths": (64, 64)} if method is Payne else {}
    fitted = fit_small(method, train, matching=False, **settings)
    flux, nuisance, composition = draw("test", 200)
    latent = fitted.encode(flux.reshape(400, -1), nuisance.reshape(400, -1))
    truth = np.repeat(composition, 2, axis=0)
    correlations = [np.corrcoef(a, b)[0, 1] for a, b in zip(latent.T, truth.T, strict=True)]
    assert correlations[0] > 0.98  # [Fe/H], on which all metal lines depend
    rebuilt = fitted.decode(latent, nuisance.reshape(400, -1))
    assert np.mean((rebuilt - flux.reshape(400, -1)) ** 2) < 0.02 * flux.var()


@pytest.mark.parametrize("method", [Cannon, Payne])
def test_a_fit_needs_the_composition(method):
    train = dataclasses.replace(view("train", 20, "oracle"), composition=None)
    with pytest.raises(SettingError, match="needs the composition, which these data do not hold"):
        fit_small(method, train)


def test_estimates_of_twins_scatter_alike_along_all_axes():
    flux, nuisance, composition = draw("train", 1000)
    noisy = flux + 0.02 * np.random.default_rng(0).normal(size=flux.shape).astype(np.float32)
    train = dataclasses.replace(
        view("train", 1000, "oracle"),
        flux=noisy.reshape(2000, -1), nuisance=nuisance.reshape(2000, -1),
        composition=np.repeat(composition, 2, axis=0), twin=np.arange(2000) ^ 1, noise=0.02,
    )  # fmt: skip
    latent = fit_small(Cannon, train).encode(train.flux[:250], train.nuisance[:250])  # held out
    within = np.mean((latent[::2] - latent[1::2]) ** 2, axis=0) / 2
    total = np.var(latent, axis=0)
    above = total > 1.01 * within
    assert above.sum() >= 3
    assert within[above] == pytest.approx(1 - within[above] / total[above], abs=0.02)
