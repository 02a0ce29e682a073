"""Tables of stars: CSV, Parquet and FITS files as data frames of plain columns."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from starbench.common.text import listed, one_line
from starbench.tasks.errors import DataError

if TYPE_CHECKING:
    from astropy.io.fits import HDUList
    from pyarrow import Table as ArrowTable
    from pyarrow.parquet import ParquetFile

FITS = (".fits", ".fit", ".fits.gz", ".fz")
STAR_NAMES = ("star", "identifier", "apogee_id", "object_id", "sdss_id", "source_id", "obj", "id")
"""Names of the column that identifies a star, in lower case, the first found being taken."""
GROUP_NAMES = ("group", "cluster", "cluster_name", "siblings")
"""Names of the column of sibling groups, likewise."""
_AS_TEXT = frozenset((*STAR_NAMES, *GROUP_NAMES))
"""Columns of CSV that are text even where they look like numbers or like missing values."""
MISSING = -9990.0
"""Numbers at or below it stand for missing ones: APOGEE writes -9999."""

_LARGEST = float(np.finfo(np.float32).max)  # surveys are written in float32


@contextmanager
def open_fits(path: Path) -> Iterator["HDUList"]:
    """Open a FITS file without the warnings of its many harmless irregularities.

    Raises
    ------
    DataError
        If astropy is not installed.
    """
    try:
        from astropy.io import fits
        from astropy.utils.exceptions import AstropyWarning
    except ImportError as error:
        raise DataError(
            f"{path} is a FITS file, which needs astropy; install starbench[fits]."
        ) from error
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", AstropyWarning)
        warnings.filterwarnings("error", message=".*truncated")
        with fits.open(path, memmap=True) as file:
            for unit in file[:1]:
                unit.verify("silentfix")  # such as NAN without quotes
            yield file


def read_table(path: Path, option: str) -> pd.DataFrame:
    """Read the columns of a table that hold one value for each row.

    Parameters
    ----------
    path : pathlib.Path
        A file whose name ends in .csv, .parquet or .fits.
    option : str
        The option that names it, for error messages.

    Returns
    -------
    pandas.DataFrame
        With column names in lower case.

    Raises
    ------
    DataError
        If it cannot be read.
    """
    name = path.name.lower()
    if not path.is_file():
        raise DataError(f"{option} {path} is not a file; give a table in CSV, Parquet or FITS.")
    try:
        if name.endswith(FITS):
            table = _fits_table(path)
        elif name.endswith(".parquet"):
            table = _parquet_table(path)
        elif name.endswith((".csv", ".csv.gz")):
            table = _csv_table(path)
        else:
            raise DataError(
                f"{option} {path} is of an unknown kind; give a file .csv, .parquet or .fits."
            )
    except DataError:
        raise
    except Exception as error:  # pandas, Arrow and astropy raise many kinds on damaged files
        raise DataError(
            f"{option} {path} cannot be read ({one_line(error)[:200]}); write it again."
        ) from error
    table.columns = [str(column).strip().lower() for column in table.columns]
    return table.loc[:, ~table.columns.duplicated()]


def open_parquet(path: Path) -> "ParquetFile":
    """Open a Parquet file so that damage is found and little is held in memory.

    Pages with a checksum, such as starbench writes, are verified.
    """
    import pyarrow.parquet as pq

    # Arrow would hold the columns of a whole row group before it decodes them.
    return pq.ParquetFile(
        path, pre_buffer=False, buffer_size=1 << 20, page_checksum_verification=True
    )


def plain_columns(table: "ArrowTable") -> pd.DataFrame:
    """Return columns as pandas', of integers exactly: with floats for nulls, large ones merge."""
    found: pd.DataFrame = table.to_pandas(integer_object_nulls=True, ignore_metadata=True)
    return found


def _parquet_table(path: Path) -> pd.DataFrame:
    with open_parquet(path) as file:
        return plain_columns(file.read())


