r"""Refinement: Gauss-Newton steps of a noisy spectrum's latent towards its best fit.

An encoder's output approximates the latent that explains a spectrum best. If the noise sigma is
known, this latent is defined: with decoder D and latents distributed as N(m, P), the maximum a
posteriori latent minimises

.. math::

    |x - D(z, u)|^2 / \sigma^2 + (z - m)^T P^{-1} (z - m),

and, with the decoder's Jacobian J at the encoder's output z, one step leads to

.. math::

    z + (J^T J / \sigma^2 + P^{-1})^{-1} [J^T (x - D(z, u)) / \sigma^2 + P^{-1} (m - z)].

Each spectrum takes its own step, independently of others. If each has errors of its own, its
information matrix A on the coefficients and its score b take the place of :math:`1 / \sigma^2` and
:math:`x / \sigma^2` (`representation.Measured`). Abundances are fitted to spectra in the
same way (Ting et al. 2019, ApJ 879, 69), but there with a model whose parameters are abundances.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import torch


class Likelihood(Protocol):
    """How probable the data of n spectra are, given predictions of them."""

    def pull(self, value: torch.Tensor, slopes: torch.Tensor) -> torch.Tensor:
        """Return the gradient [n, d] of the log-likelihood.

        Parameters
        ----------
        value : torch.Tensor [n, k]
            Predictions.
        slopes : torch.Tensor [n, d, k]
            Their derivatives by the latents.
        """

    def known(self, slopes: torch.Tensor) -> torch.Tensor:
        """Return the Fisher information [n, d, d] on the latents."""


@dataclass(frozen=True)
class White:
    """The likelihood of data with independent noise of one standard deviation.

    Attributes
    ----------
    target : torch.Tensor [n, k]
        Spectra, or their coefficients on orthonormal components.
    noise : float
    """

    target: torch.Tensor
    noise: float

    def pull(self, value: torch.Tensor, slopes: torch.Tensor) -> torch.Tensor:
        """Return J^T (x - D) / sigma^2; see `Likelihood.pull`."""
        return (slopes @ (self.target - value)[..., None])[..., 0] / self.noise**2

    def known(self, slopes: torch.Tensor) -> torch.Tensor:
        """Return J^T J / sigma^2; see `Likelihood.known`."""
        return slopes @ slopes.mT / self.noise**2


def gauss_newton_step(
    decode: Callable[[torch.Tensor], tuple[torch.Tensor, torch.Tensor]],
    likelihood: Likelihood,
    latent: torch.Tensor,
    *,
    mean: torch.Tensor,
    precision: torch.Tensor,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Take one step from latents towards their maximum a posteriori.

    Parameters
    ----------
    decode : callable
        From latents [n, d] to predictions [n, k] of the data, row by row, and their derivatives
        [n, d, k] by the latents.
    likelihood : Likelihood
        Of the data.
    latent : torch.Tensor [n, d]
    mean : torch.Tensor [d]
        Mean m of the latents over all stars.
    precision : torch.Tensor [d, d]
        Inverse of their covariance P.

    Returns
    -------
    latent : torch.Tensor [n, d]
    information : torch.Tensor [n, d, d]
        The Fisher information of each spectrum on its latent.
    """
    value, slopes = decode(latent)
    pull = likelihood.pull(value, slopes)
    pull += (mean - latent) @ precision
    information = likelihood.known(slopes)
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
