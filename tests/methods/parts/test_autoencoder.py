"""What all autoencoders share: the fit, its failures, noise, and saving."""

import dataclasses

import numpy as np
import pytest
import torch
from support.small_settings import Record, fit_small, hyperparameters
from support.spectra import draw, view

from starbench.methods.base import Diverged, Silent
from starbench.methods.conditional_autoencoder import ConditionalAutoencoder
from starbench.methods.fader import Fader
from starbench.methods.parts.autoencoder import Autoencoder
from starbench.methods.parts.inputs import Inputs
from starbench.methods.parts.networks import ConditionalNetworks, Networks
from starbench.methods.parts.objective import Reconstruction, ReconstructionError


def test_training_reduces_the_loss():
    record = Record()
    fit_small(ConditionalAutoencoder, n_pairs=600, epochs=10, monitor=record)
    assert record.values[-1]["reconstruction_mse"] < 0.2 * record.values[0]["reconstruction_mse"]


def test_watched_error_is_the_mean_squared_error_of_the_flux():
    train = view("train", 300, "nuisance")
    instance = fit_small(ConditionalAutoencoder, train, epochs=1)
    # With no learning rate left, the next epoch watches what decode gives.
    object.__setattr__(instance.hyperparameters, "epochs", 2)
    object.__setattr__(instance.hyperparameters, "learning_rate", 0.0)
    record = Record()
    instance.fit(train, train, record)
    rebuilt = instance.decode(instance.encode(train.flux, train.nuisance), train.nuisance)
    expected = np.mean((rebuilt - train.flux) ** 2)
    assert record.values[0]["reconstruction_mse"] == pytest.approx(expected, rel=0.05)


def test_a_non_finite_loss_raises_diverged():
    with pytest.raises(Diverged, match=r"became (nan|inf) in epoch"):
        fit_small(Fader, n_pairs=100, epochs=5, learning_rate=1e18)


class BlindNetworks(Networks):
    """Networks whose decoder does not use the latent."""

    def __init__(self, networks):
        super().__init__()
        self.networks = networks

    def encode(self, inputs, nuisance):
        return self.networks.encode(inputs, nuisance)

    def decode(self, latent, nuisance):
        return self.networks.decode(0 * latent, nuisance)


class Collapsed(Autoencoder):
    name, reference = "collapsed", "tests"
    Hyperparameters = ConditionalAutoencoder.Hyperparameters

    def build(self, inputs):
        networks = ConditionalNetworks(self.hyperparameters, inputs.n_inputs, inputs.n_nuisance)
        return Reconstruction(BlindNetworks(networks), ReconstructionError(inputs, 0.4))


def test_a_latent_that_the_decoder_ignores_raises_diverged():
    with pytest.raises(Diverged, match="the latent collapsed"):
        fit_small(Collapsed, n_pairs=300, epochs=3)


def test_encoding_before_fitting_raises_an_error():
    flux, nuisance, _ = draw("test", 2)
    with pytest.raises(RuntimeError, match="fader is not fitted: call fit or load_state first"):
        Fader().encode(flux[:, 0], nuisance[:, 0])


def test_noisy_spectra_get_a_noise_matched_latent_that_decodes_alike():
    train = dataclasses.replace(view("train", 300, "nuisance"), noise=0.02)
    decoded, latents = [], []
    for matching in (False, True):
        settings = hyperparameters(ConditionalAutoencoder, epochs=20, noise_matching=matching)
        instance = ConditionalAutoencoder(settings)
        instance.fit(train, train, Silent())
        latents.append(instance.encode(train.flux, train.nuisance))
        decoded.append(instance.decode(latents[-1], train.nuisance))
    assert not np.allclose(latents[0], latents[1])
    assert np.abs(decoded[0] - decoded[1]).max() < 1e-3


def test_the_state_restores_the_noise_model_of_noisy_spectra():
    train = dataclasses.replace(view("train", 300, "nuisance"), noise=0.02)
    fitted = fit_small(Fader, train, epochs=3)
    restored = Fader(fitted.hyperparameters)
    restored.load_state({name: tensor.clone() for name, tensor in fitted.state().items()})
    arguments = train.flux[:50], train.nuisance[:50]
    assert np.array_equal(restored.encode(*arguments), fitted.encode(*arguments))


def test_methods_with_the_same_settings_start_from_the_same_networks():
    train = view("train", 100, "nuisance")
    inputs = Inputs.fit(train, n_fitted=200, components=24, whitening=1.0, min_components=1, seed=0)
    weights = []
    for method in (ConditionalAutoencoder, Fader):
        torch.manual_seed(0)
        objective = method(hyperparameters(method)).build(inputs)
        weights.append(list(objective.networks.parameters()))
    assert all(torch.equal(one, other) for one, other in zip(*weights, strict=True))
