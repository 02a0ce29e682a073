"""HSIC by brute force, and that its penalty disentangles."""

from itertools import permutations

import numpy as np
import pytest
import torch
from support.points import points
from support.small_settings import fit_small, swap_ratio

from starbench.methods.conditional_autoencoder import ConditionalAutoencoder
from starbench.methods.hsic import Hsic, hsic
from starbench.methods.parts.kernels import gaussian_kernel


def test_hsic_is_the_mean_over_different_stars_by_brute_force():
    first, second = (gaussian_kernel(points(8, 2, seed), (1.0,)).numpy() for seed in (0, 1))

    def mean(term, k):
        return np.mean([term(*stars) for stars in permutations(range(8), k)])

    expected = (
        mean(lambda i, j: first[i, j] * second[i, j], 2)
        + mean(lambda i, j, q, r: first[i, j] * second[q, r], 4)
        - 2 * mean(lambda i, j, q: first[i, j] * second[i, q], 3)
    )
    value = hsic(torch.from_numpy(first), torch.from_numpy(second)).item()
    assert value == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("dimensions", [1, 20])
def test_hsic_of_independent_samples_is_zero_on_average(dimensions):
    values = [
        hsic(
            gaussian_kernel(points(64, dimensions, 2 * seed), (0.5, 1.0)),
            gaussian_kernel(points(64, 2, 2 * seed + 1), (0.5, 1.0)),
        ).item()
        for seed in range(200)
    ]
    assert abs(np.mean(values)) < 3 * np.std(values) / 200**0.5


def test_hsic_detects_dependence_without_correlation():
    x = points(400, 1)
    kernel, independent = gaussian_kernel(x, (1.0,)), gaussian_kernel(points(400, 1, 5), (1.0,))
    dependent = gaussian_kernel(x**2, (1.0,))
    assert hsic(kernel, dependent) > 10 * hsic(kernel, independent)


def test_the_penalty_disentangles():
    penalised = fit_small(Hsic, n_pairs=1000, epochs=12, penalty_weight=1.0)
    baseline = fit_small(ConditionalAutoencoder, n_pairs=1000, epochs=12)
    assert swap_ratio(penalised) < 0.5 * swap_ratio(baseline)
