"""What encoders without a decoder share: pairs, fresh noise."""

import dataclasses

import numpy as np
import torch
from support.small_settings import fit_small
from support.spectra import view

from starbench.methods.contrastive import Contrastive
from starbench.methods.parts.encoder import pairs


def test_pairs_of_a_hand_worked_case():
    assert pairs(torch.tensor([2, 3, 0, 1])).tolist() == [[0, 2], [1, 3]]


def test_fresh_noise_is_added_to_noisy_spectra_alone():
    clean = view("train", 60, "pairs")
    noisy = dataclasses.replace(clean, noise=0.02)

    def latent(train, fresh_noise):
        fitted = fit_small(Contrastive, train, latent=5, epochs=2, fresh_noise=fresh_noise)
        return fitted.encode(clean.flux, clean.nuisance)

    assert np.array_equal(latent(clean, 0.0), latent(clean, 1.0))
    assert not np.array_equal(latent(noisy, 0.0), latent(noisy, 1.0))
