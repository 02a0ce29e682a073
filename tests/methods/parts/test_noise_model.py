"""Refined latents of noisy spectra reconstruct better."""

import dataclasses

import numpy as np
from support.small_settings import fit_small
from support.spectra import draw, view

from starbench.methods.conditional_autoencoder import ConditionalAutoencoder


def test_refined_latents_of_noisy_spectra_reconstruct_better():
    rng = np.random.default_rng(0)
    clean = view("train", 1200, "nuisance")
    noisy = clean.flux + rng.normal(0, 0.03, clean.flux.shape).astype(np.float32)
    train = dataclasses.replace(clean, flux=noisy, noise=0.03)
    flux, nuisance, _ = draw("test", 300)
    flat, u = flux.reshape(600, -1), nuisance.reshape(600, -1)
    seen = flat + rng.normal(0, 0.03, flat.shape).astype(np.float32)
    errors = []
    for steps in (0, 1):
        instance = fit_small(
            ConditionalAutoencoder, train, refinement=steps, epochs=30, components=256
        )
        rebuilt = instance.decode(instance.encode(seen, u), u)
        errors.append(float(np.mean((rebuilt - flat) ** 2)))
    assert errors[1] < 0.9 * errors[0]
