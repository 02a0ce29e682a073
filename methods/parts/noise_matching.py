r"""Noise matching: scale a latent so that its noise is the same along all axes.

Noise makes the latents of twins differ, along some axes of the latent far more than along others.
With N the covariance that the noise gives to a latent, and T the covariance of all latents, there
are axes w_k in which both are diagonal,

.. math::

    W N W^T = 1, \qquad W T W^T = \mathrm{diag}(\lambda_1, \lambda_2, \ldots),

so that :math:`1 - 1/\lambda_k` is the share of signal in the variance along axis k. In the latent

.. math::

    z'_k = \sqrt{1 - 1/\lambda_k}\; (W z)_k

the noise is the same along all axes, and the weight of an axis in a distance grows with its share
of signal. This needs no pairs: N follows from the decoder's Jacobian
(`refinement.noise_covariance`), or from adding more noise of the known level to training spectra.
"""

import torch

from starbench.methods.base import SettingError

_HELD_OUT = 2048  # at most so many training spectra are held out, to measure the noise
_LEAST_SIGNAL = 1e-3  # weight of an axis of pure noise, positive so that the map has an inverse


def n_held_out(n_spectra: int) -> int:
    """Return how many of n noisy training spectra to hold out from the fit: the last ones.

    Networks and components memorise some noise of the spectra they are fitted to, so the noise of
    latents can only be measured on others. The rows of a view are shuffled, so the last are as good
    as any.

    Raises
    ------
    SettingError
        If they are too few for a covariance.
    """
    if n_spectra < 16:
        raise SettingError(
            f"{n_spectra} noisy training spectra are too few to hold out an eighth of them and "
            "measure their noise; give at least 16."
        )
    return min(_HELD_OUT, n_spectra // 8)


def difference_covariance(latent: torch.Tensor, noisier: torch.Tensor) -> torch.Tensor:
    """Return the mean outer product [d, d] of the change of latents [n, d], in float64."""
    difference = (noisier - latent).double()
    covariance: torch.Tensor = difference.T @ difference / len(difference)
    return covariance


def noise_matched_map(latent: torch.Tensor, noise: torch.Tensor) -> torch.Tensor:
    """Return the matrix M [d, d] by which z M is the noise-matched latent of z [n, d].

    Parameters
    ----------
    latent : torch.Tensor [n, d]
        Latents of spectra that the method was not fitted to (`n_held_out`).
    noise : torch.Tensor [d, d]
        The covariance N that the noise gives to a latent.
    """
    latent, noise = latent.double(), noise.double()
    # Keeps the weight of an axis without noise finite.
    noise = noise + 1e-6 * noise.diagonal().mean() * torch.eye(len(noise), dtype=noise.dtype)
    total = torch.cov(latent.T).reshape(noise.shape)
    factor, failed = torch.linalg.cholesky_ex(noise)
    if failed:  # by rounding, where there are fewer spectra than axes
        values, axes = torch.linalg.eigh((noise + noise.T) / 2)
        positive = (axes * values.clamp_min(1e-6 * values.mean())) @ axes.T
        factor = torch.linalg.cholesky(positive)
    whiten = torch.linalg.inv(factor)
    ratios, axes = torch.linalg.eigh(whiten @ total @ whiten.T)
    weight = (1 - 1 / ratios.clamp_min(1)).clamp_min(_LEAST_SIGNAL**2).sqrt()
    matched: torch.Tensor = whiten.T @ axes * weight
    return matched.float()
