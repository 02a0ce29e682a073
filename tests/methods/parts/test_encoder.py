"""What encoders without a decoder share: fresh noise."""

import dataclasses

import numpy as np
from support.small_settings import fit_small
from support.spectra import view

from starbench.methods.contrastive import Contrastive


def test_fresh_noise_is_added_to_noisy_spectra_alone():
    clean = view("train", 60, "pairs")
    noisy = dataclasses.replace(clean, noise=0.02)

    def latent(train, fresh_noise):
        fitted = fit_small(Contrastive, train, latent=5, epochs=2, fresh_noise=fresh_noise)
        return fitted.encode(clean.flux, clean.nuisance)

    assert np.array_equal(latent(clean, 0.0), latent(clean, 1.0))
    assert not np.array_equal(latent(noisy, 0.0), latent(noisy, 1.0))
