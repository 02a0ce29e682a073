r"""Pairs found among latents, and the part of their disagreement that the nuisance explains.

Two stars of different nuisance are a found pair if each is the other's nearest star by L1. Where
the latents of true twins disagree, few are found. Their disagreement is mostly a turning of the
latent with the nuisance u, which the pairs that are found tell: with q(u) the monomials of u up to
the third order, less their means, and :math:`\bar z_{ij}` the mean latent of a pair, differences

.. math::

    z_i - z_j \approx B^T [(q(u_i) - q(u_j)) \otimes (\bar z_{ij}, 1)]

are fitted by least squares with Cauchy weights, in which pairs of strangers count little. Then
:math:`B^T [q(u_i) \otimes (z_i, 1)]` is subtracted from every latent, and more pairs are found.
"""

from dataclasses import dataclass

import numpy as np

from starbench.methods.parts.polynomial import monomials

_DEGREE = 3
_REWEIGHTINGS = 5
# Of the squared size of a feature: keeps directions that few pairs fill from being fitted.
_RIDGE = 1e-3


@dataclass(frozen=True)
class Search:
    """How pairs are found.

    Attributes
    ----------
    axes : int
        Axes of the latent that count: those of the largest variance.
    least_shift : float
        Least difference of a pair along some axis of the nuisance, as a share of its range.
    corrections : int
        How many times the explained disagreement is subtracted, and pairs are found anew.
    """

    axes: int
    least_shift: float
    corrections: int


def found_pairs(latent: np.ndarray, nuisance: np.ndarray, search: Search) -> np.ndarray:
    """Return the pairs found among stars: rows [n_pairs, 2], the smaller one first.

    Parameters
    ----------
    latent : numpy.ndarray [n, d]
        Whose axes have noise of one size, or none.
    nuisance : numpy.ndarray [n, n_nuisance]
    search : Search
    """
    largest = np.argsort(latent.var(axis=0))[::-1][: search.axes]
    z = np.ascontiguousarray(latent[:, largest], np.float64)
    low, high = nuisance.min(axis=0), nuisance.max(axis=0)
    u = (nuisance - low) / np.maximum(high - low, 1e-10)
    terms = monomials(2.0 * u - 1, _DEGREE)[:, 1:]
    terms -= terms.mean(axis=0)
    pairs = mutual_nearest(z, u, search.least_shift)
    for _ in range(search.corrections):
        if len(pairs) < 2:
            break
        z = without_disagreement(z, terms, pairs)
        pairs = mutual_nearest(z, u, search.least_shift)
    return pairs


def mutual_nearest(latent: np.ndarray, nuisance: np.ndarray, least_shift: float) -> np.ndarray:
    """Return the rows [n_pairs, 2] of stars each of which is the other's nearest star by L1.

    Parameters
    ----------
    latent : numpy.ndarray [n, d]
    nuisance : numpy.ndarray [n, n_nuisance]
    least_shift : float
        Stars whose nuisance differs by less along every axis are no pair.
    """
    from starbench.methods.parts.nearest import nearest_rows

    order = np.argsort(latent[:, 0], kind="stable")
    place = nearest_rows(
        np.ascontiguousarray(latent[order], np.float32),
        np.ascontiguousarray(nuisance[order], np.float32),
        least_shift,
    )
    rows = np.full(len(order), -1)
    rows[order] = np.where(place >= 0, order[place], -1)
    first = np.flatnonzero((rows > np.arange(len(rows))) & (rows[rows] == np.arange(len(rows))))
    return np.stack([first, rows[first]], axis=1)


def without_disagreement(latent: np.ndarray, terms: np.ndarray, pairs: np.ndarray) -> np.ndarray:
    """Subtract from latents what the nuisance explains of the differences within pairs.

    Parameters
    ----------
    latent : numpy.ndarray [n, d], float64
    terms : numpy.ndarray [n, k], float64
        q(u) of each star.
    pairs : numpy.ndarray [n_pairs, 2], int64

    Returns
    -------
    numpy.ndarray [n, d], float64
    """
    first, second = pairs.T
    scale = latent.std(axis=0) + 1e-12
    mean = (latent[first] + latent[second]) / 2
    features = _features(terms[first] - terms[second], mean / scale)
    difference = latent[first] - latent[second]
    penalty = _RIDGE * np.diag((features**2).sum(axis=0) + 1e-12)
    residual = difference
    for _ in range(_REWEIGHTINGS):
        size = 1.5 * np.median(np.abs(residual), axis=0) + 1e-12
        weight = 1 / (1 + ((residual / size) ** 2).mean(axis=1))
        weighted = features * weight[:, None]
        slopes = np.linalg.solve(weighted.T @ features + penalty, weighted.T @ difference)
        residual = difference - features @ slopes
    corrected: np.ndarray = latent - _features(terms, latent / scale) @ slopes
    return corrected


def _features(terms: np.ndarray, latent: np.ndarray) -> np.ndarray:
    """Return the products [n, k (d + 1)] of terms [n, k] with latents [n, d] and 1."""
    with_one = np.hstack([latent, np.ones((len(latent), 1))])
    products: np.ndarray = np.einsum("nk,nd->nkd", terms, with_one)
    return products.reshape(len(terms), -1)
