"""Synthesis of one star by the second generator, with the interface of the first.

The labels, the solar scale, the microturbulence, the macroturbulence and the resolution are those
of `starbench.tasks.synthesis.spectrum`. MOOG returns fluxes, not intensities, so that the
macroturbulence is that of a disc without limb darkening.
"""

import functools
from collections.abc import Mapping, Sequence

import numpy as np
import scipy.sparse

from starbench.tasks.apogee_giants.population import ELEMENTS, microturbulence
from starbench.tasks.arrays import Floats
from starbench.tasks.synthesis.moog import engine
from starbench.tasks.synthesis.moog.atmosphere import ALPHA_ELEMENTS, ALPHA_RANGE, atmosphere
from starbench.tasks.synthesis.moog.lines import load_hydrogen, load_lines, moog_format
from starbench.tasks.synthesis.wavelengths import (
    RESOLVING_POWER,
    aspcap_wavelengths,
    vacuum_to_air,
)

SPEED_OF_LIGHT = 299_792.458  # km/s
MACROTURBULENCE = 3.0  # km/s
CARBON_ISOTOPES = 15.0  # 12C/13C, as in the first generator

# log10 (N_X / N_H) + 12 in the Sun (Asplund et al. 2009, ARA&A 47, 481)
SUN = {
    "C": 8.43, "N": 7.83, "O": 8.69, "Na": 6.24, "Mg": 7.60, "Al": 6.45, "Si": 7.51, "S": 7.12,
    "K": 5.03, "Ca": 6.34, "Ti": 4.95, "V": 3.93, "Cr": 5.64, "Mn": 5.43, "Fe": 7.50, "Co": 4.99,
    "Ni": 6.22,
}  # fmt: skip

_ANGLES = 8


def alpha_enhancement(ratios: Mapping[str, float]) -> float:
    """Return [alpha/Fe] [dex] of an atmosphere: the mean of Mg, Si and Ca by number.

    Parameters
    ----------
    ratios : dict of str to float
        [X/Fe] [dex] of each element; those besides Mg, Si and Ca supply next to no electrons.

    Examples
    --------
    >>> round(alpha_enhancement({"Mg": 0.3, "Si": 0.3, "Ca": 0.3, "S": 1.0}), 9)
    0.3
    """
    logarithms = np.array([(SUN[x], SUN[x] + ratios[x]) for x in ALPHA_ELEMENTS])
    solar, own = (10**logarithms).sum(axis=0)
    return float(np.log10(own / solar))


def star(
    labels: Sequence[float] | Floats,
    vmic: float | None = None,
    carbon_isotopes: float = CARBON_ISOTOPES,
) -> engine.Star:
    """Return what MOOG needs for labels [19] in the order of `spectrum.LABEL_NAMES`.

    Parameters
    ----------
    labels : numpy.ndarray [19]
        Teff [K], log g [dex, cgs], [Fe/H] and sixteen [X/Fe] [dex].
    vmic : float, optional
        Microturbulence [km/s]; by default APOGEE's relation.
    carbon_isotopes : float
        12C/13C.
    """
    teff, logg, metallicity = (float(x) for x in labels[:3])
    ratios = dict(zip(ELEMENTS, map(float, labels[3:]), strict=True))
    alpha = float(np.clip(alpha_enhancement(ratios), *ALPHA_RANGE))
    if vmic is None:
        vmic = float(microturbulence(np.array([logg]))[0])
    return engine.Star(
        atmosphere(teff, logg, metallicity, alpha),
        vmic,
        metallicity,
        {x: solar + metallicity + ratios.get(x, 0.0) for x, solar in SUN.items()},
        carbon_isotopes,
    )


