"""A star as a FITS file of the structure of APOGEE's aspcapStar files, which `apogee` reads.

Extension 1 is the flux on the apStar grid, 2 its error, 3 the best model (zeros: there is none), 4
a table with PARAM and the labels, 5 the ranges of the grid that are pixels of the survey. A masked
pixel has the flux 0 and the error 1e10; what is no pixel of the survey, such as the gaps between
detectors, has 0 in both.
"""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from starbench.tasks.errors import DataError
from starbench.tasks.storage.about import About
from starbench.tasks.survey.apogee_formats import (
    GROUP,
    MARK,
    MASKED,
    NUISANCES,
    PARAM,
    PIXELS,
    SPLIT,
    SURVEY,
)
from starbench.tasks.survey.labels import column_name
from starbench.tasks.survey.tables import MISSING
from starbench.tasks.survey.wavelengths import vacuum_angstrom
from starbench.tasks.survey.write import Stars
from starbench.tasks.synthesis.wavelengths import LOG_START, LOG_STEP

N_PIXELS = 8575
_OFF = 0.02  # of a pixel


def grid_pixels(about: About) -> npt.NDArray[np.int64]:
    """Return the pixels of the apStar grid that the wavelengths are.

    Raises
    ------
    DataError
        If they are not on that grid.
    """
    wavelength = vacuum_angstrom(
        about.wavelength,
        about.wavelength_unit,
        about.wavelength_medium,
        "The survey",
        "correct their unit to Angstrom, nm, um or log10, or give --format hdf5",
    )
    place = (np.log10(wavelength) - LOG_START) / LOG_STEP
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
    assert stars.error is not None  # as the caller has checked
    labels = [_labels(stars, row, about) for row in range(len(stars.flux))]
    width = max(18, *(len(name.encode()) for name in stars.identifier))
    # astropy takes longer to make headers than to write spectra, so all stars share theirs.
    file = _file(split, stars, about, list(labels[0]), width, pixels)
    primary, flux, error, _, table = file[:5]
    for row, values in enumerate(labels):
        measured = np.isfinite(stars.error[row])
        flux.data[pixels] = np.where(measured, stars.flux[row], 0)
        error.data[pixels] = np.where(measured, stars.error[row], MASKED)
        primary.header["OBJ"] = stars.identifier[row]
        primary.header[GROUP] = int(stars.group[row])
        table.data["APOGEE_ID"] = stars.identifier[row]
        for name, value in values.items():
            table.data[name] = value
            if name in PARAM:
                table.data["PARAM"][0, PARAM[name]] = value
        path = folder / f"aspcapStar-starbench-{first + row:07d}.fits"
        file.writeto(path, output_verify="ignore" if row else "exception")


def _file(
    split: str,
    stars: Stars,
    about: About,
    labels: list[str],
    width: int,
    pixels: npt.NDArray[np.int64],
) -> Any:
    """Return the HDUs of a star, to be filled."""
    from astropy.io import fits

    primary = fits.PrimaryHDU()
    primary.header.update(
        {
            MARK: (True, "written by starbench data export"),
            "OBJ": stars.identifier[0],
            SPLIT: split,
            GROUP: (int(stars.group[0]), "equal numbers are siblings"),
            NUISANCES: ",".join(about.nuisance_names),
            SURVEY: (str(about.facts.get("fingerprint", "")), "fingerprint of the survey"),
            "VRAD": (0.0, "Doppler shift of this spectrum (km/s)"),
        }
    )
    images = [fits.ImageHDU(np.zeros(N_PIXELS, np.float32)) for _ in range(3)]
    for image in images:
        image.header.update(
            {
                **{"CRVAL1": LOG_START, "CDELT1": LOG_STEP, "CRPIX1": 1},
                **{"CTYPE1": "LOG-LINEAR", "DC-FLAG": 1},
            }
        )
    param = np.full((1, 9), MISSING - 9, np.float32)
    columns = [
        fits.Column("APOGEE_ID", f"{width}A", array=[""]),
        fits.Column("PARAM", "9E", array=param),
        *(fits.Column(name, "E", array=np.zeros(1, np.float32)) for name in labels),
    ]
    table = fits.BinTableHDU.from_columns(columns)
    ends = np.flatnonzero(np.diff(pixels) != 1)
    ranges = np.stack([pixels[[0, *(ends + 1)]], pixels[[*ends, -1]] + 1], axis=1)
    used = fits.ImageHDU(ranges.astype(np.int16), name=PIXELS)
    return fits.HDUList([primary, *images, table, used])


def _labels(stars: Stars, row: int, about: About) -> dict[str, np.float32]:
    """Return the labels of a star by column."""
    values = {}
    for number, name in enumerate(about.nuisance_names):
        values[column_name(name)] = stars.nuisance[row, number]
        if stars.nuisance_error is not None:
            values[f"{column_name(name)}_err"] = stars.nuisance_error[row, number]
    if stars.composition is not None:
        for number, name in enumerate(about.elements):
            values[column_name(name)] = stars.composition[row, number]
    return values
