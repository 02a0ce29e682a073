"""A polynomial in the nuisance, fitted to every pixel."""

from dataclasses import dataclass
from itertools import combinations_with_replacement
from typing import Any, final

import numpy as np
import torch
from torch import nn

from starbench.common.paging import Rows, on_disk, release, walk
from starbench.methods.parts.errors import pixel_weights

_CHUNK = 4096  # spectra at a time, so that no second copy of the training set is made
_WEIGHTED = 1024  # spectra with weights at a time, which take several copies
_RIDGE = 1e-9  # of the mean square of a monomial over all spectra


def monomials(u: np.ndarray, degree: int) -> np.ndarray:
    """Return all products of up to `degree` columns of u [n, m], the constant first: [n, k]."""
    columns = [np.ones(len(u))]
    for order in range(1, degree + 1):
        for chosen in combinations_with_replacement(range(u.shape[1]), order):
            columns.append(u[:, chosen].prod(axis=1))
    return np.stack(columns, axis=1)


@final
class NuisanceTerms(nn.Module):
    """Monomials of the standardised nuisance.

    Parameters
    ----------
    centre, spread : torch.Tensor [n_nuisance], float64
        Mean and standard deviation of the nuisance in the training set.
    degree : int
    """

    centre: torch.Tensor
    spread: torch.Tensor

    def __init__(self, centre: torch.Tensor, spread: torch.Tensor, degree: int) -> None:
        super().__init__()
        self.register_buffer("centre", centre)
        self.register_buffer("spread", spread)
        self._degree = degree

    @classmethod
    def fit(cls, nuisance: np.ndarray, degree: int) -> "NuisanceTerms":
        """Take mean and spread of a nuisance [n, n_nuisance]."""
        return cls(
            torch.as_tensor(nuisance.mean(axis=0, dtype=np.float64)),
            torch.as_tensor(nuisance.std(axis=0, dtype=np.float64)),
            degree,
        )

    def monomials(self, nuisance: np.ndarray) -> np.ndarray:
        """Return the monomials [n, k], float64, of nuisance [n, n_nuisance]."""
        return monomials((nuisance - self.centre.numpy()) / self.spread.numpy(), self._degree)


@final
class PolynomialFlux(nn.Module):
    """The mean flux at a nuisance, by a polynomial in each pixel.

    Parameters
    ----------
    terms : NuisanceTerms
    slopes : torch.Tensor [k, n_pixels]
        Coefficient of each monomial.
    """

    slopes: torch.Tensor

    def __init__(self, terms: NuisanceTerms, slopes: torch.Tensor) -> None:
        super().__init__()
        self.terms = terms
        self.register_buffer("slopes", slopes)

    @classmethod
    def from_state(cls, state: dict[str, torch.Tensor], degree: int) -> "PolynomialFlux":
        """Rebuild it from its ``state_dict()``, which decides its sizes."""
        terms = NuisanceTerms(state["terms.centre"], state["terms.spread"], degree)
        return cls(terms, state["slopes"])

    @classmethod
    def fit(
        cls, flux: Rows, nuisance: np.ndarray, degree: int, error: Rows | None = None
    ) -> "PolynomialFlux":
        """Fit the polynomials by least squares.

        Parameters
        ----------
        flux : numpy.ndarray [n, n_pixels]
        nuisance : numpy.ndarray [n, n_nuisance]
        degree : int
        error : numpy.ndarray [n, n_pixels], optional
            Standard deviation of the noise, infinite where a pixel is masked, for weights.
        """
        terms = NuisanceTerms.fit(nuisance, degree)
        q = terms.monomials(nuisance)
        if error is not None:
            return cls(terms, torch.from_numpy(_weighted_slopes(flux, error, q)))
        moments = np.zeros((q.shape[1], flux.shape[1]))
        for rows, seen in walk(_CHUNK, flux):
            moments += q[rows].T @ seen
        # Few, smooth and standardised monomials: their normal equations are well conditioned.
        slopes = np.linalg.solve(q.T @ q, moments).astype(np.float32)
        return cls(terms, torch.from_numpy(slopes))

    def flux(self, nuisance: np.ndarray) -> np.ndarray:
        """Return the mean flux [n, n_pixels], float32, at nuisance [n, n_nuisance]."""
        flux: np.ndarray = self.terms.monomials(nuisance).astype(np.float32) @ self.slopes.numpy()
        return flux

    def residual(self, flux: np.ndarray, nuisance: np.ndarray) -> Rows:
        """Return flux [n, n_pixels] minus the mean flux at its nuisance.

        The residual of flux on disk is computed when its rows are read.
        """
        if on_disk(flux):
            return _Residual(self, flux, nuisance)
        residual = np.empty_like(flux)
        for rows, seen in walk(_CHUNK, flux):
            residual[rows] = seen - self.flux(nuisance[rows])
        return residual


@final
@dataclass(frozen=True)
class _Residual:
    """Rows of flux minus the mean flux at their nuisance, which are computed when they are read."""

    mean: PolynomialFlux
    of: np.ndarray
    nuisance: np.ndarray

    @property
    def shape(self) -> tuple[int, ...]:
        return self.of.shape

    def __len__(self) -> int:
        return len(self.of)

    def __getitem__(self, rows: Any) -> Any:
        part = _Residual(self.mean, self.of[rows], self.nuisance[rows])
        if len(part) > _CHUNK:
            return part
        residual = part.of - self.mean.flux(part.nuisance)
        release(part.of)
        return residual


def _weighted_slopes(flux: Rows, error: Rows, monomials: np.ndarray) -> np.ndarray:
    """Return the coefficients [k, n_pixels], float32, of weighted least squares in each pixel."""
    k, n_pixels = monomials.shape[1], flux.shape[1]
    first, second = np.triu_indices(k)
    moments, products = np.zeros((k, n_pixels)), np.zeros((len(first), n_pixels))
    for rows, seen, uncertain in walk(_WEIGHTED, flux, error):
        weight, _ = pixel_weights(uncertain)
        q = monomials[rows]
        moments += q.T @ np.where(weight > 0, weight * seen, 0.0)
        products += (q[:, first] * q[:, second]).T @ weight
    normal = np.empty((n_pixels, k, k))
    normal[:, first, second] = normal[:, second, first] = products.T
    # A pixel that few spectra show, or none, gets small slopes instead of any.
    scale = normal.trace(axis1=1, axis2=2).max() / k
    normal += _RIDGE * scale * np.eye(k)
    slopes: np.ndarray = np.linalg.solve(normal, moments.T[..., None])[..., 0].T.astype(np.float32)
    return slopes
