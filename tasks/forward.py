"""Forward models: how spectra follow from all parameters of a star, with derivatives.

A task may offer one (`starbench.tasks.base.Task.forward_model`). It is given to oracle controls
alone, which compute from it how much a spectrum tells. The parameters of a spectrum are its
nuisance, its composition and its unseen parameters, in this order and in the task's units, as
`starbench.tasks.base.Split` holds them.
"""

from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from starbench.tasks.arrays import Floats, Labels, Spectra

Coordinates = npt.NDArray[np.floating[Any]]
"""Coordinates of spectra, or their derivatives: float32 for pixels, float64 for fewer numbers."""


def parameters_of(nuisance: Labels, composition: Labels, unseen: Labels | None) -> Floats:
    """Return the parameters [n, p] of spectra with nuisance, composition and unseen parameters.

    Parameters
    ----------
    nuisance : numpy.ndarray [n, n_nuisance]
    composition : numpy.ndarray [n, n_elements]
    unseen : numpy.ndarray [n, n_unseen] or None
    """
    parts = [nuisance, composition] if unseen is None else [nuisance, composition, unseen]
    return np.concatenate(parts, axis=1).astype(np.float64)


class SpectralModel(Protocol):
    """Noiseless spectra as a differentiable function of p parameters.

    Coordinates of a spectrum are k numbers that keep the distances between the model's spectra: the
    pixels themselves, or fewer. White noise of the pixels is white in the coordinates.
    """

    @property
    def n_parameters(self) -> int:
        """Number of parameters p."""

    @property
    def n_pixels(self) -> int:
        """Number of pixels of a spectrum."""

    @property
    def n_coordinates(self) -> int:
        """Number of coordinates k."""

    def coordinates(self, parameters: Labels) -> Coordinates:
        """Return the coordinates [n, k] of the noiseless flux at parameters [n, p]; any range."""

    def spectra(self, parameters: Labels) -> Spectra:
        """Return the noiseless flux [n, n_pixels] at parameters [n, p].

        Raises
        ------
        ValueError
            If a parameter is outside the model's range.
        """

    def project(self, flux: Spectra) -> Coordinates:
        """Return the coordinates [n, k] of flux [n, n_pixels]."""

    def tangents(self, parameters: Labels, directions: Floats) -> tuple[Coordinates, Coordinates]:
        """Differentiate the coordinates.

        Parameters
        ----------
        parameters : numpy.ndarray [n, p]
        directions : numpy.ndarray [m, p]

        Returns
        -------
        coordinates : numpy.ndarray [n, k]
            Of the noiseless flux.
        tangents : numpy.ndarray [n, k, m]
            Change of the coordinates for a unit step along each direction.
        """


@runtime_checkable
class LinearBasis(SpectralModel, Protocol):
    """A spectral model whose spectra are a mean and a sum of fixed spectra.

    Attributes
    ----------
    mean : numpy.ndarray [n_pixels], float32
    axes : numpy.ndarray [k, n_pixels], float32
        The flux is mean + coordinates @ axes.
    """

    mean: Spectra
    axes: Spectra


