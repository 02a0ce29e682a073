r"""Scaling a latent to the noise, so that distances count what is known and not what is noise.

Where spectra are noisy, the latents of twins differ by what the noise does to them, and along some
axes of the latent that is far more than along others. With N the covariance that the noise gives to
a latent and T the covariance of all latents, there are axes w_k in which both are diagonal,

.. math::

    W N W^T = 1, \qquad W T W^T = \mathrm{diag}(\lambda_1, \lambda_2, \ldots),

so that :math:`1 - 1/\lambda_k` is the share of signal in the variance along axis k. In the latent

.. math::

    z'_k = \sqrt{1 - 1/\lambda_k}\; (W z)_k

the noise is alike in all axes, and an axis counts for as much as it knows. No pairs are needed: N
follows from the decoder's Jacobian (`refinement.noise_covariance`), or from adding noise of the
known level once more to training spectra.
"""

import torch

from starbench.methods.base import View

_HELD_OUT = 2048  # noisy training spectra at most that teach nothing but what their noise does
_LEAST_SIGNAL = 1e-3  # an axis of noise alone is kept at this weight, so that z can be had back


def held_out(train: View) -> int:
    """Return how many spectra at the end of a view should teach a method nothing but their noise.

    Networks and components learn some of their spectra's noise by heart, so how much of a latent is
    noise can only be seen in others. The rows of a view are shuffled, so any will do.
    """
    return 0 if train.noise is None else min(_HELD_OUT, len(train) // 8)


def moved_covariance(latent: torch.Tensor, noisier: torch.Tensor) -> torch.Tensor:
    """Return the covariance N [d, d] of what more noise did to latents [n, d], in float64."""
    moved = (noisier - latent).double()
    return moved.T @ moved / len(moved)


def noise_matched_map(latent: torch.Tensor, noise: torch.Tensor) -> torch.Tensor:
    """Return the matrix M [d, d] that makes latents z [n, d] noise-matched as z M.

    Parameters
    ----------
    latent : torch.Tensor [n, d]
        Latents of spectra that the method was not fitted to; see `held_out`.
    noise : torch.Tensor [d, d]
        The covariance N that the noise gives to a latent.
    """
    latent, noise = latent.double(), noise.double()
    # A latent axis that no noise reaches must not get an infinite weight.
    noise = noise + 1e-6 * noise.diagonal().mean() * torch.eye(len(noise), dtype=noise.dtype)
    total = torch.cov(latent.T).reshape(noise.shape)
    whiten = torch.linalg.inv(torch.linalg.cholesky(noise))
    ratios, axes = torch.linalg.eigh(whiten @ total @ whiten.T)
    weight = (1 - 1 / ratios.clamp_min(1)).clamp_min(_LEAST_SIGNAL**2).sqrt()
    return (whiten.T @ axes * weight).float()
