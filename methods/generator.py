"""The generator of the spectra, as an oracle may use it: each star's place, and how labels move it.

The emulator's spectra are mean + c(labels) B. With the Cholesky factor L of B B^T, the coordinates
c L are of full length: distances between them are distances between spectra, so that a Jacobian of
a hundred numbers a label does the work of one of seven thousand pixels.
"""

from functools import cache

import numpy as np
import torch

from starbench.tasks.emulator import Emulator

_BATCH = 64  # stars differentiated at a time; more would leave the processor's cache


class _Coordinates(Emulator):
    def _check(self, labels: torch.Tensor) -> None:
        # what is being differentiated holds no values; `Generator.spectra` checks them
        return


class Generator:
    """The shipped emulator in coordinates that keep distances.

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
        self.n_labels = len(self._emulator.label_names)
        self.n_pixels = len(self._emulator.wavelength)

    def spectra(self, labels: np.ndarray) -> np.ndarray:
        """Return flux [n, n_pixels], float32, of labels [n, n_labels]."""
        return self._emulator.flux(labels)

    def project(self, flux: np.ndarray) -> np.ndarray:
        """Return the coordinates [n, k], float64, of what of flux [n, n_pixels] labels can make."""
        axes = self._axes.float()
        return (torch.from_numpy(np.ascontiguousarray(flux)) @ axes.T).double().numpy() - (
            self._origin.numpy()
        )

    def coordinates(self, labels: np.ndarray) -> np.ndarray:
        """Return the coordinates [n, k], float64, of labels [n, n_labels]."""
        with torch.no_grad():
            return self._coordinates(torch.as_tensor(labels, dtype=torch.float64)).numpy()

    def tangents(self, labels: np.ndarray, directions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Differentiate the coordinates along directions in label space, by forward mode.

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
        points, changes = [], []
        with torch.no_grad():
            for stars in torch.as_tensor(labels, dtype=torch.float64).split(_BATCH):

                def step(direction, stars=stars):
                    return torch.func.jvp(
                        self._coordinates, (stars,), (direction.expand_as(stars),)
                    )

                point, change = torch.func.vmap(step, out_dims=(None, 0))(along)
                points.append(point)
                changes.append(change.permute(1, 2, 0))
        return torch.cat(points).numpy(), torch.cat(changes).numpy()


@cache
def generator() -> Generator:
    """Return the one generator of this process."""
    return Generator()
