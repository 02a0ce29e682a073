"""Spectra as coefficients: the pixels themselves, or principal components.

Spectra that depend on some twenty parameters lie close to a subspace of a few hundred dimensions,
so networks on principal components cost a small fraction of networks on pixels and lose almost
nothing (`residual_mse` says how much). Both keep the flux metric, because the components are
orthonormal: the squared error summed over pixels is the squared error summed over coefficients,
plus the part outside the subspace that no coefficient can express.
"""

from collections.abc import Iterator
from typing import final

import numpy as np
import torch
from torch import nn

from starbench.common.progress import stage

_CHUNK = 4096  # spectra at a time, so that no second copy of the training set is made
_CACHED = 32  # spectra at a time that stay in the processor's cache
_OVERSAMPLING = 32
_POWER_ITERATIONS = 2
_LEAST_DEVIATION = 1e-5  # of a component, relative to the largest


@final
class Representation(nn.Module):
    """A rigid map between flux and coefficients, held in buffers.

    ``Representation(**representation.state_dict())`` is a copy.

    Parameters
    ----------
    mean : torch.Tensor [n_pixels]
        Flux at the origin.
    components : torch.Tensor [n_coefficients, n_pixels], optional
        Orthonormal rows; None where the coefficients are the pixels themselves.
    deviation : torch.Tensor [n_coefficients]
        Standard deviation of each coefficient over the training spectra.
    residual_mse : torch.Tensor, scalar
        Mean squared error of the training flux that the representation cannot express.
    """

    mean: torch.Tensor
    components: torch.Tensor | None
    deviation: torch.Tensor
    residual_mse: torch.Tensor

    def __init__(
        self,
        mean: torch.Tensor,
        deviation: torch.Tensor,
        residual_mse: torch.Tensor,
        components: torch.Tensor | None = None,
    ) -> None:
        super().__init__()
        self.register_buffer("mean", mean)
        self.register_buffer("components", components)
        self.register_buffer("deviation", deviation)
        self.register_buffer("residual_mse", residual_mse)

    def __len__(self) -> int:
        """Return the number of coefficients."""
        return len(self.mean if self.components is None else self.components)

    def coefficients(self, flux: np.ndarray) -> torch.Tensor:
        """Turn flux [n, n_pixels] into coefficients [n, n_coefficients]."""
        result = torch.empty(len(flux), len(self))
        for rows, centred in _centred(flux, self.mean):
            result[rows] = centred if self.components is None else centred @ self.components.T
        return result

    def flux(self, coefficients: torch.Tensor, out: torch.Tensor | None = None) -> torch.Tensor:
        """Turn coefficients [n, n_coefficients] into flux [n, n_pixels], written to `out` if given.

        `out` saves the memory of a second copy, which takes as long to provide as to fill.
        """
        if self.components is None:
            return torch.add(coefficients, self.mean, out=out)
        return torch.addmm(self.mean, coefficients, self.components, out=out)

    @property
    def n_numbers(self) -> int:
        """Number of entries of the components; 0 for pixels."""
        return 0 if self.components is None else self.components.numel()


def pixels(flux: np.ndarray) -> Representation:
    """Return the representation whose coefficients are the mean-subtracted pixels."""
    mean, variance = _moments(flux)
    return Representation(mean, variance.sqrt().float(), torch.zeros(()))


def principal_components(
    flux: np.ndarray,
    n_components: int,
    seed: int,
    *,
    noise: float | None = None,
    min_components: int = 1,
) -> Representation:
    """Fit principal components to training spectra by randomised subspace iteration.

    Parameters
    ----------
    flux : numpy.ndarray [n, n_pixels], float32
        Training spectra only.
    n_components : int
        Greatest number of components; those below rounding or noise are cut.
    seed : int
        Seed of the starting subspace.
    noise : float, optional
        Standard deviation of the noise in each pixel. Noise alone makes components of a variance
        up to noise^2 (1 + sqrt(n_pixels / n))^2; components below that are cut, because networks
        learn almost nothing from them but memorise their noise.
    min_components : int
        Number of components kept even where they are below the noise.

    References
    ----------
    Halko, Martinsson and Tropp (2011), SIAM Review 53, 217, algorithm 4.4.
    Marchenko and Pastur (1967), Math. USSR Sbornik 1, 457, for the noise.
    """
    n_components = min(n_components, *flux.shape)
    mean, variance = _moments(flux)
    generator = torch.Generator().manual_seed(seed)
    width = min(n_components + _OVERSAMPLING, *flux.shape)
    subspace = torch.randn(flux.shape[1], width, generator=generator)
    for _ in range(_POWER_ITERATIONS):
        subspace = torch.linalg.qr(_covariance_times(flux, mean, subspace))[0]
    image = _covariance_times(flux, mean, subspace)
    # float64: the smallest variances are some 1e-8 of the largest
    eigenvalues, rotation = torch.linalg.eigh((subspace.T @ image).double())
    order = torch.argsort(eigenvalues, descending=True)[:n_components]
    # Components below the rounding of float32 flux would be noise once whitened.
    order = order[eigenvalues[order] > _LEAST_DEVIATION**2 * eigenvalues[order[0]]]
    if noise is not None:
        edge = noise**2 * (1 + (flux.shape[1] / len(flux)) ** 0.5) ** 2
        order = order[: max(min_components, int((eigenvalues[order] > edge).sum()))]
    components = (subspace.double() @ rotation[:, order]).float().T.contiguous()
    explained = eigenvalues[order].sum() / flux.shape[1]
    deviation = eigenvalues[order].clamp_min(0).sqrt().float()
    residual = (variance.mean() - explained).clamp_min(0).float()
    return Representation(mean, deviation, residual, components)


def _moments(flux: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the mean (float32) and variance (float64) of each pixel."""
    total = np.zeros(flux.shape[1])
    for start in range(0, len(flux), _CHUNK):
        # NumPy adds up in float64 six times as fast as torch does.
        total += np.add.reduce(flux[start : start + _CHUNK], axis=0, dtype=np.float64)
    mean = (total / len(flux)).astype(np.float32)
    variance = np.zeros(flux.shape[1])
    square = np.empty((min(_CACHED, len(flux)), flux.shape[1]), np.float32)
    for start in range(0, len(flux), _CACHED):
        part = flux[start : start + _CACHED]
        centred = np.subtract(part, mean, out=square[: len(part)])
        np.square(centred, out=centred)
        variance += np.add.reduce(centred, axis=0, dtype=np.float64)
    return torch.from_numpy(mean), torch.from_numpy(variance / len(flux))


def _covariance_times(flux: np.ndarray, mean: torch.Tensor, subspace: torch.Tensor) -> torch.Tensor:
    product = torch.zeros_like(subspace)
    n_chunks = -(-len(flux) // _CHUNK)
    for _, centred in stage("components", _centred(flux, mean), total=n_chunks, unit="chunk"):
        product.addmm_(centred.T, centred @ subspace, alpha=1 / len(flux))
    return product


def _centred(flux: np.ndarray, mean: torch.Tensor) -> Iterator[tuple[slice, torch.Tensor]]:
    """Yield the flux less its mean by chunks, with their rows, in a buffer that is used again.

    The system takes longer to provide new memory for a chunk than the subtraction takes.
    """
    buffer = torch.empty(min(_CHUNK, len(flux)), flux.shape[1])
    for start in range(0, len(flux), _CHUNK):
        chunk = torch.from_numpy(flux[start : start + _CHUNK])
        yield (
            slice(start, start + len(chunk)),
            torch.sub(chunk, mean, out=buffer[: len(chunk)]),
        )
