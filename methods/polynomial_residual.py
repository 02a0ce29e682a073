r"""Principal components of what a polynomial in the nuisance does not explain.

In each pixel p a polynomial in the nuisance, with all monomials q up to some degree, is fitted to
the training flux by least squares. The residuals are projected on their principal components w_k:

.. math::

    r_p = x_p - \beta_p \cdot q(u), \qquad z_k = \lambda_k^{-a/2}\, w_k \cdot r, \qquad
    \hat x = \beta q(u) + \sum_k \lambda_k^{a/2} z_k w_k.

This removes all that the mean spectrum at (Teff, log g) explains. The response of a line to its
abundance changes with temperature as well, and that stays in z. If the noise is known, the
components are scaled to it instead of to their variance (`starbench.methods.parts.components`).

References
----------
Price-Jones and Bovy (2018), MNRAS 475, 1410, who use a quadratic and then principal components.
"""

from dataclasses import dataclass
from typing import final

import numpy as np
import torch

from starbench.methods.base import Method, Monitor, View, option, required
from starbench.methods.parts.components import ScaledComponents
from starbench.methods.parts.errors import typical_noise, with_plain_noise
from starbench.methods.parts.polynomial import PolynomialFlux
from starbench.methods.parts.training import sub_state


@dataclass(frozen=True)
class Settings:
    """Hyperparameters of the polynomial and the components of its residuals."""

    degree: int = option(
        4, "highest order of the polynomial in the nuisance", low=0, high=6, tuned=(1, 6)
    )
    latent: int = option(20, "components of the residual kept", low=1, high=1024, tuned=(14, 40))
    whitening: float = option(
        1.0,
        "components are divided by their standard deviation to this power",
        low=0.0,
        high=1.0,
        tuned=(0.3, 1),
    )
    noise_matching: bool = option(
        True, "whether components of noisy spectra are weighted by signal-to-noise instead"
    )


@final
class PolynomialResidual(Method):
    """Principal components of the residual of a polynomial in the nuisance."""

    name = "polynomial-residual"
    version = 2
    label_access = "nuisance"
    takes_errors = True
    reference = "Price-Jones and Bovy 2018, MNRAS 475, 1410"
    Hyperparameters = Settings
    hyperparameters: Settings
    _mean: PolynomialFlux
    _components: ScaledComponents

    def fit(self, train: View, validation: View, monitor: Monitor) -> None:
        """Fit the polynomials, then the components of their residuals, to the training flux."""
        settings, nuisance = self.hyperparameters, required(train.nuisance, "nuisance")
        train = with_plain_noise(train)
        self._mean = PolynomialFlux.fit(train.flux, nuisance, settings.degree, train.error)
        self._components = ScaledComponents.fit(
            self._mean.residual(train.flux, nuisance),
            settings.latent,
            self.seed,
            whitening=settings.whitening,
            error=train.error,
            noise=typical_noise(train) if settings.noise_matching else None,
        )

    def encode(
        self, flux: np.ndarray, nuisance: np.ndarray | None, error: np.ndarray | None = None
    ) -> np.ndarray:
        """Return the scaled components [n, latent] of the residual."""
        residual = flux - self._mean.flux(required(nuisance, "nuisance"))
        return self._components.encode(residual, error)

    def decode(self, latent: np.ndarray, nuisance: np.ndarray | None) -> np.ndarray:
        """Add the residual that the latent makes to the polynomial at the nuisance."""
        mean_flux = self._mean.flux(required(nuisance, "nuisance"))
        flux: np.ndarray = self._components.decode(latent) + mean_flux
        return flux

    def state(self) -> dict[str, torch.Tensor]:
        """Return the polynomials and the components."""
        return {
            **self._mean.state_dict(prefix="mean."),
            **self._components.state_dict(prefix="components."),
        }

    def load_state(self, state: dict[str, torch.Tensor]) -> None:
        """Restore what `state` returned."""
        settings = self.hyperparameters
        self._mean = PolynomialFlux.from_state(sub_state(state, "mean."), settings.degree)
        self._components = ScaledComponents.from_state(
            sub_state(state, "components."), settings.whitening
        )

    @property
    def n_parameters(self) -> int:
        """Number of entries of the polynomials, the components and their mean."""
        return self._mean.slopes.numel() + self._components.n_parameters