def _csv_table(path: Path) -> pd.DataFrame:
    names = pd.read_csv(path, nrows=0).columns
    # A converter gets what the file has; pandas would make 1 of 0001, and nothing of NA.
    as_text = {name: _csv_text for name in names if str(name).strip().lower() in _AS_TEXT}
    table = pd.read_csv(path, converters=as_text)
    if not isinstance(table.index, pd.RangeIndex):  # pandas shifts the columns to the right
        raise DataError(
            f"{path} has rows with more cells than its header has columns; make them as many."
        )
    return table


def _csv_text(value: str) -> str:
    """Return text without the decimals that pandas writes after integers beside empty cells."""
    whole = value.strip().removesuffix(".0")
    return whole if whole.isdecimal() else value


def _fits_table(path: Path) -> pd.DataFrame:
    with open_fits(path) as file:
        tables = [unit for unit in file if hasattr(unit, "columns") and unit.data is not None]
        if not tables:
            raise DataError(f"{path} holds no table; give the allStar file or another table.")
        data = tables[0].data
        columns = {
            name: native(data[name])
            for name in data.names
            if data[name].ndim == 1 and data[name].dtype.kind in "biufSU"
        }
    return pd.DataFrame(columns)


def native(values: Any) -> np.ndarray:
    """Return a column of FITS as numbers in the machine's byte order, or as text."""
    array = np.asarray(values)
    if array.dtype.kind in "SU":
        return np.array([text(value) for value in array.ravel()], object).reshape(array.shape)
    return array.astype(array.dtype.newbyteorder("="))


def text(value: object) -> str:
    """Return an identifier as text: without spaces around it, or the marks of Python's bytes.

    What is missing gives empty text.

    Examples
    --------
    >>> text("b'2M00000019-1924498' "), text(42), text(42.0), text(None)
    ('2M00000019-1924498', '42', '42', '')
    """
    if value is None or value is pd.NA or value is pd.NaT or value != value:
        return ""
    if isinstance(value, bytes):
        # Bytes of a fixed length end with zeros; those that are no text stay distinct.
        value = value.rstrip(b"\0").decode(errors="backslashreplace")
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    found = str(value).strip()
    if len(found) > 2 and found[:2] in ("b'", 'b"') and found[-1] == found[1]:
        found = found[2:-1].strip()
    return found


def star_column(table: pd.DataFrame, place: str) -> pd.Series:
    """Return the identifiers of a table as text, empty where they are missing.

    Raises
    ------
    DataError
        If no column has one of the known names.
    """
    for name in STAR_NAMES:
        if name in table.columns:
            return pd.Series([text(value) for value in table[name]], table.index, object)
    raise DataError(
        f"{place} has the columns {listed(list(table.columns))}; name the column of stars "
        f"{STAR_NAMES[0]} (or {', '.join(STAR_NAMES[1:])})."
    )


def numbers(values: Any) -> np.ndarray:
    """Return values as float64, NaN where they are missing or too large for float32."""
    array = np.array(pd.to_numeric(pd.Series(values), errors="coerce"), np.float64)
    array[~(array > MISSING) | (array > _LARGEST)] = np.nan
    return array


def unique(names: pd.Series) -> pd.Series:
    """Return names with a number after each that stands for another spectrum of a name.

    Numbers that would make the name of another spectrum are skipped.

    Examples
    --------
    >>> unique(pd.Series(["a", "b", "a"])).tolist()
    ['a', 'b', 'a#2']
    >>> unique(pd.Series(["a", "a", "a#2"])).tolist()
    ['a', 'a#3', 'a#2']
    """
    again = names.duplicated().to_numpy()
    found = names.to_numpy(object, copy=True)
    taken = set(found)
    counts: dict[str, int] = {}
    for place in np.flatnonzero(again):
        name = found[place]
        number = counts.get(name, 1) + 1
        while f"{name}#{number}" in taken:
            number += 1
        counts[name] = number
        found[place] = f"{name}#{number}"
        taken.add(found[place])
    return pd.Series(found, names.index, object)
