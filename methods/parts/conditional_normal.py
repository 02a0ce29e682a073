r"""A centred normal distribution whose covariance is a function of the nuisance.

A polynomial that is fitted to a covariance is rarely positive definite everywhere: where the
variances span six orders of magnitude, small errors of the large ones make the small ones negative.
So the polynomial is the logarithm of the covariance, and any symmetric matrices are its
coefficients. With the monomials q_k of the nuisance u, and white noise of known variance s^2,

.. math::

    r \sim N(0, \Sigma(u) + s^2), \qquad \Sigma(u) = \exp \sum_k q_k(u) L_k.

The symmetric matrices L_k maximise the likelihood of r,

.. math::

    -\frac{1}{2} \langle \log |\Sigma(u) + s^2| + r^T (\Sigma(u) + s^2)^{-1} r \rangle.

Spectra of similar u enter it as the mean of r r^T over their cell, so that a step costs one matrix
exponential for each cell. The order of the polynomial is raised as long as that raises the
likelihood of other spectra.

References
----------
Chiu, Leonard and Tsui (1996), "The matrix-logarithmic covariance model", JASA 91, 198.
"""

import math
from typing import final

import numpy as np
import torch
from torch import nn

from starbench.common.progress import stage
from starbench.methods.parts.polynomial import NuisanceTerms

_CELLS, _CELL = 256, 64  # cells at most, unless they would hold fewer spectra than this
_STEPS = 100  # of the optimiser for each order, at most
_LEAST_SIGNAL = 0.01  # variance at the start, relative to that of the noise


