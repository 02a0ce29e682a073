"""Labels of stars by the names that catalogues give them."""

import numpy as np
import pandas as pd

from starbench.tasks.errors import DataError
from starbench.tasks.survey.tables import numbers, star_column

DEFAULT_NUISANCES = ("Teff", "logg")
UNITS = {"teff": "K", "logg": "dex", "m_h": "dex", "fe_h": "dex", "vmicro": "km/s", "vsini": "km/s"}
_ELEMENTS = (
    *("C", "N", "O", "Na", "Mg", "Al", "Si", "P", "S", "K", "Ca", "Sc", "Ti", "V", "Cr", "Mn"),
    *("Co", "Ni", "Cu", "Zn", "Rb", "Sr", "Y", "Zr", "Ba", "La", "Ce", "Nd", "Eu", "Yb"),
)
_RATIOS = {"fe_h": "Fe/H"} | {f"{name.lower()}_fe": f"{name}/Fe" for name in _ELEMENTS}

NUISANCE, ERROR, RATIO = "nuisance ", "error ", "ratio "
"""Prefixes of the columns of labels in a catalogue: before the name of a nuisance, of the nuisance
whose error it is, or of an abundance ratio."""


def column_name(label: str) -> str:
    """Return the name that a label has as the column of a table.

    Examples
    --------
    >>> column_name("Teff"), column_name("Mg/Fe")
    ('teff', 'mg_fe')
    """
    return label.lower().replace("/", "_").strip("[]")


def error_columns(column: str) -> tuple[str, ...]:
    """Return the names that the error of a label's column may have.

    Examples
    --------
    >>> error_columns("teff")
    ('teff_err', 'e_teff', 'teff_error', 'sigma_teff')
    """
    return f"{column}_err", f"e_{column}", f"{column}_error", f"sigma_{column}"


def canonical(table: pd.DataFrame, nuisances: tuple[str, ...]) -> pd.DataFrame:
    """Return the labels in a table: nuisances, their errors and abundance ratios.

    Parameters
    ----------
    table : pandas.DataFrame
        With column names in lower case; errors are columns such as ``teff_err`` or ``e_teff``.
    nuisances : tuple of str

    Returns
    -------
    pandas.DataFrame
        With columns named by the prefixes of this module; missing values are NaN.

    Examples
    --------
    >>> table = pd.DataFrame({"teff": [4500.0, -9999], "teff_err": [50.0, 50], "mg_fe": [0.1, 0.2]})
    >>> canonical(table, ("Teff", "logg"))
       nuisance Teff  error Teff  ratio Mg/Fe
    0         4500.0        50.0          0.1
    1            NaN        50.0          0.2
    """
    columns = {}
    for name in nuisances:
        column = column_name(name)
        if column in table:
            columns[NUISANCE + name] = numbers(table[column])
        for error in error_columns(column):
            if error in table and ERROR + name not in columns:
                errors = numbers(table[error])
                columns[ERROR + name] = np.where(errors >= 0, errors, np.nan)
    for column, ratio in _RATIOS.items():
        if column in table:
            columns[RATIO + ratio] = numbers(table[column])
    return pd.DataFrame(columns, index=table.index)


def of_stars(table: pd.DataFrame, nuisances: tuple[str, ...], place: str) -> pd.DataFrame:
    """Return the labels of a catalogue such as allStar, by star.

    Of several rows of a star the first with all nuisances stands.

    Raises
    ------
    DataError
        If the table names no stars or none of the nuisances.
    """
    labels = canonical(table, nuisances)
    missing = [name for name in nuisances if NUISANCE + name not in labels]
    if missing:
        raise DataError(
            f"{place} has no column {column_name(missing[0])}; add it, or name the nuisances that "
            "it has with --nuisance."
        )
    labels.index = pd.Index(star_column(table, place))
    complete = labels[[NUISANCE + name for name in nuisances]].notna().all(axis=1)
    labels = labels[complete]
    return labels[~labels.index.duplicated()]
