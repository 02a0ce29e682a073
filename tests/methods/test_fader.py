import math

import numpy as np
import pytest
import torch
from support.spectra import draw, view

from starbench.methods.base import Diverged, Silent, View
from starbench.methods.conditional_autoencoder import ConditionalAutoencoder
from starbench.methods.fader import Fader, FaderSettings

SMALL = {"components": 24, "encoder_widths": (64,), "decoder_widths": (64,), "batch_size": 64}


class Record(Silent):
    def __init__(self):
        self.values = []

    def epoch(self, method, epoch, values):
        self.values.append(values)


def fitted(method, n_pairs=600, **settings):
    hyperparameters = method.Hyperparameters(**SMALL, **settings)
    instance, record = method(hyperparameters, seed=0), Record()
    instance.fit(view("train", n_pairs, "nuisance"), view("validation", 10, "nuisance"), record)
    return instance, record.values


def swap_ratio(instance):
    """Return the swapped over the plain mean squared error on spectra that were not fitted."""
    flux, nuisance, _ = draw("test", 200)
    flat, u = flux.reshape(400, -1), nuisance.reshape(400, -1)
    latent = instance.encode(flat, u).reshape(200, 2, -1)
    plain = np.mean((instance.decode(latent.reshape(400, -1), u) - flat) ** 2)
    swapped = np.mean((instance.decode(latent[:, ::-1].reshape(400, -1), u) - flat) ** 2)
    return swapped / plain


def test_fader_without_an_adversary_is_the_conditional_autoencoder():
    flux, nuisance, _ = draw("test", 20)
    arguments = flux.reshape(40, -1), nuisance.reshape(40, -1)
    fader, _ = fitted(Fader, 100, epochs=3, adversary_weight=0.0)
    baseline, _ = fitted(ConditionalAutoencoder, 100, epochs=3)
    assert np.array_equal(fader.encode(*arguments), baseline.encode(*arguments))


def test_the_adversary_disentangles():
    settings = {"n_pairs": 2500, "epochs": 20}
    fader, watched = fitted(Fader, bins=4, adversary_widths=(64,), adversary_weight=0.5, **settings)
    baseline, _ = fitted(ConditionalAutoencoder, **settings)
    assert swap_ratio(baseline) > 5 * swap_ratio(fader)
    # Near chance: of so few spectra the adversary learns some by heart.
    assert watched[-1]["adversary_cross_entropy"] > 0.9 * watched[-1]["chance_cross_entropy"]


def test_the_loss_falls():
    _, watched = fitted(ConditionalAutoencoder, epochs=10)
    assert watched[-1]["reconstruction_mse"] < 0.2 * watched[0]["reconstruction_mse"]


def test_watched_error_is_the_mean_squared_error_of_the_flux():
    train = view("train", 300, "nuisance")
    instance, _ = fitted(ConditionalAutoencoder, 300, epochs=1)
    # With no learning rate left, the next epoch watches what decode gives.
    object.__setattr__(instance.hyperparameters, "epochs", 2)
    object.__setattr__(instance.hyperparameters, "learning_rate", 0.0)
    record = Record()
    instance.fit(train, train, record)
    rebuilt = instance.decode(instance.encode(train.flux, train.nuisance), train.nuisance)
    expected = np.mean((rebuilt - train.flux) ** 2)
    assert record.values[0]["reconstruction_mse"] == pytest.approx(expected, rel=0.05)


@pytest.mark.parametrize(("n_nuisance", "classes"), [(1, 5), (2, 25), (3, 125), (5, 5)])
def test_chance_is_the_entropy_of_the_bins(n_nuisance, classes):
    rng = np.random.default_rng(0)
    flux = rng.normal(1, 0.1, (4000, 12)).astype(np.float32)
    nuisance = rng.exponential(size=(4000, n_nuisance)).astype(np.float32)
    hyperparameters = FaderSettings(
        components=4, encoder_widths=(8,), decoder_widths=(8,), bins=5, epochs=1
    )
    instance = Fader(hyperparameters)
    instance.fit(View(flux, nuisance), View(flux, nuisance), Silent())
    # Quantile bins are equally full, however skewed; five nuisances are read one by one.
    chance = float(instance.buffers["chance_cross_entropy"])
    assert chance == pytest.approx(math.log(classes), abs=0.05)
    assert chance <= math.log(classes) + 1e-6


def test_labels_of_a_hand_worked_case():
    instance = Fader(FaderSettings(bins=2))
    instance.buffers = {"bin_edges": torch.tensor([[0.0], [0.5]])}
    u = torch.tensor([[-1.0, -1.0], [-1.0, 1.0], [1.0, -1.0], [1.0, 1.0]])
    assert instance._labels(u)[:, 0].tolist() == [0, 1, 2, 3]


def test_a_fit_that_leaves_the_finite_numbers_says_so():
    with pytest.raises(Diverged, match=r"became (nan|inf) in epoch"):
        fitted(Fader, 100, epochs=5, learning_rate=1e18)


def test_a_latent_that_the_decoder_does_not_use_is_no_success():
    class Collapsed(ConditionalAutoencoder):
        def _decode(self, latent, nuisance):
            return super()._decode(0 * latent, nuisance)

    with pytest.raises(Diverged, match="the latent collapsed"):
        fitted(Collapsed, 300, epochs=3)


def test_published_preset_works_on_pixels_with_the_published_widths():
    settings = Fader.Hyperparameters(**Fader.presets["published"])
    assert (settings.components, settings.encoder_widths) == (0, (2048, 512, 128, 32))
    assert settings.decoder_widths == (512, 2048, 8192)


def test_noisy_spectra_get_a_noise_matched_latent_that_decodes_alike():
    import dataclasses

    train = dataclasses.replace(view("train", 300, "nuisance"), noise=0.02)
    decoded, latents = [], []
    for matching in (False, True):
        settings = ConditionalAutoencoder.Hyperparameters(
            **SMALL, epochs=20, noise_matching=matching
        )
        instance = ConditionalAutoencoder(settings)
        instance.fit(train, train, Silent())
        latents.append(instance.encode(train.flux, train.nuisance))
        decoded.append(instance.decode(latents[-1], train.nuisance))
    assert not np.allclose(latents[0], latents[1])
    assert np.abs(decoded[0] - decoded[1]).max() < 1e-3
