"""Reconstruction from twins' latents disentangles; a share of twins is swapped."""

import numpy as np
import pytest
import torch
from support.small_settings import fit_small, swap_ratio
from support.spectra import draw

from starbench.methods.conditional_autoencoder import ConditionalAutoencoder
from starbench.methods.parts.objective import Batch, TrainingSet
from starbench.methods.parts.siblings import Siblings
from starbench.methods.swap_consistency import SwapConsistency, swapped_rows


def test_swapping_twins_in_training_disentangles():
    settings = {"epochs": 12}
    assert 4 * swap_ratio(fit_small(SwapConsistency, **settings)) < swap_ratio(
        fit_small(ConditionalAutoencoder, **settings)
    )


def test_without_swaps_it_is_the_conditional_autoencoder():
    flux, nuisance, _ = draw("test", 20)
    arguments = flux.reshape(40, -1), nuisance.reshape(40, -1)
    one = fit_small(SwapConsistency, n_pairs=100, epochs=3, swap_share=0.0)
    other = fit_small(ConditionalAutoencoder, n_pairs=100, epochs=3)
    assert np.array_equal(one.encode(*arguments), other.encode(*arguments))


def batch(twin, n_batch, n_fitted):
    nothing = torch.zeros(len(twin), 1)
    group = np.minimum(np.arange(len(twin)), twin.numpy())
    siblings = Siblings(group, twin.numpy(), n_fitted)
    return Batch(TrainingSet(nothing, nothing, n_fitted, siblings), torch.arange(n_batch), 0.0)


def test_a_share_of_the_rows_is_swapped_for_their_twins():
    rows, twin = torch.arange(4000), torch.arange(4000) ^ 1
    source = swapped_rows(batch(twin, 4000, 4000), 0.25)
    assert torch.equal(torch.where(source == rows, rows, twin), source)
    assert (source != rows).float().mean().item() == pytest.approx(0.25, abs=0.03)
    assert torch.equal(source, swapped_rows(batch(twin, 4000, 4000), 0.25))


def test_twins_held_out_from_the_fit_are_not_used():
    rows, twin = torch.arange(3000), 3999 - torch.arange(4000)
    source = swapped_rows(batch(twin, 3000, 3000), 0.25)
    assert source.max() < 3000
    assert (source != rows)[1000:].float().mean().item() == pytest.approx(0.25, abs=0.03)
