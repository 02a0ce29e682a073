"""The emulator that generates the spectra, with derivatives, for the controls that may know it.

The emulator's spectra are mean + c(labels) B. With the Cholesky factor L of B B^T, distances of the
coordinates c L equal those of the spectra, so a Jacobian of the hundred coordinates is as good as
one of the seven thousand pixels.
"""

from functools import cache

import numpy as np
import torch

from starbench.tasks.apogee_giants.emulator import Emulator, gaussian, inputs, quadratic_features

_BATCH = 256  # stars differentiated at a time


class _Coordinates(Emulator):
    def _check(self, labels: torch.Tensor) -> None:
        return  # tensors that are being differentiated hold no values to check


class Generator:
    """The shipped emulator in coordinates that preserve distances.

    Attributes
    ----------
    n_labels, n_pixels : int
    """

    def __init__(self):
        self._emulator = Emulator.load()
        self._coordinates = _Coordinates.load().double()
        basis = self._coordinates.basis
        factor = torch.linalg.cholesky(basis @ basis.T)
        self._axes = torch.linalg.solve_triangular(factor, basis, upper=False)
        self._origin = self._axes @ self._coordinates.mean
        self._coordinates.basis = factor
        self._coordinates.mean = torch.zeros(len(factor), dtype=torch.float64)
        # Sums of the weights times the training stars' inputs, for each group [stars, d k].
        whole = self._coordinates
        self._moments = [
            (whole.stars[:, :, None] * solution[:, None]).flatten(1)
            for solution in whole.solution.split(whole.groups, dim=1)
        ]
        self.n_labels = len(self._emulator.label_names)
        self.n_pixels = len(self._emulator.wavelength)

    def spectra(self, labels: np.ndarray) -> np.ndarray:
        """Return flux [n, n_pixels], float32, of labels [n, n_labels]."""
        return self._emulator.flux(labels)

    def project(self, flux: np.ndarray) -> np.ndarray:
        """Return the coordinates [n, k], float64, of the projection of flux [n, n_pixels]."""
        axes = self._axes.float()
        return (torch.from_numpy(np.ascontiguousarray(flux)) @ axes.T).double().numpy() - (
            self._origin.numpy()
        )

    def coordinates(self, labels: np.ndarray) -> np.ndarray:
        """Return the coordinates [n, k], float64, of labels [n, n_labels]."""
        with torch.no_grad():
            return self._coordinates(torch.as_tensor(labels, dtype=torch.float64)).numpy()

    def tangents(self, labels: np.ndarray, directions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Differentiate the coordinates along directions in label space.

        Parameters
        ----------
        labels : numpy.ndarray [n, n_labels]
        directions : numpy.ndarray [m, n_labels]

        Returns
        -------
        coordinates : numpy.ndarray [n, k], float64
        tangents : numpy.ndarray [n, k, m], float64
            Change of the coordinates for a unit step along each direction.
        """
        along = torch.as_tensor(directions, dtype=torch.float64)
        whole, points, changes = self._coordinates, [], []
        with torch.no_grad():
            for stars in torch.as_tensor(labels, dtype=torch.float64).split(_BATCH):

                def standardised(direction, stars=stars):
                    return torch.func.jvp(
                        lambda at: (inputs(at) - whole.centre) / whole.scale,
                        (stars,), (direction.expand_as(stars),),
                    )  # fmt: skip

                x, steps = torch.func.vmap(standardised, out_dims=(None, 0))(along)
                gradients = self._gradients(x)
                points.append(whole(stars))
                changes.append(torch.einsum("mnd,ndk->nkm", steps, gradients @ whole.basis))
        return torch.cat(points).numpy(), torch.cat(changes).numpy()

    def _gradients(self, x: torch.Tensor) -> torch.Tensor:
        """Differentiate the coefficients by all standardised inputs x [n, d]: [n, d, k].

        The derivative of a Gaussian is the Gaussian times (x_id - x_d) / l_d^2, so one product with
        the moments of the weights replaces automatic differentiation star by star.
        """
        whole, (n, d) = self._coordinates, x.shape
        parts = []
        for length, solution, moments in zip(
            whole.length, whole.solution.split(whole.groups, dim=1), self._moments, strict=True
        ):
            values = gaussian(x, whole.stars, length)
            sums = (values @ solution)[:, None] * x[:, :, None]
            first = (values @ moments).reshape(n, d, -1)
            parts.append((first - sums) / length[:, None] ** 2)
        unit = torch.eye(d, dtype=x.dtype)

        def features(direction):
            return torch.func.jvp(quadratic_features, (x,), (direction.expand_as(x),))[1]

        quadratic = torch.func.vmap(features)(unit) @ whole.quadratic
        return torch.cat(parts, dim=2) + quadratic.transpose(0, 1)


@cache
def generator() -> Generator:
    """Return the generator, which a process loads once."""
    return Generator()
