r"""Scaled principal components, as latents of linear methods.

With orthonormal components w_k of variance lambda_k,

.. math::

    z_k = \lambda_k^{-a/2}\, w_k \cdot (x - \bar x), \qquad
    \hat x = \bar x + \sum_k \lambda_k^{a/2} z_k w_k.

At a = 1 all components have equal weight in a distance, at a = 0 the weight of their variance. If
the noise is known, they are instead rotated and scaled by it (`noise_matching.py`).
"""

from typing import final

import numpy as np
import torch
from torch import nn

from starbench.common.paging import Rows
from starbench.methods.parts.noise_matching import n_held_out, noise_matched_map
from starbench.methods.parts.representation import Representation, principal_components
from starbench.methods.parts.training import sub_state


@final
class ScaledComponents(nn.Module):
    """A linear map between flux and scaled principal components.

    Parameters
    ----------
    representation : Representation
        Principal components.
    whitening : float
        The power a of the standard deviation.
    matching : torch.Tensor [latent, latent], optional
        Map of the scaled components to noise-matched ones; the identity if not given.
    """

    matching: torch.Tensor

    def __init__(
        self,
        representation: Representation,
        whitening: float,
        matching: torch.Tensor | None = None,
    ) -> None:
        super().__init__()
        self.representation = representation
        self._scale: torch.Tensor = representation.deviation**whitening
        self.register_buffer(
            "matching", torch.eye(len(representation)) if matching is None else matching
        )

    @classmethod
    def from_state(cls, state: dict[str, torch.Tensor], whitening: float) -> "ScaledComponents":
        """Rebuild them from their ``state_dict()``, which decides their sizes."""
        representation = Representation(**sub_state(state, "representation."))
        return cls(representation, whitening, state["matching"])

    @classmethod
    def fit(
        cls,
        flux: Rows,
        n_components: int,
        seed: int,
        *,
        whitening: float,
        error: Rows | None = None,
        noise: float | None = None,
    ) -> "ScaledComponents":
        """Fit the components to flux.

        Parameters
        ----------
        flux : numpy.ndarray [n, n_pixels], float32
        n_components : int
        seed : int
        whitening : float
        error : numpy.ndarray [n, n_pixels], float32, optional
            Standard deviation of the noise in each pixel of each spectrum, for weights.
        noise : float, optional
            Typical standard deviation of the noise, to which, or to the errors, the components are
            matched; the last spectra are then held out from the fit.
        """
        n_fitted = len(flux) if noise is None else len(flux) - n_held_out(len(flux))
        known = None if error is None else error[:n_fitted]
        representation = principal_components(flux[:n_fitted], n_components, seed, error=known)
        fitted = cls(representation, whitening)
        if noise is not None:
            others = flux[n_fitted:]
            if error is None:
                latent = fitted._scaled(others)
                # Components are orthonormal: white noise has the same level in each as in a pixel.
                covariance = torch.diag((noise / fitted._scale) ** 2)
            else:
                latent = fitted._scaled(others, error[n_fitted:])
                covariance = representation.noise_covariance(others, error[n_fitted:])
                covariance = covariance / torch.outer(fitted._scale, fitted._scale)
            fitted.matching = noise_matched_map(latent, covariance)
        return fitted

    def _scaled(self, flux: Rows, error: Rows | None = None) -> torch.Tensor:
        return self.representation.coefficients(flux, error) / self._scale

    def encode(self, flux: Rows, error: Rows | None = None) -> np.ndarray:
        """Return the scaled components [n, latent] of flux [n, n_pixels] with or without errors."""
        latent: torch.Tensor = self._scaled(flux, error) @ self.matching
        return latent.numpy()

    def decode(self, latent: np.ndarray) -> np.ndarray:
        """Return the flux [n, n_pixels] that scaled components [n, latent] make."""
        back = torch.linalg.solve(self.matching.double(), torch.diag(self._scale).double()).float()
        return self.representation.flux(torch.as_tensor(latent) @ back).numpy()

    @property
    def n_parameters(self) -> int:
        """Number of entries of the components and the mean."""
        return self.representation.n_numbers + len(self.representation.mean)
