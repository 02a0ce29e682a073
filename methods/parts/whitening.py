r"""The map that carries the normal distribution of spectra at each nuisance to a standard one.

With a polynomial m(u) in the nuisance, subtracted from the spectra, and the principal components r
of the residual, distributed as N(0, S(u)) (`conditional_normal.py`),

.. math:: z = S(u)^{1/2}\, (S(u) + s^2)^{-1}\, r,

where s is the noise of a pixel; without noise z is S(u)^{-1/2} r. With noise z is rotated and
scaled by it (`noise_matching.py`). If each spectrum has errors of its own, with the information A
and the score b on r (`representation.Measured`), z is the most probable value under the same model,

.. math:: z = (1 + S^{1/2} A S^{1/2})^{-1}\, S^{1/2} b .
"""

from dataclasses import dataclass
from typing import final

import numpy as np
import torch
from torch import nn

from starbench.common.paging import walk
from starbench.methods.base import View, option, required
from starbench.methods.parts.conditional_normal import ConditionalNormal
from starbench.methods.parts.errors import typical_noise, with_plain_noise
from starbench.methods.parts.noise_matching import n_held_out, noise_matched_map
from starbench.methods.parts.polynomial import PolynomialFlux
from starbench.methods.parts.representation import (
    WEIGHTED_ROWS,
    Representation,
    principal_components,
)
from starbench.methods.parts.training import sub_state

_ROWS = 4096  # spectra at a time


@dataclass(frozen=True)
class WhiteningSettings:
    """Hyperparameters of the two polynomials."""

    degree: int = option(
        3, "highest order of the mean's polynomial in the nuisance", low=0, high=6, tuned=(1, 5)
    )
    covariance_degree: int = option(
        4,
        "highest order of the log covariance's polynomial that is tried; 0: one covariance",
        low=0,
        high=6,
        tuned=(1, 6),
    )
    latent: int = option(20, "components of the residual kept", low=1, high=1024, tuned=(14, 30))
    noise_matching: bool = option(
        True, "whether the noise of noisy spectra is left out of the covariance and equalised"
    )


