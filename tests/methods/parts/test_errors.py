"""Errors of pixels as weights, and as one level of noise."""

import dataclasses

import numpy as np
import pytest
from support.spectra import view

from starbench.methods.parts.errors import (
    constant,
    noise_levels,
    pixel_weights,
    typical_noise,
    with_plain_noise,
)


def test_weights_of_a_hand_worked_case():
    error = np.array([[1, 2, np.inf], [3, 3, 3], [np.inf] * 3], np.float32)
    weight, best = pixel_weights(error)
    assert weight.tolist() == [[1, 0.25, 0], [1, 1, 1], [0, 0, 0]]
    assert best.tolist() == [1, 3, 1]
    assert noise_levels(error) == pytest.approx([(3 / 1.25) ** 0.5, 3, 2])


def test_a_single_error_far_too_small_leaves_the_other_pixels_their_weight():
    error = np.full((1, 100), 0.02, np.float32)
    error[0, 7] = 1e-9
    error[0, 50:60] = np.inf
    weight, best = pixel_weights(error)
    assert best == np.float32(0.02)
    assert np.array_equal(weight[0], np.isfinite(error[0]))


def test_errors_that_are_all_equal_are_the_noise():
    clean = view("train", 10, "nuisance")
    error = np.full_like(clean.flux, 0.03)
    noisy = with_plain_noise(dataclasses.replace(clean, error=error))
    assert noisy.error is None
    assert noisy.noise == float(np.float32(0.03))
    error[:, 3] = 0.06
    uneven = dataclasses.replace(clean, error=error)
    assert with_plain_noise(uneven) is uneven
    assert 0.03 < typical_noise(uneven) < 0.031
    assert typical_noise(dataclasses.replace(clean, noise=0.5)) == 0.5


def test_a_constant_error_of_each_spectrum_is_not_masked():
    assert constant(np.array([[1, 1], [2, 2]]))
    assert not constant(np.array([[1, 1], [2, 3]]))
    assert not constant(np.full((1, 2), np.inf))
