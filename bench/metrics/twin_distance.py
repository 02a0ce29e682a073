"""How much of the distance between twins their nuisance explains.

`nuisance_leakage` has no scale: a latent of which a millionth of the spread follows the temperature
leaks as much as one that is nothing else. What a leak does to a search shows in the L1 distance of
twins: where the leak sets it, a function of both nuisances explains it, and twins of unlike
temperature are far apart; where the noise sets it, no such function does, and the leak is harmless.
Without noise a small leak may set a small distance, so read it with the share of nearest twins.

With u of both stars standardised, the function is ridge regression on

    s = (u_1 + u_2) / 2,    |d|,    |d_i + d_j|,    |d_i - d_j|,        d = u_1 - u_2,

their squares, and the products of every two of the components of s and |d|. All are equal when the
stars are exchanged, as the distance is. A latent that is linear in u, of which the distance is a
sum of |w d|, is explained to 0.98 and more (two nuisance factors, 1,000 pairs).
"""

import numpy as np

from starbench.metrics.bootstrap import estimate, resample_pairs
from starbench.metrics.definitions import METRICS, Estimate
from starbench.metrics.probes import r2
from starbench.metrics.regression import Rows, ridge

NAME = "explained_twin_distance"
LEAST_PAIRS = 50  # fewer say more about the few than about the latent
_PARTS = 5
_BLOCK = 1024  # pairs whose float64 differences are held at once


def twin_distance_estimates(
    latent: np.ndarray, nuisance: np.ndarray, *, counts: np.ndarray | None = None
) -> dict[str, Estimate | None]:
    """Compute the share of the variance of twins' L1 distances that their nuisance explains.

    Each fifth of the pairs is predicted from a fit to the others, so that the estimate is held out.

    Parameters
    ----------
    latent : numpy.ndarray [n_pairs, 2, d]
    nuisance : numpy.ndarray [n_pairs, 2, n_nuisance]
    counts : numpy.ndarray [n_resamples, n_pairs], int16, optional
        Bootstrap resamples, by default those of `resample_pairs`.

    Returns
    -------
    dict of str to Estimate or None
        ``explained_twin_distance``: 1 - sum (distance - prediction)^2 / sum (distance - mean)^2.
        None if a latent is not finite, if all distances are equal, or below `LEAST_PAIRS` pairs.
    """
    distance = twin_distance(latent)
    if len(distance) < LEAST_PAIRS or not np.isfinite(distance).all() or not np.ptp(distance):
        return {NAME: None}
    features = symmetric_features(nuisance)
    part = np.arange(len(distance)) * _PARTS // len(distance)
    prediction = np.empty(len(distance))
    for number in range(_PARTS):
        inside = part == number
        rows = Rows(features[~inside], features[inside])
        prediction[inside] = ridge(rows, distance[~inside, None])[:, 0]
    if counts is None:
        counts = resample_pairs(len(distance))
    (value,), draws = r2(distance[:, None, None], prediction[:, None, None], counts)
    return {NAME: estimate(METRICS[NAME], float(value), draws[:, 0])}


def twin_distance(latent: np.ndarray) -> np.ndarray:
    """Return the L1 distance [n_pairs], float64, between the latents [n_pairs, 2, d] of twins.

    Examples
    --------
    >>> twin_distance(np.array([[[0.0, 1.0], [3.0, -1.0]]], np.float32)).tolist()
    [5.0]
    """
    distance = np.empty(len(latent))
    with np.errstate(invalid="ignore"):  # inf - inf
        for start in range(0, len(latent), _BLOCK):
            pairs = latent[start : start + _BLOCK].astype(np.float64)
            distance[start : start + _BLOCK] = np.abs(pairs[:, 0] - pairs[:, 1]).sum(axis=1)
    return distance


def symmetric_features(nuisance: np.ndarray) -> np.ndarray:
    """Return features [n_pairs, n_features] of both nuisances that do not depend on their order."""
    nuisance = nuisance.astype(np.float64)
    scale = nuisance.std(axis=(0, 1))
    u = (nuisance - nuisance.mean(axis=(0, 1))) / np.where(scale > 0, scale, 1)
    mean, difference = u.mean(axis=1), u[:, 0] - u[:, 1]
    i, j = np.triu_indices(u.shape[2], 1)
    slanted = np.abs(
        np.concatenate(
            [difference[:, i] + difference[:, j], difference[:, i] - difference[:, j]], 1
        )
    )
    straight = np.concatenate([mean, np.abs(difference)], axis=1)
    i, j = np.triu_indices(straight.shape[1])
    return np.concatenate([straight, slanted, slanted**2, straight[:, i] * straight[:, j]], axis=1)
