"""The line list of the second generator; `build_lines` and `fit_lines` make it."""

from pathlib import Path

import numpy as np
import pandas as pd

from starbench.tasks.arrays import Floats

PATH = Path(__file__).resolve().with_name("lines.csv.gz")
HYDROGEN_PATH = Path(__file__).resolve().with_name("hydrogen.csv")

# wavelength   in standard air [Angstrom]
# species      MOOG's code: 26.0 Fe I, 26.1 Fe II, 607.01214 the CN of 12C and 14N
# excitation   of the lower level [eV]
# gflog        log10 of statistical weight times oscillator strength, before the fit
# dissociation energy of a molecule [eV]; 0 for atoms
# correction   what the fit to Arcturus adds to gflog [dex]
# origin       "list"; "linemake" for a line that is weak by the list but that Arcturus shows;
#              "anonymous" for one that is in no list
# depth        change of Arcturus's flux in the line's centre with ln gf, after the fit: the depth
#              of a line that is not saturated; 0 before the fit
COLUMNS = (
    "wavelength",
    "species",
    "excitation",
    "gflog",
    "dissociation",
    "correction",
    "origin",
    "depth",
)


def load_lines(path: Path = PATH) -> pd.DataFrame:
    """Return the line list, sorted by wavelength, with the columns `COLUMNS`."""
    return pd.read_csv(path, dtype={"species": str})


def save_lines(lines: pd.DataFrame, path: Path) -> None:
    """Write a line list; equal lists are equal files."""
    lines.to_csv(path, index=False, compression={"method": "gzip", "mtime": 0})


def load_hydrogen() -> str:
    """Return the Brackett lines in MOOG's format; their last column is log10 of the damping."""
    return _format(pd.read_csv(HYDROGEN_PATH, dtype={"species": str}))  # without a title


def moog_format(lines: pd.DataFrame, correction: Floats | float | None = None) -> str:
    """Return lines in MOOG's format.

    Parameters
    ----------
    lines : pandas.DataFrame
        With the columns `COLUMNS`.
    correction : numpy.ndarray [n] or float, optional
        What is added to log gf; by default the column of that name.
    """
    added = lines["correction"] if correction is None else correction
    return "lines\n" + _format(lines.assign(gflog=lines["gflog"] + added, damping=0.0))


def _format(lines: pd.DataFrame) -> str:
    names = ["wavelength", "species", "excitation", "gflog", "damping", "dissociation"]
    row = "%10.3f %12s %9.3f %9.3f %9.3f %9.3f 0.0\n"  # the last is an equivalent width
    return "".join(row % values for values in lines[names].itertuples(index=False, name=None))


def is_molecule(lines: pd.DataFrame) -> "np.ndarray[tuple[int], np.dtype[np.bool_]]":
    """Return which lines are a molecule's [n]."""
    molecules: np.ndarray[tuple[int], np.dtype[np.bool_]] = (
        lines["species"].astype(float).to_numpy() > 100
    )
    return molecules


def species_group(lines: pd.DataFrame) -> "pd.Series[str]":
    """Return the species of each line, with all isotopologues of a molecule as one."""
    return lines["species"].where(~is_molecule(lines), lines["species"].str.split(".").str[0])
