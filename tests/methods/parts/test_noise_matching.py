"""Noise-matched latents: by hand, by their covariance, and by the twins they find."""

import numpy as np
import pytest
import torch

from starbench.methods.base import SettingError
from starbench.methods.parts.noise_matching import (
    difference_covariance,
    n_held_out,
    noise_matched_map,
)


def cloud(signal, noise, n=200_000, seed=0):
    """Return latents of Gaussian signal with noise, and the same with the noise added once more."""
    generator = torch.Generator().manual_seed(seed)
    draws = [torch.randn(n, len(signal), generator=generator).double() for _ in range(3)]
    latent = draws[0] * torch.tensor(signal) + draws[1] * torch.tensor(noise)
    return latent, latent + draws[2] * torch.tensor(noise)


def matched(latent, noisier):
    return noise_matched_map(latent, difference_covariance(latent, noisier))


def test_weights_of_two_axes_equal_a_hand_calculation():
    # Variances: signal 9 and 3, noise 1 and 1. Shares of signal 9/10 and 3/4.
    matrix = matched(*cloud([3.0, 3**0.5], [1.0, 1.0])).numpy()
    norms = np.sort(np.linalg.norm(matrix, axis=1))
    assert norms == pytest.approx([0.75**0.5, 0.9**0.5], abs=0.01)


def test_noise_is_whitened_and_weighted_by_the_share_of_signal():
    latent, noisier = cloud([3.0, 1.0, 0.5], [0.1, 2.0, 0.3])
    mixing = torch.tensor([[1.0, 2.0, 0.0], [0.5, -1.0, 3.0], [0.0, 1.0, 1.0]]).double()
    matrix = matched(latent @ mixing, noisier @ mixing).double()
    difference = (noisier - latent) @ mixing @ matrix
    covariance = (difference.T @ difference / len(difference)).numpy()
    signal = [1 / (1 + 4), 0.25 / (0.25 + 0.09), 9 / 9.01]
    assert np.diag(covariance) == pytest.approx(signal, abs=0.01)
    assert covariance - np.diag(np.diag(covariance)) == pytest.approx(np.zeros((3, 3)), abs=0.01)


def test_an_axis_of_pure_noise_has_almost_no_weight_but_can_be_recovered():
    latent, noisier = cloud([1.0, 0.0], [0.2, 5.0])
    matrix = matched(latent, noisier)
    difference = (latent.float() @ matrix).std(0).sort().values
    assert difference[0] < 0.2 < difference[1]
    back = latent.float() @ matrix @ torch.linalg.inv(matrix)
    assert torch.allclose(back, latent.float(), atol=0.05)


def test_noise_matching_finds_more_twins_than_the_raw_latent():
    rng = np.random.default_rng(0)
    signal, noise = np.array([3.0, 1.0, 1.0, 1.0]), np.array([2.0, 0.1, 0.1, 0.1])
    truth = rng.normal(size=(600, 1, 4)) * signal
    stars = torch.from_numpy(truth + rng.normal(size=(600, 2, 4)) * noise)
    matrix = matched(*cloud(signal.tolist(), noise.tolist())).double()

    def nearest(latent):
        distance = torch.cdist(latent[:, 0], latent[:, 1], p=1)
        return (distance.argmin(1) == torch.arange(len(latent))).double().mean()

    assert nearest(stars @ matrix) > nearest(stars) + 0.1


def test_fewer_spectra_than_axes_are_matched():
    """Their covariance is singular, and rounding may make it indefinite."""
    generator = torch.Generator().manual_seed(0)
    latent = torch.randn(5, 20, generator=generator)
    noise = torch.randn(20, 3, generator=generator).double()
    covariance = noise @ noise.T
    covariance[0, 0] -= 0.01 * covariance.diagonal().mean()
    assert torch.isfinite(noise_matched_map(latent, covariance)).all()


def test_a_few_noisy_spectra_are_refused_in_one_sentence():
    with pytest.raises(SettingError, match="15 noisy training spectra are too few"):
        n_held_out(15)
    assert n_held_out(16) == 2
