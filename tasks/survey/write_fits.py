"""A star as a FITS file of the structure of APOGEE's aspcapStar files, which `apogee` reads.

Extension 1 is the flux on the apStar grid, 2 its error, 3 the best model (zeros: there is none), 4
a table with PARAM and the labels. A masked pixel has the flux 0 and the error 1e10; the gaps
between detectors have 0 in both.
"""

from pathlib import Path

import numpy as np
import numpy.typing as npt

from starbench.tasks.errors import DataError
from starbench.tasks.storage.about import About
from starbench.tasks.survey.apogee import GROUP, MARK, NUISANCES, PARAM, SPLIT
from starbench.tasks.survey.labels import column_name
from starbench.tasks.survey.tables import MISSING
from starbench.tasks.survey.write import Stars
from starbench.tasks.synthesis.wavelengths import LOG_START, LOG_STEP

N_PIXELS = 8575
_MASKED = 1e10
_OFF = 0.02  # of a pixel


def grid_pixels(about: About) -> npt.NDArray[np.int64]:
    """Return the pixels of the apStar grid that the wavelengths are.

    Raises
    ------
    DataError
        If they are not on that grid.
    """
    place = (np.log10(about.wavelength) - LOG_START) / LOG_STEP
    pixels = np.round(place).astype(np.int64)
    if (np.abs(place - pixels) > _OFF).any() or pixels.min() < 0 or pixels.max() >= N_PIXELS:
        raise DataError(
            "FITS files of APOGEE's kind hold only pixels of its grid, which these spectra do not "
            "have; give --format hdf5 or parquet."
        )
    return pixels


def write_stars(
    folder: Path, split: str, first: int, stars: Stars, about: About, pixels: npt.NDArray[np.int64]
) -> None:
    """Write a file for each star.

    Parameters
    ----------
    folder : pathlib.Path
    split : str
    first : int
        Number of the first star in its split; names of files keep the order.
    stars : Stars
        With errors.
    about : About
    pixels : numpy.ndarray
        Of `grid_pixels`.
    """
    from astropy.io import fits

    assert stars.error is not None  # as the caller has checked
    for row in range(len(stars.flux)):
        measured = np.isfinite(stars.error[row])
        flux, error = np.zeros((2, N_PIXELS), np.float32)
        flux[pixels] = np.where(measured, stars.flux[row], 0)
        error[pixels] = np.where(measured, stars.error[row], _MASKED)
        primary = fits.PrimaryHDU()
        primary.header.update(
            {
                MARK: (True, "written by starbench data export"),
                "OBJ": stars.identifier[row],
                SPLIT: split,
                GROUP: (int(stars.group[row]), "equal numbers are siblings"),
                NUISANCES: ",".join(about.nuisance_names),
                "VRAD": (0.0, "Doppler shift of this spectrum (km/s)"),
            }
        )
        images = [fits.ImageHDU(image) for image in (flux, error, np.zeros_like(flux))]
        for image in images:
            image.header.update(
                {
                    **{"CRVAL1": LOG_START, "CDELT1": LOG_STEP, "CRPIX1": 1},
                    **{"CTYPE1": "LOG-LINEAR", "DC-FLAG": 1},
                }
            )
        table = fits.BinTableHDU.from_columns(_columns(fits, stars, row, about))
        file = fits.HDUList([primary, *images, table])
        file.writeto(folder / f"aspcapStar-starbench-{first + row:07d}.fits")


def _columns(fits: object, stars: Stars, row: int, about: About) -> list[object]:
    param = np.full((1, 9), MISSING - 9, np.float32)
    values: dict[str, float] = {}
    for number, name in enumerate(about.nuisance_names):
        values[column_name(name)] = stars.nuisance[row, number]
        if column_name(name) in PARAM:
            param[0, PARAM[column_name(name)]] = stars.nuisance[row, number]
        if stars.nuisance_error is not None:
            values[f"{column_name(name)}_err"] = stars.nuisance_error[row, number]
    if stars.composition is not None:
        for number, name in enumerate(about.elements):
            values[column_name(name)] = stars.composition[row, number]
    make = fits.Column  # type: ignore[attr-defined]  # astropy has no types
    identifier = stars.identifier[row]
    return [
        make("APOGEE_ID", f"{max(18, len(identifier.encode()))}A", array=[identifier]),
        make("PARAM", "9E", array=param),
        *(make(name, "E", array=np.array([value], np.float32)) for name, value in values.items()),
    ]
