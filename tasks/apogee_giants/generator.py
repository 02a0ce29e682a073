"""The emulator of the spectra with derivatives: the forward model of ``apogee-giants``.

The emulator's spectra are mean + c(labels) B. With the Cholesky factor L of B B^T, distances of the
coordinates c L equal those of the spectra, so a Jacobian of the hundred coordinates is as good as
one of the seven thousand pixels.
"""

from functools import cache

import numpy as np
import torch

from starbench.tasks.apogee_giants.emulator import Emulator, gaussian, inputs, quadratic_features
from starbench.tasks.arrays import Floats, Labels, Spectra

_BATCH = 256  # stars differentiated at a time


class _Coordinates(Emulator):
    def _check(self, labels: torch.Tensor) -> None:
        return  # tensors that are being differentiated hold no values to check


class Generator:
    """An emulator in coordinates that preserve distances.

    Parameters
    ----------
    emulator : Emulator

    Attributes
    ----------
    n_parameters : int
        Number of the emulator's labels: Teff, log g, [Fe/H] and sixteen [X/Fe].
    n_coordinates, n_pixels : int
    mean : numpy.ndarray [n_pixels], float32
    axes : numpy.ndarray [k, n_pixels], float32
        Orthonormal; the flux is mean + coordinates @ axes.
    """

    def __init__(self, emulator: Emulator) -> None:
        self._emulator = emulator
        tensors = {
            "wavelength": torch.from_numpy(emulator.wavelength),
            "group_sizes": torch.tensor(emulator.groups),
            **dict(emulator.named_buffers()),
        }
        self._coordinates = _Coordinates(tensors, emulator.facts).double()
        basis = self._coordinates.get_buffer("basis")
        factor = torch.linalg.cholesky(basis @ basis.T)
        axes = torch.linalg.solve_triangular(factor, basis, upper=False)
        self._origin = axes @ self._coordinates.get_buffer("mean")
        self.mean: Spectra = emulator.get_buffer("mean").float().numpy()
        self.axes: Spectra = axes.float().numpy()
        self._coordinates.basis = factor
        self._coordinates.mean = torch.zeros(len(factor), dtype=torch.float64)
        self._basis = factor
        self._stars, self._length, self._quadratic, self._centre, self._scale = (
            self._coordinates.get_buffer(name)
            for name in ("stars", "length", "quadratic", "centre", "scale")
        )
        self._solutions = torch.split(
            self._coordinates.get_buffer("solution"), self._coordinates.groups, dim=1
        )
        # Sums of the weights times the training stars' inputs, for each group [stars, d k].
        self._moments = [
            (self._stars[:, :, None] * solution[:, None]).flatten(1) for solution in self._solutions
        ]
        self.n_parameters = len(emulator.label_names)
        self.n_coordinates, self.n_pixels = self.axes.shape

    def spectra(self, parameters: Labels) -> Spectra:
        """Return flux [n, n_pixels], float32, of labels [n, n_parameters]."""
        return self._emulator.flux(parameters)

    def project(self, flux: Spectra) -> Floats:
        """Return the coordinates [n, k], float64, of the projection of flux [n, n_pixels]."""
        axes = torch.from_numpy(self.axes)
        projected = (torch.from_numpy(np.ascontiguousarray(flux)) @ axes.T).double()
        coordinates: Floats = projected.numpy() - self._origin.numpy()
        return coordinates

    def coordinates(self, parameters: Labels) -> Floats:
        """Return the coordinates [n, k], float64, of labels [n, n_parameters], in any range."""
        with torch.no_grad():
            points: torch.Tensor = self._coordinates(
                torch.as_tensor(parameters, dtype=torch.float64)
            )
        return points.numpy()

    def tangents(self, parameters: Labels, directions: Floats) -> tuple[Floats, Floats]:
        """Differentiate the coordinates along directions in label space.

        Parameters
        ----------
        parameters : numpy.ndarray [n, n_parameters]
        directions : numpy.ndarray [m, n_parameters]

        Returns
        -------
        coordinates : numpy.ndarray [n, k], float64
        tangents : numpy.ndarray [n, k, m], float64
            Change of the coordinates for a unit step along each direction.
        """
        along = torch.as_tensor(directions, dtype=torch.float64)
        points, changes = [], []
        with torch.no_grad():
            for stars in torch.split(torch.as_tensor(parameters, dtype=torch.float64), _BATCH):
                x, steps = self._standardised(stars, along)
                gradients = self._gradients(x)
                points.append(self._coordinates(stars))
                changes.append(torch.einsum("mnd,ndk->nkm", steps, gradients @ self._basis))
        return torch.cat(points).numpy(), torch.cat(changes).numpy()

    def _standardised(
        self, stars: torch.Tensor, along: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the standardised inputs x [n, d] of stars, and x's derivatives [m, n, d]."""

        def standardised(direction: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            result = torch.func.jvp(
                lambda at: (inputs(at) - self._centre) / self._scale,
                (stars,), (direction.expand_as(stars),),
            )  # fmt: skip
            return result[0], result[1]

        # torch's annotation of out_dims leaves out the None that its documentation allows.
        every_direction = torch.func.vmap(standardised, out_dims=(None, 0))  # type: ignore[arg-type]
        x, steps = every_direction(along)
        return x, steps

    def _gradients(self, x: torch.Tensor) -> torch.Tensor:
        """Differentiate the coefficients by all standardised inputs x [n, d]: [n, d, k].

        The derivative of a Gaussian is the Gaussian times (x_id - x_d) / l_d^2, so one product with
        the moments of the weights replaces automatic differentiation star by star.
        """
        n, d = x.shape
        parts = []
        for length, solution, moments in zip(
            self._length, self._solutions, self._moments, strict=True
        ):
            values = gaussian(x, self._stars, length)
            sums = (values @ solution)[:, None] * x[:, :, None]
            first = (values @ moments).reshape(n, d, -1)
            parts.append((first - sums) / length[:, None] ** 2)
        unit = torch.eye(d, dtype=x.dtype)

        def features(direction: torch.Tensor) -> torch.Tensor:
            derivative: torch.Tensor = torch.func.jvp(
                quadratic_features, (x,), (direction.expand_as(x),)
            )[1]
            return derivative

        quadratic: torch.Tensor = torch.func.vmap(features)(unit) @ self._quadratic
        return torch.cat(parts, dim=2) + quadratic.transpose(0, 1)


@cache
def generator() -> Generator:
    """Return the generator of the shipped emulator, which a process loads once."""
    return Generator(Emulator.load())
