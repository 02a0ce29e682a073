"""APOGEE's files of single stars: apStar, aspcapStar, mwmStar and mwmVisit.

In all of them the spectra are in the rest frame of the star and in vacuum, on the grid of apStar
files: log10 of the wavelength from 4.179 in steps of 6e-6. apStar files hold combined spectra in
their first two rows and then each visit, shifted to rest before it was resampled (Nidever et al.
2015, AJ 150, 173); a star with one visit has that row alone. mwmStar and mwmVisit files of SDSS-V
hold a table for each spectrograph, with rows for combined spectra and for visits. aspcapStar files
hold the combined spectrum, divided by ASPCAP's pseudo-continuum.
"""

from typing import TYPE_CHECKING, Any

import numpy as np

from starbench.tasks.arrays import Floats, Spectra
from starbench.tasks.errors import DataError
from starbench.tasks.storage.about import MAX_PIXELS
from starbench.tasks.survey.labels import column_name
from starbench.tasks.survey.pixel_bits import is_bad
from starbench.tasks.survey.spectra import Piece
from starbench.tasks.survey.tables import MISSING, native, text
from starbench.tasks.survey.wavelengths import vacuum_angstrom

if TYPE_CHECKING:
    from astropy.io.fits import HDUList, Header

# Keywords of files that starbench wrote: that it did, the split, the group, names of nuisances,
# the fingerprint of the survey.
MARK, SPLIT, GROUP, NUISANCES, SURVEY = "STARBNCH", "SPLIT", "GROUP", "NUISANCE", "SURVEY"
PIXELS = "PIXELS"
"""Extension of such files with the first pixel of each range of the survey's, and that after it."""
MASKED = 1e10
"""Error of a masked pixel in such files; APOGEE too gives it to a pixel without data."""
_BIG_ERROR = 1e9
# Columns of PARAM and FPARAM by the nuisance they hold.
PARAM = {"teff": 0, "logg": 1, "m_h": 3, "vsini": 7}
# Keywords of the headers of apStar files, before and since data release 16.
_VELOCITY_CODE = {
    "teff": ("RVTEFF", "RV_TEFF"),
    "logg": ("RVLOGG", "RV_LOGG"),
    "m_h": ("RVFEH", "RV_FEH"),
    "fe_h": ("RVFEH", "RV_FEH"),
}
ORIGINS = ("PARAM (ASPCAP, calibrated)", "RV code", "FPARAM (ASPCAP, not calibrated)")
"""Where labels of these files come from, the best first."""
# Bits of ASPCAPFLAG: TEFF_BAD, LOGG_BAD and STAR_BAD (Jonsson et al. 2020, AJ 160, 120, table 7).
_BAD_LABELS = 1 << 16 | 1 << 17 | 1 << 23


def kind_of(file: "HDUList") -> str | None:
    """Return the kind of a file, from its headers alone: astropy takes long to read columns."""
    header = file[0].header
    if MARK in header:
        return "starbench"
    if "V_ASTRA" in header or "SDSS_ID" in header:
        return "mwm"
    if len(file) < 4 or any(unit.header.get("NAXIS", 0) < 1 for unit in file[1:4]):
        return None
    if "NVISITS" in header and "OBJID" in header and file[3].header["BITPIX"] in (16, 32, 64):
        return "apStar"
    if len(file) > 4 and "PARAM" in file[4].header["TTYPE*"].values():
        return "aspcapStar"
    return None


def records_of(file: "HDUList", nuisances: tuple[str, ...]) -> list[dict[str, Any]]:
    """Return what the headers and tables of a file say of each of its spectra.

    Parameters
    ----------
    file : astropy.io.fits.HDUList
    nuisances : tuple of str
        Names of the labels that are wanted.

    Returns
    -------
    list of dict
        By column of the catalogue: star, identifier, the extension (`unit`) and `row` of the
        spectrum, whether it is `combined`, SNR, velocity, and labels by their origin.

    Raises
    ------
    DataError
        If the file is of another kind, or holds no spectrum of APOGEE.
    """
    kind = kind_of(file)
    _require_extensions(file, kind)
    match kind:
        case "apStar":
            return _of_ap_star(file, nuisances)
        case "aspcapStar":
            return _of_aspcap_star(file, nuisances)
        case "mwm":
            return _of_mwm(file, nuisances)
        case "starbench":
            return [_of_starbench(file)]
    raise DataError(
        "is FITS of another kind; give apStar, aspcapStar, mwmStar or mwmVisit files of APOGEE"
    )