@dataclass(frozen=True)
class Constraint:
    """What is known of a spectrum's parameters besides its flux, as Gaussian residuals.

        slopes @ parameters + offset ~ N(0, covariance)

    Parameters
    ----------
    slopes : numpy.ndarray [l, p]
    offset : numpy.ndarray [l]
    covariance : numpy.ndarray [l, l]
    """

    slopes: Floats
    offset: Floats
    covariance: Floats

    def information(self, directions: Floats) -> Floats:
        """Return the Fisher information [m, m] on steps along directions [m, p]."""
        along = self.slopes @ directions.T
        information: Floats = along.T @ np.linalg.solve(self.covariance, along)
        return information

    def score(self, parameters: Labels, directions: Floats) -> Floats:
        """Return the gradient [n, m] of the logarithmic density at parameters [n, p]."""
        along = self.slopes @ directions.T
        score: Floats = -self._residual(parameters) @ np.linalg.solve(self.covariance, along)
        return score

    def misfit(self, parameters: Labels) -> Floats:
        """Return minus twice the logarithm of the density [n] at parameters [n, p], up to a sum."""
        residual = self._residual(parameters)
        misfit: Floats = (residual * np.linalg.solve(self.covariance, residual.T).T).sum(axis=1)
        return misfit

    def _residual(self, parameters: Labels) -> Floats:
        """Return the residuals [n, l] at parameters [n, p]."""
        return parameters.astype(np.float64) @ self.slopes.T + self.offset

    def rearranged(self, columns: np.ndarray, n_parameters: int) -> "Constraint":
        """Return the constraint on `n_parameters` parameters of which its own are `columns`."""
        slopes = np.zeros((len(self.slopes), n_parameters))
        slopes[:, columns] = self.slopes
        return Constraint(slopes, self.offset, self.covariance)

    def joined(self, other: "Constraint") -> "Constraint":
        """Return this constraint and an independent one as one."""
        n = len(self.offset)
        covariance = np.zeros((n + len(other.offset),) * 2)
        covariance[:n, :n], covariance[n:, n:] = self.covariance, other.covariance
        return Constraint(
            np.concatenate([self.slopes, other.slopes]),
            np.concatenate([self.offset, other.offset]),
            covariance,
        )


@dataclass(frozen=True)
class ForwardModel:
    """How a task's spectra are made, and what is known of their parameters.

    Parameters
    ----------
    model : SpectralModel
    constraint : Constraint, optional
        Prior of what no label tells, errors of labels, and how the nuisance depends on the
        composition.
    known : tuple of int
        Unseen parameters that are taken as known, for which no Gaussian prior will do.
    """

    model: SpectralModel
    constraint: Constraint | None = None
    known: tuple[int, ...] = ()

    def extended(
        self,
        model: SpectralModel,
        columns: np.ndarray,
        constraint: Constraint,
        *,
        known: tuple[int, ...] = (),
    ) -> "ForwardModel":
        """Return the forward model of a task that changes spectra or labels of this one's.

        Parameters
        ----------
        model : SpectralModel
            Of the changed spectra.
        columns : numpy.ndarray [p], int
            Where the parameters of this forward model stand among those of `model`.
        constraint : Constraint
            What is known of the parameters of `model`, besides what is known here.
        known : tuple of int
            Parameters of `model` that are taken as known, besides those here.
        """
        known = (*(int(columns[i]) for i in self.known), *known)
        if self.constraint is not None:
            constraint = self.constraint.rearranged(columns, model.n_parameters).joined(constraint)
        return ForwardModel(model, constraint, known)


@dataclass(frozen=True)
class Rearranged:
    """A spectral model whose parameters are some columns of longer ones.

    Parameters
    ----------
    base : SpectralModel
    columns : numpy.ndarray [p of the base], int
        Column of each of the base's parameters.
    n_parameters : int
    """

    base: SpectralModel
    columns: np.ndarray
    n_parameters: int

    @property
    def n_pixels(self) -> int:
        """Number of pixels of a spectrum."""
        return self.base.n_pixels

    @property
    def n_coordinates(self) -> int:
        """Number of coordinates k."""
        return self.base.n_coordinates

    def coordinates(self, parameters: Labels) -> Coordinates:
        """Return the coordinates [n, k] of the base's noiseless flux."""
        return self.base.coordinates(parameters[:, self.columns])

    def spectra(self, parameters: Labels) -> Spectra:
        """Return the base's noiseless flux [n, n_pixels]."""
        return self.base.spectra(parameters[:, self.columns])

    def project(self, flux: Spectra) -> Coordinates:
        """Return the base's coordinates [n, k] of flux [n, n_pixels]."""
        return self.base.project(flux)

    def tangents(self, parameters: Labels, directions: Floats) -> tuple[Coordinates, Coordinates]:
        """Differentiate the base's coordinates along directions [m, n_parameters]."""
        return self.base.tangents(parameters[:, self.columns], directions[:, self.columns])
