"""The pseudo-continuum of ASPCAP, by which spectra in flux units are divided.

The recipe is that of ASPCAP (García Pérez et al. 2016, AJ 151, 144): on each detector a polynomial
of fourth order, fitted anew to the pixels that lie from 0.1 standard deviations of the residuals
below the last fit to 3 above it, so that it rises to the upper envelope of the spectrum. With three
fits the spectra of two apStar files of data release 13 agree with their aspcapStar files to 3 % in
level and 0.7 % in shape, so that both kinds can stand in one survey.
"""

import itertools

import numpy as np

from starbench.common.parallel import in_parts
from starbench.tasks.arrays import Floats, Spectra

ORDER, FITS, BELOW, ABOVE = 4, 3, 0.1, 3.0
RECIPE = (
    f"ASPCAP (Garcia Perez et al. 2016): on each detector a polynomial of order {ORDER}, fitted "
    f"{FITS} times, to pixels from {BELOW:g} sigma below to {ABOVE:g} sigma above the last fit"
)
_GAP = 10  # steps between pixels that part two detectors
_FEWEST = 20  # pixels that a fit needs on a detector
_PART = 64  # spectra that are worth a thread


def pseudo_continuum(wavelength: Floats, flux: Spectra, error: Spectra) -> Floats:
    """Return the pseudo-continuum of spectra.

    Parameters
    ----------
    wavelength : numpy.ndarray [n_pixels]
        Increasing; wide gaps part the detectors.
    flux, error : numpy.ndarray [n, n_pixels], float32
        The error is infinite in masked pixels.

    Returns
    -------
    numpy.ndarray [n, n_pixels], float64
        NaN on detectors of which too little is measured.
    """
    continuum = np.full(flux.shape, np.nan)
    for detector in detectors(wavelength):
        x = wavelength[detector]
        x = 2 * (x - x[0]) / (x[-1] - x[0]) - 1 if len(x) > 1 else np.zeros(1)
        continuum[:, detector] = _fit(x, flux[:, detector], error[:, detector])
    return continuum


def detectors(wavelength: Floats) -> list[slice]:
    """Return the ranges of pixels between wide gaps.

    Examples
    --------
    >>> detectors(np.array([1.0, 2.0, 3.0, 4.0, 40.0, 41.0]))
    [slice(0, 4, None), slice(4, 6, None)]
    """
    steps = np.diff(wavelength)
    ends = np.flatnonzero(steps > _GAP * np.median(steps)) + 1 if len(steps) else steps
    bounds = [0, *(int(end) for end in ends), len(wavelength)]
    return [slice(start, stop) for start, stop in itertools.pairwise(bounds)]


def normalised(wavelength: Floats, flux: Spectra, error: Spectra) -> tuple[Spectra, Spectra]:
    """Return flux and error divided by the pseudo-continuum; what has none is masked.

    Parameters
    ----------
    wavelength, flux, error
        As for `pseudo_continuum`.
    """
    continuum = pseudo_continuum(wavelength, flux, error)
    usable = np.isfinite(continuum) & (continuum > 0)
    divisor = np.where(usable, continuum, 1)
    error = np.where(usable, error / divisor, np.inf).astype(np.float32)
    flux = np.where(np.isfinite(error), flux / divisor, 1).astype(np.float32)
    return flux, error


def _fit(x: Floats, flux: Spectra, error: Spectra) -> Floats:
    """Return the fits [n, n_pixels] to one detector, x from -1 to 1; NaN where too few pixels.

    Each spectrum is fitted alone: its fit does not depend, in any bit, on those beside it.
    """
    # The normal equations in Chebyshev polynomials need only their sums up to twice the order, as
    # T_i T_j = (T_{i+j} + T_{|i-j|}) / 2.
    polynomials = np.ascontiguousarray(np.polynomial.chebyshev.chebvander(x, 2 * ORDER).T)
    basis, terms = polynomials[: ORDER + 1], np.arange(ORDER + 1)
    sums, differences = terms[:, None] + terms, abs(terms[:, None] - terms)
    # A detector with a hole may not determine all orders.
    ridge = 1e-10 * len(x) * np.eye(ORDER + 1)
    used = np.isfinite(error).astype(np.float64)
    values = np.where(used, flux, 0).astype(np.float64)  # masked pixels hold anything
    fit = np.full(flux.shape, np.nan)
    moments = np.empty((len(flux), 2 * ORDER + 1))
    right = np.empty((len(flux), ORDER + 1, 1))

    def prepare(rows: range) -> None:
        for i in rows:
            moments[i] = polynomials @ used[i]
            right[i, :, 0] = basis @ (values[i] * used[i])

    def clip(rows: range) -> None:
        for i in rows:
            if solved[i]:
                fit[i] = solution[i, :, 0] @ basis
                residual = values[i] - fit[i]
                mean = (residual @ used[i]) / moments[i, 0]
                scatter = np.sqrt(((residual - mean) ** 2) @ used[i] / moments[i, 0])
                used[i] *= (residual >= -BELOW * scatter) & (residual <= ABOVE * scatter)

    for _ in range(FITS):
        in_parts(prepare, len(flux), _PART)
        solved = moments[:, 0] >= _FEWEST  # of others the last fit stands
        if not solved.any():
            break
        normal = (moments[:, sums] + moments[:, differences]) / 2 + ridge
        solution = np.linalg.solve(normal, right)
        in_parts(clip, len(flux), _PART)
    return fit