def _require_extensions(file: "HDUList", kind: str | None) -> None:
    """Refuse a file that ends between two extensions, which astropy does not take for damage."""
    header = file[0].header
    if len(file) == 1 and not header.get("NAXIS", 0):
        raise DataError("holds a header but no data, as if it were cut off; download it again")
    is_known = any(name in header for name in (MARK, "OBJ", "OBJID")) and kind != "mwm"
    if is_known:  # apStar files need the fewest
        _require_last(file, 4 if MARK in header or "OBJID" not in header else 3)


def _require_last(file: "HDUList", last: int) -> None:
    """Refuse a file that ends before the last of the extensions that it needs."""
    if len(file) <= last:
        raise DataError(
            f"ends after extension {len(file) - 1} of the {last} that it needs, as if it were cut "
            "off; download it again"
        )


def _of_ap_star(file: "HDUList", nuisances: tuple[str, ...]) -> list[dict[str, Any]]:
    header = file[0].header
    star = _name(header["OBJID"])
    n_rows = 1 if file[1].header["NAXIS"] == 1 else file[1].header["NAXIS2"]
    _require_data(file, (1, 2, 3))
    labels = {
        f"{ORIGINS[1]} {name}": _number(header, *_VELOCITY_CODE.get(column_name(name), ()))
        for name in nuisances
    }
    of_star = {"star": star, "unit": 1, **labels}
    if n_rows == 1:
        visit = {"snr": _number(header, "SNR"), "velocity": _number(header, "VHELIO")}
        return [{**of_star, "identifier": star, "row": 0, "combined": False, **visit}]
    combined = {"snr": _number(header, "SNR"), "velocity": _number(header, "VHELIO")}
    found = [{**of_star, "identifier": star, "row": 0, "combined": True, **combined}]
    for row in range(2, n_rows):
        visit = {
            "snr": _number(header, f"SNRVIS{row - 1}"),
            "velocity": _number(header, f"VHELIO{row - 1}"),
        }
        identifier = f"{star}/visit{row - 1}"
        found.append({**of_star, "identifier": identifier, "row": row, "combined": False, **visit})
    return found


def _of_aspcap_star(file: "HDUList", nuisances: tuple[str, ...]) -> list[dict[str, Any]]:
    header, table = file[0].header, file[4].data
    _require_data(file, (1, 2))
    star = _name(header.get("OBJ")) or text(table["APOGEE_ID"][0])
    labels = {}
    for origin, column in ((ORIGINS[0], "PARAM"), (ORIGINS[2], "FPARAM")):
        if column not in table.names:
            continue
        values = np.asarray(table[column][0], np.float64)
        for name in nuisances:
            if column_name(name) in PARAM:
                value = values[PARAM[column_name(name)]]
                labels[f"{origin} {name}"] = value if value > MISSING else np.nan
    flag = int(table["ASPCAPFLAG"][0]) if "ASPCAPFLAG" in table.names else 0
    return [
        {
            "star": star,
            "identifier": star,
            "unit": 1,
            "row": 0,
            "combined": True,
            "snr": _number(header, "SNR"),
            "velocity": _number(header, "VHELIO"),
            "flagged": bool(flag & _BAD_LABELS),
            **labels,
        }
    ]


def _of_starbench(file: "HDUList") -> dict[str, Any]:
    """Return the record of a file that starbench wrote, with all that it says."""
    header, data = file[0].header, file[4].data
    star = _name(header["OBJ"])
    labels = {name.lower(): float(data[name][0]) for name in data.names[2:]}
    return {
        "star": star,
        "identifier": star,
        "unit": 1,
        "row": 0,
        "combined": False,
        "snr": np.nan,
        "velocity": np.nan,
        "labels_of": "the file",
        "split": header[SPLIT],
        "group": f"{header[SPLIT]} {header[GROUP]}",
        SURVEY: str(header.get(SURVEY, "")),
        "labels": labels,
    }