@final
class Whitening(nn.Module):
    """An invertible map between flux and whitened components of the residual.

    Parameters
    ----------
    mean : PolynomialFlux
    representation : Representation
        Principal components of the residual.
    normal : ConditionalNormal
        The distribution of these components.
    matching : torch.Tensor [latent, latent], optional
        Map of the whitened components to noise-matched ones; the identity if not given.
    """

    matching: torch.Tensor

    def __init__(
        self,
        mean: PolynomialFlux,
        representation: Representation,
        normal: ConditionalNormal,
        matching: torch.Tensor | None = None,
    ) -> None:
        super().__init__()
        self.mean, self.representation, self.normal = mean, representation, normal
        self.register_buffer(
            "matching", torch.eye(len(representation)) if matching is None else matching
        )

    @classmethod
    def from_state(cls, state: dict[str, torch.Tensor], degree: int) -> "Whitening":
        """Rebuild it from its ``state_dict()``, which decides its sizes."""
        return cls(
            PolynomialFlux.from_state(sub_state(state, "mean."), degree),
            Representation(**sub_state(state, "representation.")),
            ConditionalNormal(**sub_state(state, "normal.")),
            state["matching"],
        )

    @classmethod
    def fit(
        cls, train: View, validation: View, settings: WhiteningSettings, seed: int
    ) -> "Whitening":
        """Fit the mean, the components of the residual, and their covariance at each nuisance.

        Where the noise is known, the last spectra are held out (`n_held_out`).
        """
        train, validation = with_plain_noise(train), with_plain_noise(validation)
        error = train.error
        noise = (typical_noise(train) if settings.noise_matching else None) or 0.0
        n_fitted = len(train) - n_held_out(len(train)) if noise else len(train)
        nuisance = required(train.nuisance, "nuisance")
        flux, u = train.flux[:n_fitted], nuisance[:n_fitted]
        known = None if error is None else error[:n_fitted]
        mean = PolynomialFlux.fit(flux, u, settings.degree, known)
        residual = mean.residual(flux, u)
        representation = principal_components(residual, settings.latent, seed, error=known)
        other_u = required(validation.nuisance, "nuisance")
        others = representation.coefficients(
            mean.residual(validation.flux, other_u), validation.error
        ).double()
        normal = ConditionalNormal.fit(
            (representation.coefficients(residual, known).double(), u),
            (others, other_u),
            settings.covariance_degree,
            noise,
        )
        fitted = cls(mean, representation, normal)
        if noise:
            flux, u = train.flux[n_fitted:], nuisance[n_fitted:]
            if error is None:
                variance, axes = normal.axes(u)
                # Components are orthonormal, so white noise has the same variance in each.
                passed = noise**2 * variance / (variance + noise**2) ** 2
                covariance = ((axes * passed[:, None]) @ axes.mT).mean(0)
                latent = fitted.encode(flux, u)
            else:
                latent, covariance = fitted._by_errors(flux, u, error[n_fitted:])
            fitted.matching = noise_matched_map(latent, covariance)
        return fitted

    def encode(
        self, flux: np.ndarray, nuisance: np.ndarray, error: np.ndarray | None = None
    ) -> torch.Tensor:
        """Return the whitened components [n, latent], float32, of flux [n, n_pixels]."""
        if error is not None and self._refines_otherwise(error):
            return self._by_errors(flux, nuisance, error)[0] @ self.matching
        residual = self.mean.residual(flux, nuisance)
        coefficients, parts = self.representation.coefficients(residual, error).double(), []
        for start in range(0, len(flux), _ROWS):
            rows = slice(start, start + _ROWS)
            variance, axes = self.normal.axes(nuisance[rows])
            gain = variance.sqrt() / (variance + self.normal.noise**2)
            parts.append(_scaled_along(axes, gain, coefficients[rows]))
        whitened: torch.Tensor = torch.cat(parts).float() @ self.matching
        return whitened

    def _refines_otherwise(self, error: np.ndarray) -> bool:
        """Return whether errors make z another estimate than the noise of the fit does."""
        noise = np.float32(self.normal.noise)
        return bool(noise > 0) and not all((part == noise).all() for _, part in walk(_ROWS, error))

    def _by_errors(
        self, flux: np.ndarray, nuisance: np.ndarray, error: np.ndarray
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return z [n, latent] by each spectrum's own errors, and its mean covariance by noise."""
        parts, total = [], torch.zeros(*self.matching.shape, dtype=torch.float64)
        unit = torch.eye(len(self.matching), dtype=torch.float64)
        for rows, seen, uncertain in walk(WEIGHTED_ROWS, flux, error):
            residual = seen - self.mean.flux(nuisance[rows])
            measured = self.representation.measured(residual, uncertain)
            variance, axes = self.normal.axes(nuisance[rows])
            root = (axes * variance.sqrt()[:, None]) @ axes.mT
            information = root @ measured.information.double() @ root
            score = (root @ measured.score.double()[..., None])[..., 0]
            parts.append(torch.linalg.solve(information + unit, score))
            half = torch.linalg.solve(information + unit, information)
            total += torch.linalg.solve(information + unit, half, left=False).sum(0)
        return torch.cat(parts).float(), total / len(flux)

    def decode(self, whitened: torch.Tensor, nuisance: np.ndarray) -> np.ndarray:
        """Return the flux [n, n_pixels] of which these are the whitened components [n, latent]."""
        z = torch.linalg.solve(self.matching.double(), whitened.double(), left=False)
        flux = self.mean.flux(nuisance)
        for start in range(0, len(flux), _ROWS):
            rows = slice(start, start + _ROWS)
            variance, axes = self.normal.axes(nuisance[rows])
            residual = _scaled_along(axes, variance.sqrt(), z[rows]).float()
            flux[rows] += self.representation.flux(residual).numpy()
        return flux

    @property
    def n_parameters(self) -> int:
        """Number of entries of the polynomials, the components and their mean."""
        own = self.mean.slopes.numel() + self.normal.slopes.numel()
        return own + self.representation.n_numbers + len(self.representation.mean)


def _scaled_along(axes: torch.Tensor, gain: torch.Tensor, vectors: torch.Tensor) -> torch.Tensor:
    """Multiply vectors [n, d] by a gain [n, d] along axes of their own, columns of [n, d, d]."""
    along = (vectors[:, None] @ axes)[:, 0]
    scaled: torch.Tensor = (axes @ (gain * along)[..., None])[..., 0]
    return scaled
