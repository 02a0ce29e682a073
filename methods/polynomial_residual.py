r"""What a polynomial in the nuisance does not explain, on its principal components.

In each pixel p a polynomial q of the nuisance, all monomials up to some degree, is fitted to the
training flux by least squares, and the residuals are projected on their principal components w_k:

.. math::

    r_p = x_p - \beta_p \cdot q(u), \qquad z_k = \lambda_k^{-a/2}\, w_k \cdot r, \qquad
    \hat x = \beta q(u) + \sum_k \lambda_k^{a/2} z_k w_k.

It removes all that the mean spectrum at (Teff, log g) explains. How strongly a line answers to its
abundance changes with temperature as well, and that stays in z. Where the noise is known, the
components are scaled to it (`noise_matching.py`) instead of to their variance.

References
----------
Price-Jones and Bovy (2018), MNRAS 475, 1410, who use a quadratic and then principal components.
"""

from dataclasses import dataclass
from itertools import combinations_with_replacement

import numpy as np
import torch

from starbench.methods import pca
from starbench.methods.base import Method, Monitor, View, option
from starbench.methods.pca import PrincipalComponents

_CHUNK = 4096  # spectra at a time


@dataclass(frozen=True)
class Settings:
    """Hyperparameters of the polynomial and the components of its residuals."""

    degree: int = option(4, "highest order of the polynomial in the nuisance", low=0, high=6)
    latent: int = option(20, "components of the residual kept", low=1, high=1024)
    whitening: float = option(
        1.0, "components are divided by their standard deviation to this power", low=0.0, high=1.0
    )
    noise_matching: bool = option(
        True, "whether components of noisy spectra are scaled to their noise instead"
    )


def monomials(u: np.ndarray, degree: int) -> np.ndarray:
    """Return all products of up to `degree` columns of u [n, m], the constant first: [n, k]."""
    columns = [np.ones(len(u))]
    for order in range(1, degree + 1):
        for chosen in combinations_with_replacement(range(u.shape[1]), order):
            columns.append(u[:, chosen].prod(axis=1))
    return np.stack(columns, axis=1)


class PolynomialResidual(Method):
    """Principal components of what a polynomial in the nuisance leaves of each pixel."""

    name = "polynomial-residual"
    version = 2
    label_access = "nuisance"
    reference = "Price-Jones and Bovy 2018, MNRAS 475, 1410"
    Hyperparameters = Settings

    def fit(self, train: View, validation: View, monitor: Monitor) -> None:
        """Fit the polynomials, then the components of their residuals, to the training flux."""
        self._centre = train.nuisance.mean(axis=0, dtype=np.float64)
        self._spread = train.nuisance.std(axis=0, dtype=np.float64)
        q = self._monomials(train.nuisance)
        moments = np.zeros((q.shape[1], train.flux.shape[1]))
        for start in range(0, len(q), _CHUNK):
            rows = slice(start, start + _CHUNK)
            moments += q[rows].T @ train.flux[rows]
        # Few, smooth and standardised monomials: their normal equations are well conditioned.
        self._slopes = np.linalg.solve(q.T @ q, moments).astype(np.float32)
        residual = np.empty_like(train.flux)
        for start in range(0, len(q), _CHUNK):
            rows = slice(start, start + _CHUNK)
            residual[rows] = train.flux[rows] - self._mean_flux(train.nuisance[rows])
        self._components = self._new_components()
        view = View(residual, noise=train.noise)
        self._components.fit(view, view, monitor)

    def encode(self, flux: np.ndarray, nuisance: np.ndarray) -> np.ndarray:
        """Return the scaled coefficients [n, latent] of the residual."""
        return self._components.encode(flux - self._mean_flux(nuisance), None)

    def decode(self, latent: np.ndarray, nuisance: np.ndarray) -> np.ndarray:
        """Add the residual that the latent makes to the polynomial at the nuisance."""
        return self._components.decode(latent, None) + self._mean_flux(nuisance)

    def _monomials(self, nuisance: np.ndarray) -> np.ndarray:
        return monomials((nuisance - self._centre) / self._spread, self.hyperparameters.degree)

    def _mean_flux(self, nuisance: np.ndarray) -> np.ndarray:
        return self._monomials(nuisance).astype(np.float32) @ self._slopes

    def _new_components(self) -> PrincipalComponents:
        settings = self.hyperparameters
        return PrincipalComponents(
            pca.Settings(settings.latent, settings.whitening, settings.noise_matching),
            seed=self.seed,
            device=self.device,
        )

    def state(self) -> dict[str, torch.Tensor]:
        """Return the polynomials and the components."""
        own = {"centre": self._centre, "spread": self._spread, "slopes": self._slopes}
        return self._components.state() | {k: torch.from_numpy(v) for k, v in own.items()}

    def load_state(self, state: dict[str, torch.Tensor]) -> None:
        """Restore them."""
        state = dict(state)
        self._centre, self._spread, self._slopes = (
            state.pop(name).numpy() for name in ("centre", "spread", "slopes")
        )
        self._components = self._new_components()
        self._components.load_state(state)

    @property
    def n_parameters(self) -> int:
        """Numbers in the polynomials, the components and their mean."""
        return self._slopes.size + self._components.n_parameters