def broadening(
    source: Floats, target: Floats, macroturbulence: float, resolving_power: float
) -> scipy.sparse.csr_matrix:
    """Return the matrix that broadens line depths and samples them.

    The profile is that of the first generator: radial-tangential macroturbulence, averaged over the
    disc, convolved with a Gaussian instrument. It is a sum of Gaussians in ln wavelength.

    Parameters
    ----------
    source : numpy.ndarray [n]
        Wavelengths of the depths, evenly spaced and fine enough to resolve them.
    target : numpy.ndarray [m]
        Wavelengths of the result, in the same medium.
    macroturbulence : float
        In km/s.
    resolving_power : float
        Wavelength over the full width at half maximum of the instrument's profile.

    Returns
    -------
    scipy.sparse.csr_matrix [m, n]
    """
    instrument = 1 / (resolving_power * 2 * np.sqrt(2 * np.log(2)))
    zeta = macroturbulence / SPEED_OF_LIGHT / np.sqrt(2)
    node, weight = np.polynomial.legendre.leggauss(_ANGLES)
    mu_squared, weight = (node + 1) / 2, weight / 2
    sigma = np.sqrt(
        instrument**2 + zeta**2 * np.concatenate([mu_squared, 1 - mu_squared])
    )  # radial and tangential parts
    weight = np.concatenate([weight, weight]) / 2

    ln_source, ln_target = np.log(source), np.log(target)
    reach = 5 * sigma.max()
    start = np.searchsorted(ln_source, ln_target - reach)
    count = int((np.searchsorted(ln_source, ln_target + reach) - start).max())
    column = start[:, None] + np.arange(count)
    inside = column < len(source)
    column = np.minimum(column, len(source) - 1)
    offset = ln_target[:, None] - ln_source[column]
    values = np.zeros_like(offset)
    for width, part in zip(sigma, weight, strict=True):
        values += part / width * np.exp(-0.5 * (offset / width) ** 2)
    values *= np.gradient(ln_source)[column] / np.sqrt(2 * np.pi)
    values[~inside | (np.abs(offset) > reach)] = 0
    row = np.repeat(np.arange(len(target)), count)
    shape = (len(target), len(source))
    matrix = scipy.sparse.csr_matrix((values.ravel(), (row, column.ravel())), shape)
    matrix.eliminate_zeros()
    return matrix


@functools.cache
def line_lists(corrected: bool = True) -> tuple[str, str]:
    """Return the line list, as fitted to Arcturus or as it was before, and the Brackett lines."""
    lines = load_lines()
    if not corrected:
        lines = lines[lines["origin"] == "list"]
    return moog_format(lines, None if corrected else 0.0), load_hydrogen()


@functools.cache
def to_pixels(
    step: float = engine.STEP, macroturbulence: float = MACROTURBULENCE
) -> scipy.sparse.csr_matrix:
    """Return the matrix from MOOG's line depths to those of the task's pixels."""
    pixels = vacuum_to_air(aspcap_wavelengths())
    return broadening(engine.grid(step), pixels, macroturbulence, RESOLVING_POWER)


def synthesise(
    labels: Floats,
    step: float = engine.STEP,
    reach: float = engine.REACH,
    *,
    corrected: bool = True,
) -> Floats:
    """Return the continuum-normalised flux of one star.

    Parameters
    ----------
    labels : numpy.ndarray [19]
        Teff [K], log g [dex, cgs], [Fe/H] and [X/Fe] [dex] in the order of
        `starbench.tasks.synthesis.spectrum.LABEL_NAMES`.
    step, reach : float
        See `starbench.tasks.synthesis.moog.engine`.
    corrected : bool
        Use the line list as it was fitted to Arcturus, not as it was before.

    Returns
    -------
    numpy.ndarray [7214], float64
        Flux over continuum on the pixels of `aspcap_wavelengths`.

    Raises
    ------
    EngineError
        If MOOG fails, or its result is not a normalised spectrum.
    """
    flux = engine.spectrum(star(labels), *line_lists(corrected), step, reach)
    broadened: Floats = 1 - to_pixels(step) @ (1 - flux)
    return broadened