def _of_mwm(file: "HDUList", nuisances: tuple[str, ...]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for number, unit in enumerate(file[1:], 1):
        names = getattr(getattr(unit, "columns", None), "names", [])
        if "APOGEE" not in str(unit.name).upper() or "flux" not in names or not len(unit.data):
            continue
        table = unit.data
        is_visit = "mjd" in names

        def column(name: str, row: int, names: list[str] = names, table: Any = table) -> float:
            return float(table[name][row]) if name in names else np.nan

        for row in range(len(table)):
            star = text(table["obj"][row]) if "obj" in names else ""
            star = star or _name(file[0].header.get("SDSS_ID"))
            star = star or (_name(table["sdss_id"][row].item()) if "sdss_id" in names else "")
            labels = {
                f"{ORIGINS[1]} {name}": column(f"doppler_{column_name(name)}", row)
                for name in nuisances
            }
            visit = f"/{int(column('mjd', row))}" if is_visit else ""
            found.append(
                {
                    "star": star,
                    "identifier": star + visit,
                    "unit": number,
                    "row": row,
                    "combined": not is_visit,
                    "snr": column("snr", row),
                    "velocity": column("v_rad", row),
                    **labels,
                }
            )
    if not found:
        _require_last(file, 4)  # two of BOSS before two of APOGEE
        raise DataError("holds no spectrum of APOGEE; give files of stars that it observed")
    return found


def spectrum_of(file: "HDUList", kind: str, unit: int, row: int, index: int) -> Piece:
    """Read one spectrum, with an infinite error in masked pixels.

    Parameters
    ----------
    file : astropy.io.fits.HDUList
    kind : str
        As `kind_of` names it.
    unit, row : int
        Extension and row of the spectrum, as in `records_of`.
    index : int
        Row of the spectrum in the catalogue.
    """
    if kind == "mwm":
        table = file[unit].data
        ivar = native(table["ivar"][row]).astype(np.float64)
        with np.errstate(divide="ignore", invalid="ignore"):
            error = np.where(ivar == 0, np.inf, np.where(ivar > 0, ivar, np.nan) ** -0.5)
        flux, bits = native(table["flux"][row]), native(table["pixel_flags"][row])
        if "wavelength" in table.names:
            values = native(table["wavelength"][row]).astype(np.float64)
            wavelength = vacuum_angstrom(values, "angstrom", "vacuum", "its table")
        else:
            header = file[unit].header
            wavelength = 10 ** (header["CRVAL"] + header["CDELT"] * np.arange(len(flux)))
    else:
        flux, error = (native(np.atleast_2d(file[number].data)[row]) for number in (1, 2))
        bits = None
        if kind == "apStar":
            bits = native(np.atleast_2d(file[3].data)[row])
        wavelength = _wavelength(file[1].header, len(flux))
    if kind == "starbench":  # whose pixels outside the survey hold zeros
        masked = (error == MASKED) | ((error == 0) & (flux == 0))
    else:
        masked = (error >= _BIG_ERROR) | (flux == 0)  # ASPCAP sets the flux of bad pixels to 0
    if bits is not None:
        masked |= is_bad(bits)
    error = np.where(masked, np.inf, error)
    is_normalised = kind in ("aspcapStar", "starbench")
    return Piece(np.array([index]), wavelength, _row(flux), _row(error), is_normalised)


def stated_pixels(file: "HDUList") -> Floats | None:
    """Return the wavelengths of the survey's pixels; older files do not state them."""
    if PIXELS not in file or file[1].header["NAXIS1"] > MAX_PIXELS:
        return None
    wavelength = _wavelength(file[1].header, file[1].header["NAXIS1"])
    used = np.zeros(len(wavelength), bool)
    for start, stop in native(file[PIXELS].data):
        used[max(0, start) : max(0, stop)] = True
    return wavelength[used] if used.any() else None


def _row(values: np.ndarray) -> Spectra:
    return np.asarray(values, np.float32)[None]


def _wavelength(header: "Header", n_pixels: int) -> Floats:
    """Return the wavelengths that a header states, in vacuum.

    FITS names wavelengths in air AWAV (Greisen et al. 2006, A&A 446, 747).
    """
    kind = str(header.get("CTYPE1", "LOG-LINEAR")).strip().upper()
    steps = np.arange(1, n_pixels + 1) - float(header.get("CRPIX1", 1))
    values = float(header["CRVAL1"]) + float(header["CDELT1"]) * steps
    is_log = "LOG" in kind or bool(header.get("DC-FLAG", 0))
    medium = "air" if kind.startswith("AWAV") or header.get("VACUUM") in (0, False) else "vacuum"
    unit = "log10" if is_log else str(header.get("CUNIT1", "") or "angstrom")
    advice = "correct CUNIT1 to angstrom, nm or um"
    return vacuum_angstrom(values, unit, medium, "its header", advice)


def _name(value: object) -> str:
    """Return the name of a star; empty where a header has none, or a number that stands for it."""
    if isinstance(value, int):
        return text(value) if value > 0 else ""
    return text(value) if isinstance(value, str | float) else ""


def _require_data(file: "HDUList", numbers: tuple[int, ...]) -> None:
    """Raise an error if a file ends before its data do."""
    for number in numbers:
        if file[number].data is None:
            raise OSError(f"extension {number} is empty")


def _number(header: "Header", *names: str) -> float:
    for name in names:
        value = header.get(name)
        if isinstance(value, int | float) and MISSING < value < np.inf:
            return float(value)
    return np.nan
