"""Kernels by hand and by brute force."""

import numpy as np
import pytest
import torch
from support.points import points

from starbench.methods.parts.kernels import gaussian_kernel, squared_distances


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
