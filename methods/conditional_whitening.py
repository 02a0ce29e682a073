r"""Conditional whitening: at each nuisance, the map that carries the spectra to a standard normal.

A polynomial m(u) in the nuisance is subtracted from the spectra, and the residual is projected on
its principal components, r. If spectra of one nuisance are normal, r ~ N(0, S(u)), then

.. math::

    z = S(u)^{-1/2}\, r, \qquad r = S(u)^{1/2}\, z,

with the symmetric root, is distributed as N(0, 1) at every u, so z and u are independent. Every
rotation of z that depends on u has this property as well; the symmetric root is the optimal
transport, which moves spectra the least in squared flux. Where spectra have noise of known variance
s^2, S is the covariance without noise, and z the maximum a posteriori estimate under r = S^{1/2} z
+ noise,

.. math::

    z = S(u)^{1/2}\, (S(u) + s^2)^{-1}\, r,

rotated and scaled by its noise (`starbench.methods.parts.noise_matching`). The covariance is a
function of u that is positive definite everywhere (`starbench.methods.parts.conditional_normal`).
Nothing is trained against anything else, and decoding inverts encoding.

References
----------
Sun, Feng and Saenko (2016), "Return of frustratingly easy domain adaptation", AAAI 30: CORAL, which
whitens the features of one domain and gives them the covariance of another. Here domains are
continuous, and their common target is the standard normal distribution.
Olkin and Pukelsheim (1982), Linear Algebra Appl. 48, 257: the optimal transport between normal
distributions. From one nuisance to another by way of N(0, 1) it is the optimal one only where the
two covariances commute.
"""

from dataclasses import dataclass
from typing import final

import numpy as np
import torch

from starbench.methods.base import Method, Monitor, View, option, required
from starbench.methods.parts.conditional_normal import ConditionalNormal
from starbench.methods.parts.noise_matching import n_held_out, noise_matched_map
from starbench.methods.parts.polynomial import PolynomialFlux
from starbench.methods.parts.representation import Representation, principal_components
from starbench.methods.parts.training import sub_state

_ROWS = 4096  # spectra at a time


@dataclass(frozen=True)
class Settings:
    """Hyperparameters of the two polynomials."""

    degree: int = option(3, "highest order of the mean's polynomial in the nuisance", low=0, high=6)
    covariance_degree: int = option(
        4,
        "highest order of the log covariance's polynomial that is tried; 0: one covariance",
        low=0,
        high=6,
    )
    latent: int = option(20, "components of the residual kept", low=1, high=1024)
    noise_matching: bool = option(
        True, "whether the noise of noisy spectra is left out of the covariance and equalised"
    )


@final
class ConditionalWhitening(Method):
    """Residuals of a polynomial in the nuisance, whitened by their covariance at the nuisance."""

    name = "conditional-whitening"
    label_access = "nuisance"
    reference = "after Sun et al. 2016"
    Hyperparameters = Settings
    hyperparameters: Settings
    _mean: PolynomialFlux
    _representation: Representation
    _normal: ConditionalNormal
    _matching: torch.Tensor  # [latent, latent]

    def fit(self, train: View, validation: View, monitor: Monitor) -> None:
        """Fit the mean, the components of the residual, and their covariance at each nuisance."""
        settings = self.hyperparameters
        noise = (train.noise if settings.noise_matching else None) or 0.0
        n_fitted = len(train) - n_held_out(len(train)) if noise else len(train)
        nuisance = required(train.nuisance, "nuisance")
        self._mean = PolynomialFlux.fit(train.flux[:n_fitted], nuisance[:n_fitted], settings.degree)
        self._representation = principal_components(
            self._mean.residual(train.flux[:n_fitted], nuisance[:n_fitted]),
            settings.latent,
            self.seed,
        )
        self._normal = ConditionalNormal.fit(
            (self._residual(train.flux[:n_fitted], nuisance[:n_fitted]), nuisance[:n_fitted]),
            (
                self._residual(validation.flux, required(validation.nuisance, "nuisance")),
                required(validation.nuisance, "nuisance"),
            ),
            settings.covariance_degree,
            noise,
        )
        self._matching = torch.eye(len(self._representation))
        if noise:
            rows = slice(n_fitted, None)
            variance, axes = self._normal.axes(nuisance[rows])
            # Components are orthonormal, so white noise has the same variance in each.
            passed = noise**2 * variance / (variance + noise**2) ** 2
            covariance = ((axes * passed[:, None]) @ axes.mT).mean(0)
            latent = torch.from_numpy(self.encode(train.flux[rows], nuisance[rows]))
            self._matching = noise_matched_map(latent, covariance)

    def _residual(self, flux: np.ndarray, nuisance: np.ndarray) -> torch.Tensor:
        """Return the components [n, latent], float64, of the residual."""
        return self._representation.coefficients(self._mean.residual(flux, nuisance)).double()

    def encode(self, flux: np.ndarray, nuisance: np.ndarray | None) -> np.ndarray:
        """Return the whitened residual [n, latent]."""
        u = required(nuisance, "nuisance")
        residual, parts = self._residual(flux, u), []
        for start in range(0, len(flux), _ROWS):
            rows = slice(start, start + _ROWS)
            variance, axes = self._normal.axes(u[rows])
            gain = variance.sqrt() / (variance + self._normal.noise**2)
            parts.append((axes @ (gain * _along(axes, residual[rows]))[..., None])[..., 0])
        return (torch.cat(parts).float() @ self._matching).numpy()

    def decode(self, latent: np.ndarray, nuisance: np.ndarray | None) -> np.ndarray:
        """Return the flux [n, n_pixels] of which the latent is the whitened residual."""
        u = required(nuisance, "nuisance")
        z = torch.linalg.solve(
            self._matching.double(), torch.as_tensor(latent).double(), left=False
        )
        flux: np.ndarray = self._mean.flux(u)
        for start in range(0, len(flux), _ROWS):
            rows = slice(start, start + _ROWS)
            variance, axes = self._normal.axes(u[rows])
            residual = (axes @ (variance.sqrt() * _along(axes, z[rows]))[..., None])[..., 0]
            flux[rows] += self._representation.flux(residual.float()).numpy()
        return flux

    def state(self) -> dict[str, torch.Tensor]:
        """Return the mean, the components, the covariance and the map that matches the noise."""
        return {
            "matching": self._matching,
            **self._mean.state_dict(prefix="mean."),
            **self._representation.state_dict(prefix="representation."),
            **self._normal.state_dict(prefix="normal."),
        }

    def load_state(self, state: dict[str, torch.Tensor]) -> None:
        """Restore what `state` returned."""
        self._matching = state["matching"]
        self._mean = PolynomialFlux.from_state(
            sub_state(state, "mean."), self.hyperparameters.degree
        )
        self._representation = Representation(**sub_state(state, "representation."))
        self._normal = ConditionalNormal(**sub_state(state, "normal."))

    @property
    def n_parameters(self) -> int:
        """Number of entries of the polynomials, the components and their mean."""
        own = self._mean.slopes.numel() + self._normal.slopes.numel()
        return own + self._representation.n_numbers + len(self._representation.mean)


def _along(axes: torch.Tensor, vectors: torch.Tensor) -> torch.Tensor:
    """Return the coordinates [n, d] of vectors [n, d] along the axes of each, [n, d, d]."""
    return (vectors[:, None] @ axes)[:, 0]
