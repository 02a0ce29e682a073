"""A polynomial in the nuisance, fitted to every pixel."""

from itertools import combinations_with_replacement
from typing import final

import numpy as np
import torch
from torch import nn

_CHUNK = 4096  # spectra at a time, so that no second copy of the training set is made


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
    def fit(cls, flux: np.ndarray, nuisance: np.ndarray, degree: int) -> "PolynomialFlux":
        """Fit the polynomials to flux [n, n_pixels] at nuisance [n, n_nuisance], least squares."""
        terms = NuisanceTerms.fit(nuisance, degree)
        q = terms.monomials(nuisance)
        moments = np.zeros((q.shape[1], flux.shape[1]))
        for start in range(0, len(q), _CHUNK):
            rows = slice(start, start + _CHUNK)
            moments += q[rows].T @ flux[rows]
        # Few, smooth and standardised monomials: their normal equations are well conditioned.
        slopes = np.linalg.solve(q.T @ q, moments).astype(np.float32)
        return cls(terms, torch.from_numpy(slopes))

    def flux(self, nuisance: np.ndarray) -> np.ndarray:
        """Return the mean flux [n, n_pixels], float32, at nuisance [n, n_nuisance]."""
        flux: np.ndarray = self.terms.monomials(nuisance).astype(np.float32) @ self.slopes.numpy()
        return flux

    def residual(self, flux: np.ndarray, nuisance: np.ndarray) -> np.ndarray:
        """Return flux [n, n_pixels] minus the mean flux at its nuisance, chunk by chunk."""
        residual = np.empty_like(flux)
        for start in range(0, len(flux), _CHUNK):
            rows = slice(start, start + _CHUNK)
            residual[rows] = flux[rows] - self.flux(nuisance[rows])
        return residual
