"""Resampling to other pixels, with conserved flux and propagated errors.

The method is that of SpectRes (Carnall 2017, arXiv:1705.05165): a new pixel is the mean of the old
ones that it overlaps, weighted by the overlap; their errors are independent. The correlation of
neighbouring new pixels is not kept. A new pixel that overlaps a masked one is masked, and so is one
that the old pixels do not cover.
"""

import numpy as np
import numpy.typing as npt

from starbench.tasks.arrays import Floats, Spectra

_SAME = 0.02  # of a pixel: closer wavelengths are the same; float32 near 16000 A has 0.005 of one
_ROUNDED = 0.1  # of a pixel: so are those in between, in a grid of which most are the same
_TOUCH = 1e-3  # of a pixel: overlaps below it are rounding
_COVERED = 0.99  # share of a pixel that must be measured
_GAP = 1.5  # of the next pixel: wider steps are gaps; rounded wavelengths vary by less


def resample(
    wavelength: Floats, flux: Spectra, error: Spectra, target: Floats
) -> tuple[Spectra, Spectra]:
    """Return spectra on other pixels.

    Parameters
    ----------
    wavelength : numpy.ndarray [n_old]
        Increasing.
    flux, error : numpy.ndarray [n, n_old], float32
        The error is infinite in masked pixels.
    target : numpy.ndarray [n_new]
        Increasing, in the same unit.

    Returns
    -------
    flux, error : numpy.ndarray [n, n_new], float32
        Flux is 1 in masked pixels. Pixels that coincide with old ones are copied unchanged.

    Examples
    --------
    >>> old = np.arange(8.0)
    >>> flux, error = np.ones((1, 8), np.float32), np.full((1, 8), 0.2, np.float32)
    >>> new_flux, new_error = resample(old, flux, error, np.array([2.5, 4.5, 9.0]))
    >>> new_flux, new_error.round(3)  # half of two pixels each; the last is outside
    (array([[1., 1., 1.]], dtype=float32), array([[0.141, 0.141,   inf]], dtype=float32))
    """
    flux = np.where(np.isfinite(error), flux, np.float32(0))
    low, high = _bounds(wavelength)
    nearest, same = _nearest(wavelength, low, high, target)
    if _coincide(same, low, high, target):
        new_flux, new_error = flux[:, nearest], error[:, nearest]
        covered = np.abs(wavelength[nearest] - target) < _ROUNDED * (high - low)[nearest]
    else:
        new_flux, new_error, covered = _overlap(low, high, flux, error, target)
    new_error = np.where(covered, new_error, np.float32(np.inf))
    return np.where(np.isfinite(new_error), new_flux, np.float32(1)), new_error


def same_pixels(one: Floats, other: Floats) -> bool:
    """Return whether two sets of pixels are the same, but for rounded wavelengths.

    Examples
    --------
    >>> same_pixels(np.arange(5.0), np.arange(5.0) + 0.01)
    True
    >>> same_pixels(np.arange(5.0), np.arange(4.0))
    False
    """
    if len(one) != len(other):
        return False
    low, high = _bounds(one)
    return bool((np.abs(one - other) < _SAME * (high - low)).all())


def coincide(wavelength: Floats, target: Floats) -> bool:
    """Return whether pixels are copied unchanged to others, which are the same or some of them.

    Examples
    --------
    >>> old = np.arange(8.0)
    >>> coincide(old, old[2:5]), coincide(old, old[2:5] + 0.3)
    (True, False)
    """
    low, high = _bounds(wavelength)
    return _coincide(_nearest(wavelength, low, high, target)[1], low, high, target)


def _nearest(
    wavelength: Floats, low: Floats, high: Floats, target: Floats
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
    """Return which pixel is nearest to each new one, and whether they are the same."""
    nearest = np.clip(np.searchsorted(wavelength, target), 1, len(wavelength) - 1)
    nearest -= target - wavelength[nearest - 1] < wavelength[nearest] - target
    return nearest, np.abs(wavelength[nearest] - target) < _SAME * (high - low)[nearest]


def _coincide(same: npt.NDArray[np.bool_], low: Floats, high: Floats, target: Floats) -> bool:
    inside = (target > low[0]) & (target < high[-1])
    # Not all: the grid is a part of the old one, or has gaps in it.
    return bool(same.sum() > 0.5 * inside.sum())


def _bounds(wavelength: Floats) -> tuple[Floats, Floats]:
    """Return the lower and upper bound of each pixel; none reaches into a gap of the detector."""
    steps = np.diff(wavelength)
    after, before = np.append(steps, steps[-1]), np.insert(steps, 0, steps[0])
    narrow = np.minimum(before, after)
    below, above = (np.where(step > _GAP * narrow, narrow, step) for step in (before, after))
    return wavelength - 0.5 * below, wavelength + 0.5 * above


def _overlap(
    low: Floats, high: Floats, flux: Spectra, error: Spectra, target: Floats
) -> tuple[Spectra, Spectra, np.ndarray]:
    new_low, new_high = _bounds(target)
    width = new_high - new_low
    first = np.searchsorted(high, new_low, side="right")
    last = np.searchsorted(low, new_high, side="left")  # past the last one
    total = np.zeros(len(target))
    sums = np.zeros((len(flux), len(target)))
    variances = np.zeros_like(sums)
    for step in range(int((last - first).max(initial=0))):
        old = np.minimum(first + step, len(low) - 1)
        weight = np.minimum(high[old], new_high) - np.maximum(low[old], new_low)
        weight[(first + step >= last) | (weight < _TOUCH * width)] = 0
        used = weight > 0
        total += weight
        sums[:, used] += weight[used] * flux[:, old[used]]
        variances[:, used] += (weight[used] * error[:, old[used]].astype(np.float64)) ** 2
    divisor = np.where(total > 0, total, 1)
    return (
        (sums / divisor).astype(np.float32),
        (np.sqrt(variances) / divisor).astype(np.float32),
        total > _COVERED * width,
    )
