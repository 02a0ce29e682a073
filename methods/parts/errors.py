r"""Errors of single pixels as weights, and as one level of noise for each spectrum.

A pixel of error e has the weight

.. math:: w_p = \min(1, s^2 / e_p^2) ,

where s is the error that the best twentieth of the spectrum's unmasked pixels does not exceed (not
the least one, as a single error that is far too small would take the weight of all other pixels).
So w is 1 for the best pixels of a spectrum and 0 for masked ones. Every spectrum counts alike,
whatever its signal-to-noise ratio, and one whose errors are all equal is weighted as one without.
"""

import dataclasses

import numpy as np

from starbench.common.paging import walk
from starbench.methods.base import View, constant_error

SAMPLE = 32_768  # spectra, the first of a shuffled set, that tell its noise and its components

_CHUNK = 1024  # spectra at a time
_BEST_SHARE = 0.05  # of the pixels of a spectrum
_LEAST_SHARE = 0.25  # of the information that all pixels would have


def pixel_weights(error: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the weight of each pixel, and the error of the best pixels of each spectrum.

    Parameters
    ----------
    error : numpy.ndarray [n, n_pixels], float32
        Standard deviation of the noise; infinite where a pixel is masked.

    Returns
    -------
    weight : numpy.ndarray [n, n_pixels], float32
        From 0 to 1.
    best : numpy.ndarray [n], float32
        The error s; 1 for a spectrum without any unmasked pixel.
    """
    place = (_BEST_SHARE * np.isfinite(error).sum(axis=1)).astype(int)
    best = np.take_along_axis(np.sort(error, axis=1), place[:, None], 1)
    best = np.where(np.isfinite(best), best, np.float32(1))
    return np.square(np.minimum(best / error, np.float32(1))), best[:, 0]


def constant(error: np.ndarray) -> bool:
    """Return whether each spectrum has one error [n, n_pixels] for all its pixels, none masked."""
    return bool(np.isfinite(error[:, 0]).all() and (error == error[:, :1]).all())


def noise_levels(error: np.ndarray) -> np.ndarray:
    """Return the one error [n] of all pixels with which each spectrum would tell as much.

    It is s over the root of the mean weight, and at most 2 s, however much is masked.
    """
    weight, best = pixel_weights(error)
    share = np.maximum(weight.mean(axis=1, dtype=np.float64), _LEAST_SHARE)
    levels: np.ndarray = best / np.sqrt(share)
    return levels


def typical_noise(view: View) -> float | None:
    """Return the root mean square noise in a pixel of a view; None if no noise is known."""
    if view.error is None:
        return view.noise
    levels = [noise_levels(part) for _, part in walk(_CHUNK, view.error[:SAMPLE])]
    return float(np.sqrt(np.mean(np.concatenate(levels) ** 2)))


def with_plain_noise(view: View) -> View:
    """Return a view whose errors are its noise, if all are equal and no pixel is masked."""
    noise = None if view.error is None else constant_error(view.error)
    return view if noise is None else dataclasses.replace(view, error=None, noise=noise)
