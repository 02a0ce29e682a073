"""Regression recovers the composition and scales its predictions to their scatter."""

import dataclasses

import numpy as np
import pytest
from support.small_settings import fit_small
from support.spectra import draw, view

from starbench.methods.base import SettingError
from starbench.methods.label_regression import LabelRegression


def test_regression_recovers_the_composition():
    fitted = fit_small(LabelRegression, n_pairs=2000, epochs=40, batch_size=256, matching=False)
    flux, nuisance, composition = draw("test", 300)
    latent = fitted.encode(flux.reshape(600, -1), nuisance.reshape(600, -1))
    # Judged on [Fe/H], on which all metal lines depend.
    assert np.corrcoef(latent[:, 0], np.repeat(composition[:, 0], 2))[0, 1] > 0.95


def test_predictions_of_twins_scatter_alike_along_all_axes():
    flux, nuisance, composition = draw("train", 2000)
    noisy = flux + 0.02 * np.random.default_rng(0).normal(size=flux.shape).astype(np.float32)
    train = dataclasses.replace(
        view("train", 2000, "oracle"),
        flux=noisy.reshape(4000, -1), nuisance=nuisance.reshape(4000, -1),
        composition=np.repeat(composition, 2, axis=0), twin=np.arange(4000) ^ 1, noise=0.02,
    )  # fmt: skip
    instance = fit_small(LabelRegression, train, epochs=10, batch_size=256)
    latent = instance.encode(train.flux[:500], train.nuisance[:500])  # the pairs held out
    difference = latent[::2] - latent[1::2]
    within, total = np.mean(difference**2, axis=0) / 2, np.var(latent, axis=0)
    # An axis scatters by one, times the root of its share of signal.
    above_noise = total > within
    assert above_noise.sum() >= 3
    assert within[above_noise] == pytest.approx(
        1 - within[above_noise] / total[above_noise], abs=0.01
    )


def test_regression_needs_the_composition():
    train = dataclasses.replace(view("train", 20, "oracle"), composition=None)
    with pytest.raises(SettingError, match="needs the composition, which these data do not hold"):
        fit_small(LabelRegression, train)
