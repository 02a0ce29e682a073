"""Arcturus: its spectrum in an atlas, and what the literature says of it.

The atlas is that of Hinkle, Wallace & Livingston (1995, PASP 107, 1042), made with a Fourier
transform spectrometer; it is not part of this repository.
"""

from pathlib import Path

import numpy as np

from starbench.tasks.apogee_giants.population import ELEMENTS
from starbench.tasks.arrays import Floats
from starbench.tasks.synthesis.moog.spectrum import SPEED_OF_LIGHT, broadening
from starbench.tasks.synthesis.wavelengths import (
    RESOLVING_POWER,
    aspcap_wavelengths,
    vacuum_to_air,
)

# Ramirez & Allende Prieto (2011, ApJ 743, 135); they give no N and S: N of a giant after the first
# dredge-up, S like the other alpha elements.
TEFF, LOGG, METALLICITY = 4286.0, 1.66, -0.52  # K, dex (cgs), dex
RATIOS = {
    "C": 0.43, "N": 0.20, "O": 0.50, "Na": 0.11, "Mg": 0.37, "Al": 0.34, "Si": 0.33, "S": 0.30,
    "K": 0.20, "Ca": 0.11, "Ti": 0.27, "V": 0.20, "Cr": -0.05, "Mn": -0.21, "Co": 0.09, "Ni": 0.06,
}  # fmt: skip
MICROTURBULENCE, MACROTURBULENCE = 1.7, 5.5  # km/s
CARBON_ISOTOPES = 7.0  # 12C/13C

VELOCITY = 14.2  # km/s, by which the atlas is shifted to the red
ATLAS_RESOLVING_POWER = 100_000.0


def labels(changes: dict[str, float] | None = None) -> Floats:
    """Return the labels [19] of Arcturus; `changes` are added to its [X/Fe] [dex]."""
    changes = changes or {}
    ratios = [RATIOS[x] + changes.get(x, 0.0) for x in ELEMENTS]
    return np.array([TEFF, LOGG, METALLICITY, *ratios])


def read_atlas(path: Path) -> tuple[Floats, Floats]:
    """Return wavelengths [air Angstrom] at rest and flux over continuum.

    Parameters
    ----------
    path : pathlib.Path
        Text of two columns, the air wavelength as observed and the normalised flux; ``.gz`` too.
    """
    wavelength, flux = np.loadtxt(path, unpack=True)
    return wavelength / (1 + VELOCITY / SPEED_OF_LIGHT), flux


def on_pixels(wavelength: Floats, flux: Floats) -> Floats:
    """Return the atlas [7214] at the resolution of the task, on its pixels."""
    added = 1 / np.sqrt(RESOLVING_POWER**-2 - ATLAS_RESOLVING_POWER**-2)
    matrix = broadening(wavelength, vacuum_to_air(aspcap_wavelengths()), 0.0, added)
    degraded: Floats = 1 - matrix @ (1 - flux)
    return degraded
