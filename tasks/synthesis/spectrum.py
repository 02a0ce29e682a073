"""Synthesis of one star's spectrum: continuum-normalised flux on the ASPCAP pixels.

The labels are Teff [K], log g [dex, cgs], [Fe/H] and sixteen [X/Fe] [dex]. Abundances are on the
solar scale of Asplund et al. (2009, ARA&A 47, 481): A(X) = A_sun(X) + [Fe/H] + [X/Fe]; all other
elements but H and He follow [Fe/H]. Microturbulence follows APOGEE's relation. The metallicity
of the atmosphere is averaged over the elements that supply most free electrons, so that a
magnesium-rich star has a pressure consistent with its H- opacity.

The intensities at four angles are broadened on a logarithmic wavelength grid by radial-tangential
macroturbulence (Gray 2005: half the surface moves along the radius, half across it, Gaussian
velocities in both), which at each angle is a sum of two Gaussians, summed over the disc with
Gaussian weights, and convolved with a Gaussian of R = 22,500.
"""

import functools

import numpy as np
import pandas as pd

from starbench.tasks.apogee_giants.population import ELEMENTS, microturbulence
from starbench.tasks.arrays import Floats
from starbench.tasks.synthesis import engine
from starbench.tasks.synthesis.atmosphere import Atmospheres
from starbench.tasks.synthesis.lines import load_lines
from starbench.tasks.synthesis.wavelengths import (
    CHIPS,
    LOG_START,
    LOG_STEP,
    RESOLVING_POWER,
    vacuum_to_air,
)

LABEL_NAMES = ("Teff", "logg", "Fe/H", *(f"{x}/Fe" for x in ELEMENTS))
MACROTURBULENCE = 3.0  # km/s
SPEED_OF_LIGHT = 299_792.458  # km/s

# The transfer equation is solved at this many points per pixel of the apStar grid (4.14 km/s,
# 0.22 A): every 0.074 A.
OVERSAMPLING = 3
ANGLES = 4
# Pixels beyond a chip's edge that the broadening needs (4.5 sigma of the instrument).
MARGIN = 8

ELECTRON_DONORS = ("Na", "Mg", "Al", "Si", "Ca", "Fe")


def abundances(labels: Floats) -> Floats:
    """Return log10 (N_X / N_H) + 12 of the 99 elements for labels [19]."""
    symbols = engine.element_symbols()
    values = engine.solar_abundances()
    values[2:] += labels[2]
    for element, ratio in zip(ELEMENTS, labels[3:], strict=True):
        values[symbols.index(element)] += ratio
    return values


def atmosphere_metallicity(values: Floats) -> float:
    """Return the mean [M/H] [dex] of the `ELECTRON_DONORS`, by number, for abundances [99]."""
    index = [engine.element_symbols().index(x) for x in ELECTRON_DONORS]
    total = (10 ** np.stack([values[index], engine.solar_abundances()[index]])).sum(axis=1)
    return float(np.log10(total[0] / total[1]))


def disc_angles(count: int) -> tuple[Floats, Floats]:
    """Return `count` cosines and the weights that turn intensities into flux.

    Gauss-Legendre in mu squared.
    """
    node, weight = np.polynomial.legendre.leggauss(count)
    return np.sqrt((node + 1) / 2), weight / 2


