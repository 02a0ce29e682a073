"""The Fader network's adversary disentangles, and its published preset is as published."""

import numpy as np
from support.small_settings import Record, fit_small, swap_ratio
from support.spectra import draw

from starbench.methods.conditional_autoencoder import ConditionalAutoencoder
from starbench.methods.fader import Fader


def test_fader_without_an_adversary_is_the_conditional_autoencoder():
    flux, nuisance, _ = draw("test", 20)
    arguments = flux.reshape(40, -1), nuisance.reshape(40, -1)
    fader = fit_small(Fader, n_pairs=100, epochs=3, adversary_weight=0.0)
    baseline = fit_small(ConditionalAutoencoder, n_pairs=100, epochs=3)
    assert np.array_equal(fader.encode(*arguments), baseline.encode(*arguments))


def test_the_adversary_disentangles():
    settings, record = {"n_pairs": 2500, "epochs": 20}, Record()
    fader = fit_small(Fader, monitor=record, bins=4, adversary_weight=0.5, **settings)
    baseline = fit_small(ConditionalAutoencoder, **settings)
    assert swap_ratio(baseline) > 5 * swap_ratio(fader)
    # Near chance: with so few spectra the adversary memorises some.
    last = record.values[-1]
    assert last["adversary_cross_entropy"] > 0.9 * last["chance_cross_entropy"]


def test_published_preset_works_on_pixels_with_the_published_widths():
    settings = Fader.Hyperparameters(**Fader.presets["published"])
    assert (settings.components, settings.encoder_widths) == (0, (2048, 512, 128))
    assert settings.decoder_widths == (512, 2048, 8192)
    assert settings.adversary_widths == (512, 256)
