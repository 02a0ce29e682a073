from itertools import permutations

import numpy as np
import pytest
import torch
from support.spectra import draw, view

from starbench.methods.base import Silent
from starbench.methods.conditional_autoencoder import ConditionalAutoencoder
from starbench.methods.hsic import Hsic, hsic
from starbench.methods.mmd import Mmd, discrepancy
from starbench.methods.parts.kernels import gaussian_kernel, squared_distances


def points(n, d, seed=0):
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed)).double()


def test_squared_distances_against_brute_force():
    some = points(20, 3)
    expected = (some[:, None] - some[None]).square().sum(-1)
    assert torch.allclose(squared_distances(some), expected)


def test_kernel_of_a_hand_worked_case():
    # Distances 1, 1 and 2, so squares 1, 1, 4; their median is 1.
    kernel = gaussian_kernel(torch.tensor([[0.0], [1.0], [2.0]]), (1.0,))
    near, far = np.exp(-0.5), np.exp(-2)
    expected = [[1, near, far], [near, 1, near], [far, near, 1]]
    assert kernel.numpy() == pytest.approx(np.array(expected), rel=1e-6)


def test_kernel_does_not_depend_on_the_unit():
    some = points(30, 4)
    assert torch.allclose(gaussian_kernel(some, (0.5, 2.0)), gaussian_kernel(9 * some, (0.5, 2.0)))


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
def test_hsic_is_zero_on_average_where_there_is_no_dependence(dimensions):
    values = [
        hsic(
            gaussian_kernel(points(64, dimensions, 2 * seed), (0.5, 1.0)),
            gaussian_kernel(points(64, 2, 2 * seed + 1), (0.5, 1.0)),
        ).item()
        for seed in range(200)
    ]
    assert abs(np.mean(values)) < 3 * np.std(values) / 200**0.5


def test_hsic_tells_dependence_that_no_correlation_shows():
    x = points(400, 1)
    kernel, independent = gaussian_kernel(x, (1.0,)), gaussian_kernel(points(400, 1, 5), (1.0,))
    dependent = gaussian_kernel(x**2, (1.0,))
    assert hsic(kernel, dependent) > 10 * hsic(kernel, independent)


def test_discrepancy_against_brute_force():
    kernel = gaussian_kernel(points(12, 2), (1.0,))
    inside = torch.arange(12) < 5
    a, b = range(5), range(5, 12)
    expected = np.mean([kernel[i, j] for i in a for j in a if i != j])
    expected += np.mean([kernel[i, j] for i in b for j in b if i != j])
    expected -= 2 * np.mean([kernel[i, j] for i in a for j in b])
    assert discrepancy(kernel, inside).item() == pytest.approx(expected)


def test_discrepancy_is_zero_on_average_where_nothing_differs():
    values = []
    for seed in range(200):
        kernel = gaussian_kernel(points(40, 2, seed), (1.0,))
        values.append(discrepancy(kernel, torch.arange(40) % 2 == 0).item())
    assert abs(np.mean(values)) < 3 * np.std(values) / 200**0.5


@pytest.mark.parametrize(("method", "weight"), [(Hsic, 1.0), (Mmd, 3.0)])
def test_the_penalty_disentangles(method, weight):
    flux, nuisance, _ = draw("test", 200)
    flat, u = flux.reshape(400, -1), nuisance.reshape(400, -1)
    train = view("train", 1000, "nuisance")

    def swap_ratio(method_class, **settings):
        instance = method_class(
            method_class.Hyperparameters(
                components=24, encoder_widths=(64,), decoder_widths=(64,), epochs=12,
                batch_size=64, **settings,
            )
        )  # fmt: skip
        instance.fit(train, train, Silent())
        latent = instance.encode(flat, u)
        swapped = np.ascontiguousarray(latent.reshape(200, 2, -1)[:, ::-1]).reshape(400, -1)
        plain = np.mean((instance.decode(latent, u) - flat) ** 2)
        return np.mean((instance.decode(swapped, u) - flat) ** 2) / plain

    assert swap_ratio(method, penalty_weight=weight) < 0.5 * swap_ratio(ConditionalAutoencoder)
