"""The line table; `build_lines` makes it and documents its source."""

from pathlib import Path

import pandas as pd

PATH = Path(__file__).resolve().with_name("lines.csv.gz")

# species     element or molecule and ionisation stage in SMElib's notation: "Fe 1", "CO 1"
# wlcent      wavelength in standard air [Angstrom]
# excit       excitation of the lower level [eV]
# gflog       log10 of statistical weight times oscillator strength (molecules: times isotopic
#             fraction)
# gamrad, gamqst, gamvw   damping; 0 for SMElib's classical, Stark and Unsoeld approximations.
#             For hydrogen gamqst and gamvw are the principal quantum numbers of the lower
#             and upper level.
COLUMNS = ("species", "wlcent", "excit", "gflog", "gamrad", "gamqst", "gamvw")


def load_lines(path: Path = PATH) -> pd.DataFrame:
    """Return the line table, sorted by wavelength, with the columns `COLUMNS`."""
    return pd.read_csv(path, keep_default_na=False)