@final
class ConditionalNormal(nn.Module):
    """A centred normal distribution whose log covariance is a polynomial in the nuisance.

    Parameters
    ----------
    centre, spread : torch.Tensor [n_nuisance], float64
        Mean and standard deviation of the nuisance in the training set.
    slopes : torch.Tensor [k, d, d], float64
        The symmetric matrix L_k of each monomial.
    degree : torch.Tensor, scalar, int64
        Order of the polynomial.
    noise : torch.Tensor, scalar, float64
        Standard deviation s of the white noise; 0 for none.
    """

    centre: torch.Tensor
    spread: torch.Tensor
    slopes: torch.Tensor
    degree: torch.Tensor
    noise: torch.Tensor

    def __init__(self, **buffers: torch.Tensor) -> None:
        super().__init__()
        for name in ("centre", "spread", "slopes", "degree", "noise"):
            self.register_buffer(name, buffers[name])

    @classmethod
    def fit(
        cls,
        train: tuple[torch.Tensor, np.ndarray],
        validation: tuple[torch.Tensor, np.ndarray],
        max_degree: int,
        noise: float = 0.0,
    ) -> "ConditionalNormal":
        """Fit polynomials of rising order, while the likelihood of the validation spectra rises.

        Parameters
        ----------
        train, validation : tuple of torch.Tensor [n, d], float64, and numpy.ndarray [n, n_nuisance]
            Residuals r, uncorrelated over the training set, such as principal components; and the
            nuisance.
        max_degree : int
            Highest order that is tried.
        noise : float
            Standard deviation of the white noise in the residuals.
        """
        residual, nuisance = train
        terms = NuisanceTerms.fit(nuisance, 0)
        signal = residual.square().mean(0) - noise**2
        best = cls(
            centre=terms.centre,
            spread=terms.spread,
            slopes=torch.diag(signal.clamp_min(_LEAST_SIGNAL * noise**2 + 1e-30).log())[None],
            degree=torch.tensor(0),
            noise=torch.tensor(noise, dtype=torch.float64),
        )
        likelihood = best.log_likelihood(*validation)
        with stage("covariance at each nuisance", total=max_degree, unit="order") as tried:
            for _ in range(max_degree):
                higher = best._of_next_degree(residual, nuisance)
                tried.update()
                raised = higher.log_likelihood(*validation)
                if not raised > likelihood:
                    break
                best, likelihood = higher, raised
        return best

    def _of_next_degree(self, residual: torch.Tensor, nuisance: np.ndarray) -> "ConditionalNormal":
        """Return the fit of the next order, which starts from this one."""
        rows = cells(nuisance, max(_CELL, -(-len(nuisance) // _CELLS)))
        centres = np.stack([nuisance[cell].mean(0, dtype=np.float64) for cell in rows])
        moments = torch.stack([residual[cell].T @ residual[cell] / len(cell) for cell in rows])
        share = torch.tensor([len(cell) / len(residual) for cell in rows], dtype=torch.float64)
        degree = int(self.degree) + 1
        q = torch.from_numpy(NuisanceTerms(self.centre, self.spread, degree).monomials(centres))
        slopes = self.slopes.new_zeros(q.shape[1], *self.slopes.shape[1:])
        slopes[: len(self.slopes)] = self.slopes
        # In units of these, the likelihood is about equally curved along all entries of a matrix:
        # between two axes it is the more curved the more their variances differ.
        unit = 1 / _mean_exponential(self.slopes[0].diagonal(), centred=True)
        scaled = (slopes / unit).requires_grad_()
        optimiser = torch.optim.LBFGS(
            [scaled], max_iter=_STEPS, history_size=20, line_search_fn="strong_wolfe"
        )

        @torch.no_grad()
        def loss() -> torch.Tensor:
            values, gradients = negative_log_likelihood(
                torch.tensordot(q, scaled * unit, 1), moments, float(self.noise)
            )
            scaled.grad = torch.tensordot(share * q.T, gradients, 1) * unit
            return share @ values

        optimiser.step(loss)  # type: ignore[no-untyped-call]  # torch has no types here
        return ConditionalNormal(
            centre=self.centre,
            spread=self.spread,
            slopes=(scaled * unit).detach(),
            degree=torch.tensor(degree),
            noise=self.noise,
        )

    def axes(self, nuisance: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the principal axes of the covariance at each nuisance [n, n_nuisance].

        Returns
        -------
        variance : torch.Tensor [n, d], float64
            Eigenvalues of Sigma(u), without the noise.
        axes : torch.Tensor [n, d, d], float64
            Its eigenvectors, as columns.
        """
        terms = NuisanceTerms(self.centre, self.spread, int(self.degree))
        q = torch.from_numpy(terms.monomials(nuisance))
        logarithm, axes = torch.linalg.eigh(torch.tensordot(q, self.slopes, 1))
        return logarithm.exp(), axes

    def log_likelihood(self, residual: torch.Tensor, nuisance: np.ndarray) -> float:
        """Return the mean log-likelihood [nat] of residuals [n, d]; NaN if the fit has failed."""
        if not self.slopes.isfinite().all():
            return math.nan
        variance, axes = self.axes(nuisance)
        total = variance + self.noise**2
        projected = (residual[:, None] @ axes)[:, 0]
        constant = residual.shape[1] * math.log(2 * math.pi)
        terms = (total.log() + projected.square() / total).sum(1) + constant
        return float(-0.5 * terms.mean())


def cells(nuisance: np.ndarray, size: int) -> list[np.ndarray]:
    """Cut spectra into cells of similar nuisance by halving each at the median of its longest side.

    Parameters
    ----------
    nuisance : numpy.ndarray [n, n_nuisance]
    size : int
        Spectra in a cell, at most.

    Returns
    -------
    list of numpy.ndarray [n_of_cell], int64
        Rows of the spectra of each cell.
    """
    scaled = nuisance / nuisance.std(axis=0, dtype=np.float64)
    waiting, small = [np.arange(len(nuisance))], []
    while waiting:
        rows = waiting.pop()
        if len(rows) <= size:
            small.append(rows)
            continue
        longest = np.ptp(scaled[rows], axis=0).argmax()
        rows = rows[np.argsort(scaled[rows, longest], kind="stable")]
        waiting += np.array_split(rows, 2)
    return small


def negative_log_likelihood(
    log_covariance: torch.Tensor, moments: torch.Tensor, noise: float
) -> tuple[torch.Tensor, torch.Tensor]:
    r"""Return minus the log-likelihood of centred normal samples, and its gradient.

    The gradient by the logarithm follows from that by the covariance by the formula of Daleckii and
    Krein, in the eigenvectors' basis a product with :math:`(e^a - e^b) / (a - b)`. Ten times as
    fast as automatic differentiation through ``torch.linalg.matrix_exp``.

    Parameters
    ----------
    log_covariance : torch.Tensor [n, d, d], float64
        Symmetric matrices L.
    moments : torch.Tensor [n, d, d], float64
        Mean outer product of the samples of each distribution N(0, e^L + noise^2).
    noise : float
        Standard deviation of the white noise.

    Returns
    -------
    value : torch.Tensor [n]
        For one sample, in nats, without the constant.
    gradient : torch.Tensor [n, d, d]
        By the log covariance; symmetric.
    """
    logarithm, axes = torch.linalg.eigh(log_covariance)
    precision = 1 / (logarithm.exp() + noise**2)
    turned = axes.mT @ moments @ axes
    value = 0.5 * (turned.diagonal(dim1=1, dim2=2) * precision - precision.log()).sum(1)
    by_covariance = torch.diag_embed(precision) - precision[:, None] * turned * precision[..., None]
    gradient = axes @ (0.5 * by_covariance * _mean_exponential(logarithm)) @ axes.mT
    return value, gradient


def _mean_exponential(logarithm: torch.Tensor, *, centred: bool = False) -> torch.Tensor:
    """Return the mean of exp [..., d, d] between any two of the arguments [..., d].

    With `centred`, in units of exp of the middle between them.
    """
    half = 0.5 * (logarithm[..., :, None] - logarithm[..., None, :])
    ratio = torch.where(half.abs() < 1e-4, 1.0, half.sinh() / half)
    if centred:
        return ratio
    middle: torch.Tensor = 0.5 * (logarithm[..., :, None] + logarithm[..., None, :])
    return middle.exp() * ratio
