"""The discrepancy by brute force, and that its penalty disentangles."""

import numpy as np
import pytest
import torch
from support.points import points
from support.small_settings import fit_small, swap_ratio

from starbench.methods.conditional_autoencoder import ConditionalAutoencoder
from starbench.methods.mmd import Mmd, discrepancy
from starbench.methods.parts.kernels import gaussian_kernel


def test_discrepancy_against_brute_force():
    kernel = gaussian_kernel(points(12, 2), (1.0,))
    inside = torch.arange(12) < 5
    a, b = range(5), range(5, 12)
    expected = np.mean([kernel[i, j] for i in a for j in a if i != j])
    expected += np.mean([kernel[i, j] for i in b for j in b if i != j])
    expected -= 2 * np.mean([kernel[i, j] for i in a for j in b])
    assert discrepancy(kernel, inside).item() == pytest.approx(expected)


def test_discrepancy_is_zero_on_average_for_equal_distributions():
    values = []
    for seed in range(200):
        kernel = gaussian_kernel(points(40, 2, seed), (1.0,))
        values.append(discrepancy(kernel, torch.arange(40) % 2 == 0).item())
    assert abs(np.mean(values)) < 3 * np.std(values) / 200**0.5


def test_the_penalty_disentangles():
    penalised = fit_small(Mmd, n_pairs=1000, epochs=12, penalty_weight=3.0)
    baseline = fit_small(ConditionalAutoencoder, n_pairs=1000, epochs=12)
    assert swap_ratio(penalised) < 0.5 * swap_ratio(baseline)
