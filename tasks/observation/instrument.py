"""What a spectrograph does to spectra: line width, velocity, and errors of the continuum.

Pure functions of flux on pixels of equal steps in the logarithm of the wavelength, on which a
velocity is a number of pixels. The pixels form detectors, with gaps between them.
"""

import itertools

import numpy as np

from starbench.tasks.arrays import Floats, Spectra

SPEED_OF_LIGHT = 299_792.458  # km/s
_FWHM = 2 * np.sqrt(2 * np.log(2))  # full width at half maximum of a Gaussian of unit deviation
_MARGIN = 32  # pixels added at both ends of a detector, far more than any width or shift reaches


def detectors(wavelength: Floats) -> list[slice]:
    """Return the ranges of pixels of equal steps in the logarithm of the wavelength.

    Examples
    --------
    >>> detectors(np.exp(np.array([0.0, 0.1, 0.2, 0.5, 0.6])))
    [slice(0, 3, None), slice(3, 5, None)]
    """
    steps = np.diff(np.log(wavelength))
    edges = [0, *(np.flatnonzero(steps > 1.5 * np.median(steps)) + 1).tolist(), len(wavelength)]
    return [slice(first, last) for first, last in itertools.pairwise(edges)]


def pixel_velocity(wavelength: Floats) -> float:
    """Return the velocity [km/s] of one pixel."""
    return float(SPEED_OF_LIGHT * np.median(np.diff(np.log(wavelength))))


def resolution_deviation(resolving_power: Floats, of_spectra: float) -> Floats:
    """Return the deviation [km/s] of the Gaussian that lowers the resolving power of spectra.

    With R = lambda / FWHM, a Gaussian profile has the deviation c / (R sqrt(8 ln 2)), and those of
    profiles that follow each other add in quadrature.

    Parameters
    ----------
    resolving_power : numpy.ndarray
        At most `of_spectra`.
    of_spectra : float
        Resolving power that the spectra have already.
    """
    squared = 1 / np.asarray(resolving_power) ** 2 - 1 / of_spectra**2
    deviation: Floats = SPEED_OF_LIGHT / _FWHM * np.sqrt(squared)
    return deviation


def macroturbulence_deviation(zeta: Floats, of_spectra: float) -> Floats:
    """Return the deviation [km/s] of the Gaussian that raises the macroturbulence of spectra.

    Averaged over the disc, the velocities of radial-tangential macroturbulence zeta have the
    variance zeta^2 / 4 (Gray 2005, The Observation and Analysis of Stellar Photospheres, ch. 17).
    Their profile is not Gaussian, but the instrument's is wider.

    Parameters
    ----------
    zeta : numpy.ndarray
        [km/s], at least `of_spectra`.
    of_spectra : float
        Macroturbulence that the spectra have already [km/s].
    """
    deviation: Floats = np.sqrt(np.asarray(zeta) ** 2 - of_spectra**2) / 2
    return deviation


def broadened(flux: Spectra, wavelength: Floats, deviation: Floats, velocity: Floats) -> Spectra:
    """Return spectra broadened by Gaussians and shifted by velocities.

    Each detector is multiplied in Fourier space by exp(-2 pi^2 k^2 s^2 - 2 pi i k v), with s and v
    in pixels and k in cycles per pixel: exact for spectra without structure below two pixels. At
    its ends a detector is continued by its mirror image.

    Parameters
    ----------
    flux : numpy.ndarray [n, n_pixels], float32
    wavelength : numpy.ndarray [n_pixels]
    deviation : numpy.ndarray [n]
        Standard deviation of each Gaussian [km/s].
    velocity : numpy.ndarray [n]
        Shift towards longer wavelengths [km/s].

    Returns
    -------
    numpy.ndarray [n, n_pixels], float32
    """
    pixel = pixel_velocity(wavelength)
    s = np.asarray(deviation)[:, None] / pixel
    v = np.asarray(velocity)[:, None] / pixel
    result = np.empty_like(flux)
    for part in detectors(wavelength):
        n_pixels = part.stop - part.start
        length = _fast_length(n_pixels + 2 * _MARGIN)
        before = _MARGIN
        padded = np.pad(
            flux[:, part], ((0, 0), (before, length - n_pixels - before)), mode="symmetric"
        )
        k = np.fft.rfftfreq(length)
        transfer = np.exp(-2 * (np.pi * k * s) ** 2 - 2j * np.pi * k * v).astype(np.complex64)
        spectrum = np.fft.rfft(padded, axis=1)
        spectrum *= transfer
        result[:, part] = np.fft.irfft(spectrum, length, axis=1)[:, before : before + n_pixels]
    return result


def _fast_length(least: int) -> int:
    """Return a length of at least `least` whose Fourier transform is fast."""
    return min(m << max(0, (-(-least // m) - 1).bit_length()) for m in (8, 9, 10, 12, 15))


def recontinued(flux: Spectra, wavelength: Floats, level: Floats, tilt: Floats) -> Spectra:
    """Return spectra with an error of the continuum on each detector: f (1 + level + tilt x).

    x runs from -1 to 1 along the detector.

    Parameters
    ----------
    flux : numpy.ndarray [n, n_pixels], float32
    wavelength : numpy.ndarray [n_pixels]
    level, tilt : numpy.ndarray [n, n_detectors]
        Dimensionless.

    Returns
    -------
    numpy.ndarray [n, n_pixels], float32
    """
    result = np.empty_like(flux)
    for i, part in enumerate(detectors(wavelength)):
        x = np.linspace(-1, 1, part.stop - part.start)
        factor = 1 + level[:, i, None] + tilt[:, i, None] * x
        result[:, part] = flux[:, part] * factor.astype(np.float32)
    return result