def broaden(
    line: Floats,
    continuum: Floats,
    mu: Floats,
    weight: Floats,
    step: float,
    macroturbulence: float = MACROTURBULENCE,
    resolving_power: float = RESOLVING_POWER,
) -> Floats:
    """Broaden intensities, sum them over the disc and divide by the continuum's flux.

    Parameters
    ----------
    line, continuum : numpy.ndarray [n_mu, n]
        Intensities with and without lines on a grid uniform in ln wavelength.
    mu, weight : numpy.ndarray [n_mu]
        As `disc_angles` returns them.
    step : float
        Step of the grid in ln wavelength.
    macroturbulence : float
        Radial-tangential macroturbulence zeta [km/s]: velocities of standard deviation zeta / sqrt
        2.
    resolving_power : float
        Wavelength over the full width at half maximum of the instrument's profile.

    Returns
    -------
    numpy.ndarray [n]
        Normalised flux; near either end the edge value is assumed to continue.
    """
    instrument = 1 / (resolving_power * 2 * np.sqrt(2 * np.log(2)))
    zeta = macroturbulence / SPEED_OF_LIGHT / np.sqrt(2)
    pad = 64
    padded = np.pad(line, ((0, 0), (pad, pad)), mode="edge")
    frequency = 2 * np.pi * np.fft.rfftfreq(padded.shape[1], step)

    def transform(variance: float | Floats) -> Floats:
        transformed: Floats = np.exp(-0.5 * frequency**2 * variance)
        return transformed

    radial = transform((zeta * mu[:, None]) ** 2)
    tangential = transform(zeta**2 * (1 - mu[:, None] ** 2))
    kernel = 0.5 * (radial + tangential) * transform(instrument**2)
    smooth = np.fft.irfft(np.fft.rfft(padded) * kernel, padded.shape[1])[:, pad:-pad]
    flux: Floats = weight @ smooth / (weight @ continuum)
    return flux


@functools.cache
def _ingredients() -> tuple[pd.DataFrame, Atmospheres]:
    return load_lines(), Atmospheres()


def _synthesise(
    labels: Floats, oversampling: int, angles: int, threshold: float, reach: float
) -> Floats:
    lines, atmospheres = _ingredients()
    teff, logg = labels[:2]
    values = abundances(labels)
    temperature, pressure = atmospheres(teff, logg, atmosphere_metallicity(values))
    vmic = float(microturbulence(logg))
    engine.set_model(teff, logg, vmic, temperature, pressure, values, lines)
    mu, weight = disc_angles(angles)
    pixels = [
        np.arange((first - MARGIN) * oversampling, (last - 1 + MARGIN) * oversampling + 1)
        for first, last in CHIPS
    ]
    vacuum = 10 ** (LOG_START + LOG_STEP * np.concatenate(pixels) / oversampling)
    line, continuum = engine.intensities(vacuum_to_air(vacuum), mu, lines, threshold, reach)
    chips = np.cumsum([len(pixel) for pixel in pixels])[:-1]
    step = np.log(10) * LOG_STEP / oversampling
    flux = [
        broaden(*chip, mu, weight, step)[
            MARGIN * oversampling : -MARGIN * oversampling : oversampling
        ]
        for chip in zip(
            np.split(line, chips, axis=1), np.split(continuum, chips, axis=1), strict=True
        )
    ]
    return np.concatenate(flux)


def synthesise(
    labels: Floats,
    oversampling: int = OVERSAMPLING,
    angles: int = ANGLES,
    threshold: float = engine.LINE_THRESHOLD,
    reach: float = engine.HYDROGEN_REACH,
) -> Floats:
    """Return the continuum-normalised flux of one star.

    Parameters
    ----------
    labels : numpy.ndarray [19]
        Teff [K], log g [dex, cgs], [Fe/H] and [X/Fe] [dex] in the order of `LABEL_NAMES`.
    oversampling : int
        Points of the transfer grid per pixel.
    angles : int
        Angles on the disc.
    threshold, reach : float
        See `starbench.tasks.synthesis.engine`.

    Returns
    -------
    numpy.ndarray [7214], float64
        Flux over continuum on the pixels of `aspcap_wavelengths`.

    Raises
    ------
    EngineError
        If the engine fails, or its result is not a normalised spectrum.
    """
    _ingredients()  # read in the parent; the forked process inherits them
    arguments = (np.asarray(labels, float), oversampling, angles, threshold, reach)
    flux = engine.isolated(_synthesise, *arguments)
    if not (np.isfinite(flux).all() and flux.min() > 0 and flux.max() < 1.01):
        raise engine.EngineError(
            f"the flux should lie in 0-1.01 but ranges from {flux.min():.3g} to {flux.max():.3g}"
        )
    return flux
