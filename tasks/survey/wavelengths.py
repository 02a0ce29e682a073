"""Wavelengths as files give them, to Angstrom in vacuum."""

import unicodedata

import numpy as np

from starbench.tasks.arrays import Floats
from starbench.tasks.errors import DataError
from starbench.tasks.synthesis.wavelengths import air_to_vacuum, vacuum_to_air

UNITS = {
    "angstrom": 1.0,
    "angstroms": 1.0,
    "angstroem": 1.0,
    "ångström": 1.0,
    "ångstrom": 1.0,
    "ang": 1.0,
    "a": 1.0,
    "aa": 1.0,
    "å": 1.0,
    "nm": 10.0,
    "nanometer": 10.0,
    "nanometers": 10.0,
    "nanometre": 10.0,
    "nanometres": 10.0,
    "um": 1e4,
    "\u03bcm": 1e4,  # the Greek letter, which also stands for the micro sign
    "micron": 1e4,
    "microns": 1e4,
    "micrometer": 1e4,
    "micrometers": 1e4,
    "micrometre": 1e4,
    "micrometres": 1e4,
    "m": 1e10,
}
"""Length of units in Angstrom, by their names in lower case and Unicode's form NFKC."""
LOG = "log10"
"""The unit of log10 of Angstrom."""
_NEAR = 0.05  # of a pixel: the median offset of grids that are the same but for rounding


def vacuum_angstrom(
    values: np.ndarray,
    unit: str,
    medium: str,
    place: str,
    advice: str = "give --wavelength-unit angstrom, nm, um or log10",
) -> Floats:
    """Return wavelengths in Angstrom in vacuum.

    Parameters
    ----------
    values : numpy.ndarray [n]
    unit : str
        A name in `UNITS`, or ``log10``.
    medium : str
        ``vacuum``, ``air`` or ``unknown``, which is taken as vacuum.
    place : str
        What they belong to, for the error message.
    advice : str
        What to do about an unknown unit, for the error message.

    Raises
    ------
    DataError
        If the unit is not known, or they do not increase from above 0.

    Examples
    --------
    >>> vacuum_angstrom(np.array([1600.0, 1600.1]), "nm", "air", "example").round(3)
    array([16004.372, 16005.372])
    """
    values = np.asarray(values, np.float64)
    name = unicodedata.normalize("NFKC", unit).strip().lower()
    if name == LOG:
        with np.errstate(over="ignore"):  # of wavelengths in another unit; refused below
            values = 10**values
    elif name in UNITS:
        values = values * UNITS[name]
    else:
        raise DataError(f"{place} has wavelengths in {unit!a}; {advice}.")
    if not np.isfinite(values).all() or not (np.diff(values) > 0).all() or len(values) < 2:
        raise DataError(
            f"{place} has wavelengths that do not increase; sort its pixels by wavelength."
        )
    if values[0] <= 0:
        raise DataError(
            f"{place} has wavelengths of {values[0]:.6g} Angstrom; correct those that are not "
            "above 0."
        )
    return air_to_vacuum(values) if medium == "air" else values


def fits_in(medium: str, wavelength: Floats, target: Floats) -> bool:
    """Return whether wavelengths would be those of other pixels if they were in another medium.

    Parameters
    ----------
    medium : {"air", "vacuum"}
        In which they would be, instead of the other.
    wavelength, target : numpy.ndarray [n], [n_target]
        Increasing, in Angstrom.

    Examples
    --------
    >>> target = 16000 + 0.2 * np.arange(100)
    >>> fits_in("air", vacuum_to_air(target), target), fits_in("air", target + 0.1, target)
    (True, False)
    """
    moved = air_to_vacuum(wavelength) if medium == "air" else vacuum_to_air(wavelength)
    moved = moved[(moved >= target[0]) & (moved <= target[-1])]
    if len(moved) < 2 or len(target) < 2:
        return False
    after = np.clip(np.searchsorted(target, moved), 1, len(target) - 1)
    offset = np.minimum(np.abs(target[after] - moved), np.abs(moved - target[after - 1]))
    return bool(np.median(offset / (target[after] - target[after - 1])) < _NEAR)


def likely_unit(wavelength: Floats, target: Floats) -> str | None:
    """Return the unit in which wavelengths that were taken as Angstrom would overlap others.

    Examples
    --------
    >>> likely_unit(np.array([1510.0, 1690.0]), np.array([15100.0, 16900.0]))
    'nm'
    """
    low, high = float(wavelength[0]), float(wavelength[-1])
    for unit in ("nm", "um", LOG):
        ends = (low, high) if unit == LOG else (low * UNITS[unit], high * UNITS[unit])
        if unit == LOG:
            if high > 10:
                continue
            ends = (10**low, 10**high)
        if ends[0] < target[-1] and ends[1] > target[0]:
            return unit
    return None
