r"""Errors of single pixels as weights, and as one level of noise for each spectrum.

A pixel of error e in a spectrum of least error s has the weight

.. math:: w_p = s^2 / e_p^2 ,

1 for the best pixels of a spectrum and 0 for masked ones. Every spectrum counts alike, whatever its
signal-to-noise ratio, and a spectrum whose errors are all equal is weighted as one without errors.
"""

import dataclasses

import numpy as np

from starbench.common.paging import walk
from starbench.methods.base import View, constant_error

SAMPLE = 32_768  # spectra, the first of a shuffled set, that tell its noise and its components

_CHUNK = 4096  # spectra at a time


def pixel_weights(error: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the weight of each pixel, and the least error of each spectrum.

    Parameters
    ----------
    error : numpy.ndarray [n, n_pixels], float32
        Standard deviation of the noise; infinite where a pixel is masked.

    Returns
    -------
    weight : numpy.ndarray [n, n_pixels], float32
        From 0 to 1.
    least : numpy.ndarray [n], float32
        1 for a spectrum without any unmasked pixel.
    """
    least = error.min(axis=1)
    least = np.where(np.isfinite(least), least, np.float32(1))
    return np.square(least[:, None] / error), least


def constant(error: np.ndarray) -> bool:
    """Return whether each spectrum has one error [n, n_pixels] for all its pixels, none masked."""
    return bool(np.isfinite(error[:, 0]).all() and (error == error[:, :1]).all())


def noise_levels(error: np.ndarray) -> np.ndarray:
    """Return the standard deviation [n] of the noise in a pixel of each weighted spectrum.

    It is the root mean square over pixels of w e, the noise that weighting leaves.
    """
    weight, least = pixel_weights(error)
    levels: np.ndarray = least * np.sqrt(weight.mean(axis=1, dtype=np.float64))
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
