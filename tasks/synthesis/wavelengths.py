"""The 7,214 pixels of the ASPCAP grid (DR12), and wavelengths in vacuum and air."""

import numpy as np

from starbench.tasks.arrays import Floats

# log10 of the first vacuum wavelength [Angstrom] of the apStar grid, and its step [dex]
LOG_START, LOG_STEP = 4.179, 6e-6
# ASPCAP's pixels on that grid: [first, past last) of each of the three chips
CHIPS = ((322, 3242), (3648, 6048), (6412, 8306))
RESOLVING_POWER = 22_500.0


def aspcap_wavelengths() -> Floats:
    """Return the vacuum wavelengths [7214] of the pixels, in Angstrom, ascending."""
    return 10 ** (LOG_START + LOG_STEP * np.concatenate([np.arange(*chip) for chip in CHIPS]))


def _refractivity(vacuum: Floats) -> Floats:
    """Return n - 1 of standard air at a vacuum wavelength [Angstrom].

    Birch & Downs 1994 as VALD uses it.
    """
    s2 = (1e4 / vacuum) ** 2
    return 8.34254e-5 + 2.406147e-2 / (130 - s2) + 1.5998e-4 / (38.9 - s2)


def vacuum_to_air(vacuum: Floats) -> Floats:
    """Convert vacuum wavelengths [Angstrom] to those in standard air."""
    return vacuum / (1 + _refractivity(vacuum))


def air_to_vacuum(air: Floats) -> Floats:
    """Invert `vacuum_to_air` to 1e-9 A."""
    vacuum = air * (1 + _refractivity(air))
    return air * (1 + _refractivity(vacuum))
