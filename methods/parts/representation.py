r"""Spectra as coefficients: the pixels themselves, or principal components.

Spectra that depend on some twenty parameters lie close to a subspace of a few hundred dimensions,
so networks on principal components cost a small fraction of networks on pixels and lose almost
nothing (`residual_mse` says how much). Both keep the flux metric, because the components are
orthonormal: the squared error summed over pixels is the squared error summed over coefficients,
plus the part outside the subspace that no coefficient can express.

Spectra with an error for each pixel are projected with the weights w of `errors.py`. With the
components W, the variances L of the coefficients as a prior, and the error s of the best pixels,

.. math::

    H = W \mathrm{diag}(w) W^T + s^2 L^{-1}, \qquad
    \hat c = H^{-1}\, W \mathrm{diag}(w) (x - \bar x), \qquad
    c = (1 + s^2 L^{-1})\, \hat c .

The estimate c-hat is the most probable one, and c is the projection of the spectrum in which a
share 1 - w of each pixel is what c-hat expects. So masked pixels carry no weight, and c is the
plain projection where all weights are 1. The components are those of such completed spectra,
completed anew with the components of the step before: expectation maximisation, which lowers the
weighted squared error, with the prior, in each step.

References
----------
Tipping and Bishop (1999), J. R. Stat. Soc. B 61, 611, for the estimate from incomplete spectra.
Srebro and Jaakkola (2003), "Weighted low-rank approximations", ICML, for the iteration.
Bailey (2012), PASP 124, 1015: EMPCA, principal components of spectra with weights by errors.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import final

import numpy as np
import torch
from torch import nn

from starbench.common.paging import Rows, walk
from starbench.common.progress import stage
from starbench.methods.parts.errors import SAMPLE, constant, noise_levels, pixel_weights

WEIGHTED_ROWS = 512  # spectra at a time of which each has normal equations of its own
_CHUNK = 4096  # spectra at a time, so that no second copy of the training set is made
_CACHED = 32  # spectra at a time that stay in the processor's cache
_OVERSAMPLING = 32
_POWER_ITERATIONS = 2
_LEAST_DEVIATION = 1e-5  # of a component, relative to the largest
_COMPLETIONS = 4  # steps of expectation maximisation
# Least s^2 / L, above the rounding of W diag(w) W^T in float32.
_LEAST_RIDGE = 1e-5
_BISECTIONS = 40


@dataclass(frozen=True)
class Measured:
    """What spectra with errors tell of their coefficients c: normal equations of each spectrum.

    The log-likelihood of c is score . c - c . information c / 2. On pixels, where the information
    is diagonal, its last axis is left out.

    Attributes
    ----------
    coefficients : torch.Tensor [n, k]
        The estimate c.
    score : torch.Tensor [n, k]
    information : torch.Tensor [n, k, k]
    gain : torch.Tensor [n, k, k]
        The matrix G of c = G score.
    """

    coefficients: torch.Tensor
    score: torch.Tensor
    information: torch.Tensor
    gain: torch.Tensor

    def __getitem__(self, rows: slice) -> "Measured":
        """Return those of some spectra."""
        return Measured(*(tensor[rows] for tensor in vars(self).values()))

    def to(self, device: torch.device) -> "Measured":
        """Return them on a device."""
        return Measured(*(tensor.to(device) for tensor in vars(self).values()))

    @staticmethod
    def joined(parts: list["Measured"]) -> "Measured":
        """Return those of all parts."""
        return Measured(
            *(torch.cat(each) for each in zip(*(vars(p).values() for p in parts), strict=True))
        )

    def pull(self, value: torch.Tensor, slopes: torch.Tensor) -> torch.Tensor:
        """Return the gradient [n, d] of the log-likelihood by what makes the coefficients `value`.

        Parameters
        ----------
        value : torch.Tensor [n, k]
        slopes : torch.Tensor [n, d, k]
            Their derivatives.
        """
        expected = _times(self.information, value[:, None])[:, 0]
        return (slopes @ (self.score - expected)[..., None])[..., 0]

    def known(self, slopes: torch.Tensor) -> torch.Tensor:
        """Return the Fisher information [n, d, d] on what has the slopes [n, d, k]."""
        return _times(self.information, slopes) @ slopes.mT

    def covariance(self) -> torch.Tensor:
        """Return the covariance [n, k, k] of the coefficients that is due to noise, float64."""
        gain, information = self.gain.double(), self.information.double()
        if gain.ndim == 2:
            return torch.diag_embed(gain.square() * information)
        return gain @ information @ gain.mT

    def draw(self, generator: torch.Generator) -> torch.Tensor:
        """Draw noise of the coefficients [n, k]."""
        deviates = torch.randn(self.score.shape, generator=generator)
        if self.gain.ndim == 2:
            return self.gain * self.information.sqrt() * deviates
        values, axes = torch.linalg.eigh(self.information.double())
        of_score = axes @ (values.clamp_min(0).sqrt() * deviates)[..., None]
        drawn: torch.Tensor = (self.gain.double() @ of_score)[..., 0].float()
        return drawn


def _times(matrix: torch.Tensor, vectors: torch.Tensor) -> torch.Tensor:
    """Return vectors [n, d, k] times symmetric matrices [n, k, k], or diagonal ones [n, k]."""
    return vectors * matrix[:, None] if matrix.ndim == 2 else vectors @ matrix


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

    def coefficients(self, flux: Rows, error: Rows | None = None) -> torch.Tensor:
        """Turn flux [n, n_pixels] into coefficients [n, n_coefficients].

        Parameters
        ----------
        flux : numpy.ndarray [n, n_pixels]
        error : numpy.ndarray [n, n_pixels], optional
            Standard deviation of its noise, infinite where it is masked; with it, pixels have
            weights.
        """
        result = torch.empty(len(flux), len(self))
        if error is not None and not all(constant(part) for _, part in walk(_CHUNK, error)):
            for rows, seen, uncertain in walk(WEIGHTED_ROWS, flux, error):
                result[rows] = self._equations(seen, uncertain).completed().float()
            return result
        for rows, centred in _centred(flux, self.mean):
            result[rows] = centred if self.components is None else centred @ self.components.T
        return result

    def measured(self, flux: np.ndarray, error: np.ndarray) -> Measured:
        """Return what flux [n, n_pixels] with errors tells of its coefficients, n k^2 numbers."""
        parts = []
        for _, seen, uncertain in walk(WEIGHTED_ROWS, flux, error):
            equations = self._equations(seen, uncertain)
            variance = equations.best.square()[:, None]
            diagonal = equations.matrix.ndim == 2
            of_matrix = variance if diagonal else variance[..., None]
            parts.append(
                Measured(
                    equations.completed().float(),
                    (equations.vector / variance).float(),
                    (equations.matrix / of_matrix).float(),
                    (equations.gain() * of_matrix).float(),
                )
            )
        return Measured.joined(parts)

    def noise_covariance(self, flux: np.ndarray, error: np.ndarray) -> torch.Tensor:
        """Return the mean covariance [k, k] of coefficients that is due to the errors, float64."""
        total = torch.zeros(len(self), len(self), dtype=torch.float64)
        for _, seen, uncertain in walk(WEIGHTED_ROWS, flux, error):
            total += self.measured(seen, uncertain).covariance().sum(0)
        return total / len(error)

    def _equations(self, flux: np.ndarray, error: np.ndarray) -> "_Equations":
        """Return the weighted normal equations of flux [n, n_pixels] with errors."""
        weight, seen, best = _weighted(flux, error, self.mean)
        if self.components is None:
            vector, matrix = seen, weight
        else:
            vector, matrix = seen @ self.components.T, _gram(self.components, weight)
        variance = self.deviation.double().square().clamp_min(1e-30)
        ridge = (best.square()[:, None] / variance).clamp_min(_LEAST_RIDGE)
        return _Equations(vector.double(), matrix.double(), ridge, best)

    def completed(self, flux: np.ndarray, error: np.ndarray) -> torch.Tensor:
        """Return flux [n, n_pixels], less the mean, with what pixels of low weight should hold."""
        expected = self.flux(self._equations(flux, error).expected().float()) - self.mean
        weight, seen, _ = _weighted(flux, error, self.mean)
        return seen + (1 - weight) * expected

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


@dataclass(frozen=True)
class _Equations:
    """Weighted normal equations of the coefficients of n spectra, in float64."""

    vector: torch.Tensor  # [n, k], W diag(w) (x - mean)
    matrix: torch.Tensor  # [n, k, k], W diag(w) W^T; on pixels [n, k], its diagonal
    ridge: torch.Tensor  # [n, k], s^2 / L
    best: torch.Tensor  # [n], s

    def expected(self) -> torch.Tensor:
        """Return the most probable coefficients c-hat [n, k]."""
        if self.matrix.ndim == 2:
            return self.vector / (self.matrix + self.ridge)
        solved: torch.Tensor = torch.linalg.solve(self._with_ridge(), self.vector)
        return solved

    def completed(self) -> torch.Tensor:
        """Return the coefficients c [n, k] of the completed spectra."""
        return (1 + self.ridge) * self.expected()

    def gain(self) -> torch.Tensor:
        """Return the matrix [n, k, k] by which the vector makes c; on pixels its diagonal."""
        if self.matrix.ndim == 2:
            return (1 + self.ridge) / (self.matrix + self.ridge)
        inverse: torch.Tensor = torch.linalg.inv(self._with_ridge())
        return (1 + self.ridge)[..., None] * inverse

    def _with_ridge(self) -> torch.Tensor:
        return self.matrix + torch.diag_embed(self.ridge)


def _weighted(
    flux: np.ndarray, error: np.ndarray, mean: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return the weights w, the flux less its mean times w, and the errors s (float64)."""
    weight, best = (torch.from_numpy(array) for array in pixel_weights(error))
    # The product alone would let NaN of masked flux pass.
    seen = torch.where(weight > 0, weight * (torch.as_tensor(flux) - mean), 0.0)
    return weight, seen, best.double()


