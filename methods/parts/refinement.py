r"""Refinement: Gauss-Newton steps of a noisy spectrum's latent towards its best fit.

An encoder's output approximates the latent that explains a spectrum best. If the noise sigma is
known, this latent is defined: with decoder D and latents distributed as N(m, P), the maximum a
posteriori latent minimises

.. math::

    |x - D(z, u)|^2 / \sigma^2 + (z - m)^T P^{-1} (z - m),

and, with the decoder's Jacobian J at the encoder's output z, one step leads to

.. math::

    z + (J^T J / \sigma^2 + P^{-1})^{-1} [J^T (x - D(z, u)) / \sigma^2 + P^{-1} (m - z)].

Each spectrum takes its own step, independently of others. Abundances are fitted to spectra in the
same way (Ting et al. 2019, ApJ 879, 69), but there with a model whose parameters are abundances.
"""

from collections.abc import Callable

import torch


def gauss_newton_step(
    decode: Callable[[torch.Tensor], tuple[torch.Tensor, torch.Tensor]],
    target: torch.Tensor,
    latent: torch.Tensor,
    *,
    noise: float,
    mean: torch.Tensor,
    precision: torch.Tensor,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Take one step from latents towards their maximum a posteriori.

    Parameters
    ----------
    decode : callable
        From latents [n, d] to predictions [n, k] of `target`, row by row, and their derivatives
        [n, d, k] by the latents.
    target : torch.Tensor [n, k]
        Spectra, or their coefficients on orthonormal components.
    latent : torch.Tensor [n, d]
    noise : float
        Standard deviation of the independent noise in each entry of `target`.
    mean : torch.Tensor [d]
        Mean m of the latents over all stars.
    precision : torch.Tensor [d, d]
        Inverse of their covariance P.

    Returns
    -------
    latent : torch.Tensor [n, d]
    information : torch.Tensor [n, d, d]
        J^T J / sigma^2, the Fisher information of each spectrum on its latent.
    """
    value, slopes = decode(latent)
    pull = (slopes @ (target - value)[..., None])[..., 0] / noise**2
    pull += (mean - latent) @ precision
    information = slopes @ slopes.mT / noise**2
    step = torch.linalg.solve(information + precision, pull[..., None])[..., 0]
    return latent + step, information


def noise_covariance(information: torch.Tensor, precision: torch.Tensor) -> torch.Tensor:
    r"""Return the covariance of refined latents that is due to noise, averaged over spectra.

    With :math:`V = (F + P^{-1})^{-1}`, the latent is linear in the noise with covariance V F V.

    Parameters
    ----------
    information : torch.Tensor [n, d, d]
        Fisher information F of each spectrum.
    precision : torch.Tensor [d, d]

    Returns
    -------
    torch.Tensor [d, d], float64
    """
    information = information.double()
    posterior = torch.linalg.inv(information + precision.double())
    covariance: torch.Tensor = (posterior @ information @ posterior).mean(0)
    return covariance
