r"""Refining the latent of a noisy spectrum against the decoder, by Gauss-Newton steps.

An encoder is a network's guess at the latent that explains a spectrum. Where the noise sigma is
known, what it guesses at can be written down: with decoder D and latents distributed as
N(m, P), the maximum a posteriori latent minimises

.. math::

    |x - D(z, u)|^2 / \sigma^2 + (z - m)^T P^{-1} (z - m),

and, with the decoder's Jacobian J at the encoder's guess, one step leads to

.. math::

    z + (J^T J / \sigma^2 + P^{-1})^{-1} [J^T (x - D(z, u)) / \sigma^2 + P^{-1} (m - z)].

The step is each spectrum's own. It is how abundances are fitted to spectra with a model of them
(Ting et al. 2019, ApJ 879, 69), except that the decoder has learned model and parameters.
"""

from collections.abc import Callable

import torch


def gauss_newton_step(
    decode: Callable[[torch.Tensor], torch.Tensor],
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
        From latents [n, d] to what is compared with `target`, each row on its own.
    target : torch.Tensor [n, k]
        Spectra, or their coefficients on orthonormal components.
    latent : torch.Tensor [n, d]
    noise : float
        Standard deviation of the independent noise in each entry of `target`.
    mean : torch.Tensor [d]
        Mean of the latents over all stars.
    precision : torch.Tensor [d, d]
        Inverse of their covariance.

    Returns
    -------
    latent : torch.Tensor [n, d]
    information : torch.Tensor [n, d, d]
        J^T J / sigma^2, what the spectrum alone says of its latent.
    """
    axes = torch.eye(latent.shape[1], dtype=latent.dtype, device=latent.device)

    def along(axis: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return torch.func.jvp(decode, (latent,), (axis.expand_as(latent),))

    value, jacobian = torch.func.vmap(along, out_dims=(None, 2))(axes)
    pull = torch.einsum("nkd,nk->nd", jacobian, target - value) / noise**2
    pull += (mean - latent) @ precision
    information = jacobian.mT @ jacobian / noise**2
    step = torch.linalg.solve(information + precision, pull[..., None])[..., 0]
    return latent + step, information


def noise_covariance(information: torch.Tensor, precision: torch.Tensor) -> torch.Tensor:
    r"""Return what the noise alone gives to maximum a posteriori latents, averaged over spectra.

    With :math:`V = (F + P^{-1})^{-1}` the latent is linear in the noise, of covariance V F V.

    Parameters
    ----------
    information : torch.Tensor [n, d, d]
        F of each spectrum.
    precision : torch.Tensor [d, d]

    Returns
    -------
    torch.Tensor [d, d], float64
    """
    information = information.double()
    posterior = torch.linalg.inv(information + precision.double())
    return (posterior @ information @ posterior).mean(0)