def _gram(components: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """Return W diag(w) W^T [n, k, k] of components [k, n_pixels] with weights [n, n_pixels]."""
    n, k = len(weight), len(components)
    gram = torch.eye(k).expand(n, k, k).clone()
    uneven = (weight != 1).any(1)
    seen = weight[uneven]
    products = seen.new_empty(len(seen), k, k)
    for row in range(k):
        product = seen @ (components[row] * components[row:]).T
        products[:, row, row:] = products[:, row:, row] = product
    gram[uneven] = products
    return gram


def pixels(flux: np.ndarray, error: np.ndarray | None = None) -> Representation:
    """Return the representation whose coefficients are the mean-subtracted pixels."""
    if error is None:
        mean, variance = _moments(flux)
    else:
        mean, variance = _weighted_moments(flux, error)
    return Representation(mean, variance.sqrt().float(), torch.zeros(()))


def principal_components(
    flux: Rows,
    n_components: int,
    seed: int,
    *,
    error: Rows | None = None,
    noise: float | None = None,
    min_components: int = 1,
) -> Representation:
    """Fit principal components to training spectra by randomised subspace iteration.

    Parameters
    ----------
    flux : numpy.ndarray [n, n_pixels], float32
        Training spectra only.
    error : numpy.ndarray [n, n_pixels], float32, optional
        Standard deviation of their noise in each pixel; the components are then fitted with weights
        to the first 32,768 spectra, which determine a subspace of some hundred dimensions.
    n_components : int
        Greatest number of components; those below rounding or noise are cut.
    seed : int
        Seed of the starting subspace.
    noise : float, optional
        Standard deviation of the noise in each pixel. Noise alone makes components of a variance
        up to noise^2 (1 + sqrt(n_pixels / n))^2; components below that are cut, because networks
        learn almost nothing from them but memorise their noise. With errors, `noise_edge` of these
        takes its place.
    min_components : int
        Number of components kept even where they are below the noise.

    References
    ----------
    Halko, Martinsson and Tropp (2011), SIAM Review 53, 217, algorithm 4.4.
    Marchenko and Pastur (1967), Math. USSR Sbornik 1, 457, for the noise.
    """
    if error is not None:
        return _weighted_components(flux, error, n_components, seed, noise, min_components)
    n_components = min(n_components, *flux.shape)
    mean, variance = _moments(flux)
    subspace = _random_subspace(flux, n_components, seed)
    for _ in range(_POWER_ITERATIONS):
        subspace = torch.linalg.qr(_covariance_times(flux, mean, subspace))[0]
    image = _covariance_times(flux, mean, subspace)
    edge = None if noise is None else _edge(noise, flux)
    return _rotated(subspace, image, mean, variance.mean(), n_components, edge, min_components)


def _random_subspace(flux: Rows, n_components: int, seed: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    width = min(n_components + _OVERSAMPLING, *flux.shape)
    return torch.randn(flux.shape[1], width, generator=generator)


def _edge(noise: float, flux: Rows) -> float:
    """Return the variance up to which noise alone makes components."""
    edge: float = noise**2 * (1 + (flux.shape[1] / len(flux)) ** 0.5) ** 2
    return edge


def noise_edge(levels: np.ndarray, n_pixels: int) -> float:
    r"""Return the variance up to which noise makes components, if it differs between spectra.

    With t the variances of the noise and the ratio g of pixels to spectra, it is the least value of

    .. math:: \frac{g}{a} + \left\langle \frac{t}{1 - a t} \right\rangle ,
        \qquad 0 < a < \frac{1}{\max t} .

    Parameters
    ----------
    levels : numpy.ndarray [n]
        Standard deviation of the noise in a pixel of each spectrum.
    n_pixels : int

    References
    ----------
    Silverstein and Choi (1995), J. Multivariate Anal. 54, 295, theorem 4.1.

    Examples
    --------
    >>> round(noise_edge(np.ones(400), 100), 6), (1 + (100 / 400) ** 0.5) ** 2
    (2.25, 2.25)
    """
    variance = levels.astype(np.float64) ** 2
    ratio, largest = n_pixels / len(levels), variance.max()
    if not largest:
        return 0.0
    variance = variance / largest
    low, high = 0.0, 1.0
    for _ in range(_BISECTIONS):  # the derivative by a rises from minus infinity to infinity
        middle = (low + high) / 2
        slope = np.mean((middle * variance / (1 - middle * variance)) ** 2)
        low, high = (middle, high) if slope < ratio else (low, middle)
    least = ratio / low + np.mean(variance / (1 - low * variance))
    return float(largest * least)


def _rotated(
    subspace: torch.Tensor,
    image: torch.Tensor,
    mean: torch.Tensor,
    variance: torch.Tensor,
    n_components: int,
    edge: float | None,
    min_components: int,
) -> Representation:
    """Return the principal components within a subspace.

    Parameters
    ----------
    subspace : torch.Tensor [n_pixels, width]
        Orthonormal columns.
    image : torch.Tensor [n_pixels, width]
        The covariance of the flux, times the subspace.
    mean : torch.Tensor [n_pixels]
    variance : torch.Tensor, scalar
        Of the flux, averaged over pixels.
    n_components : int
    edge : float or None
        Variance below which components are cut.
    min_components : int
    """
    # float64: the smallest variances are some 1e-8 of the largest
    eigenvalues, rotation = torch.linalg.eigh((subspace.T @ image).double())
    order = torch.argsort(eigenvalues, descending=True)[:n_components]
    # Components below the rounding of float32 flux would be noise once whitened.
    order = order[eigenvalues[order] > _LEAST_DEVIATION**2 * eigenvalues[order[0]]]
    if edge is not None:
        order = order[: max(min_components, int((eigenvalues[order] > edge).sum()))]
    components = (subspace.double() @ rotation[:, order]).float().T.contiguous()
    explained = eigenvalues[order].sum() / len(mean)
    deviation = eigenvalues[order].clamp_min(0).sqrt().float()
    residual = (variance - explained).clamp_min(0).float()
    return Representation(mean, deviation, residual, components)


def _weighted_components(
    flux: Rows,
    error: Rows,
    n_components: int,
    seed: int,
    noise: float | None,
    min_components: int,
) -> Representation:
    """Fit principal components with weights; see `principal_components`."""
    flux, error = flux[:SAMPLE], error[:SAMPLE]
    n_components = min(n_components, *flux.shape)
    mean, _ = _weighted_moments(flux, error)
    subspace = _random_subspace(flux, n_components, seed)
    edge: float | None = None
    if noise is not None:
        levels = [noise_levels(part) for _, part in walk(WEIGHTED_ROWS, error)]
        edge = noise_edge(np.concatenate(levels), flux.shape[1])
    fitted: Representation | None = None
    for step in stage("components", range(_POWER_ITERATIONS + 1 + _COMPLETIONS), unit="pass"):
        image, shift = torch.zeros_like(subspace), torch.zeros_like(mean)
        square = 0.0
        for _, seen, uncertain in walk(WEIGHTED_ROWS, flux, error):
            if fitted is None:
                whole = _weighted(seen, uncertain, mean)[1]
            else:
                whole = fitted.completed(seen, uncertain)
            image.addmm_(whole.T, whole @ subspace, alpha=1 / len(flux))
            shift += whole.sum(0) / len(flux)
            square += float(whole.square().sum(dtype=torch.float64)) / whole.shape[1] / len(flux)
        # The covariance about the mean of the completed spectra.
        image -= shift[:, None] * (shift @ subspace)
        variance = torch.tensor(square) - shift.square().mean()
        if step >= _POWER_ITERATIONS:
            mean = mean + shift
            fitted = _rotated(subspace, image, mean, variance, n_components, edge, min_components)
        subspace = torch.linalg.qr(image)[0]
    assert fitted is not None
    return fitted


def _weighted_moments(flux: Rows, error: Rows) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the weighted mean (float32) and variance (float64) of each pixel.

    A pixel that is masked in all spectra has mean 1, the continuum, and variance 0.
    """
    n_pixels = flux.shape[1]
    weights, total, square = np.zeros(n_pixels), np.zeros(n_pixels), np.zeros(n_pixels)
    for _, seen, uncertain in walk(WEIGHTED_ROWS, flux, error):
        weight = pixel_weights(uncertain)[0].astype(np.float64)
        centred = np.where(weight > 0, seen - 1.0, 0.0)  # flux is about 1
        weights += weight.sum(axis=0)
        total += (weight * centred).sum(axis=0)
        square += (weight * centred**2).sum(axis=0)
    weights = np.maximum(weights, 1e-300)
    mean, variance = total / weights, square / weights - (total / weights) ** 2
    return torch.from_numpy((1 + mean).astype(np.float32)), torch.from_numpy(
        np.maximum(variance, 0)
    )


def _moments(flux: Rows) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the mean (float32) and variance (float64) of each pixel."""
    total = np.zeros(flux.shape[1])
    for _, chunk in walk(_CHUNK, flux):
        # NumPy adds up in float64 six times as fast as torch does.
        total += np.add.reduce(chunk, axis=0, dtype=np.float64)
    mean = (total / len(flux)).astype(np.float32)
    variance = np.zeros(flux.shape[1])
    square = np.empty((min(_CACHED, len(flux)), flux.shape[1]), np.float32)
    for _, chunk in walk(_CHUNK, flux):
        for start in range(0, len(chunk), _CACHED):
            part = chunk[start : start + _CACHED]
            centred = np.subtract(part, mean, out=square[: len(part)])
            np.square(centred, out=centred)
            variance += np.add.reduce(centred, axis=0, dtype=np.float64)
    return torch.from_numpy(mean), torch.from_numpy(variance / len(flux))


def _covariance_times(flux: Rows, mean: torch.Tensor, subspace: torch.Tensor) -> torch.Tensor:
    product = torch.zeros_like(subspace)
    n_chunks = -(-len(flux) // _CHUNK)
    for _, centred in stage("components", _centred(flux, mean), total=n_chunks, unit="chunk"):
        product.addmm_(centred.T, centred @ subspace, alpha=1 / len(flux))
    return product


def _centred(flux: Rows, mean: torch.Tensor) -> Iterator[tuple[slice, torch.Tensor]]:
    """Yield the flux less its mean by chunks, with their rows, in a buffer that is used again.

    The system takes longer to provide new memory for a chunk than the subtraction takes.
    """
    buffer = torch.empty(min(_CHUNK, len(flux)), flux.shape[1])
    for rows, chunk in walk(_CHUNK, flux):
        centred = buffer[: len(chunk)]
        np.subtract(chunk, mean.numpy(), out=centred.numpy())
        yield rows, centred
