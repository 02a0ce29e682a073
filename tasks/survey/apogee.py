"""APOGEE's files as a source of a survey: one catalogue, and spectra file by file.

`starbench.tasks.survey.apogee_formats` describes the kinds of files.
"""

import gzip
import zlib
from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from starbench.tasks.arrays import Floats
from starbench.tasks.errors import DataError
from starbench.tasks.survey.apogee_formats import (
    MARK,
    NUISANCES,
    ORIGINS,
    SURVEY,
    kind_of,
    records_of,
    spectrum_of,
    stated_pixels,
)
from starbench.tasks.survey.choices import WavelengthScale
from starbench.tasks.survey.labels import NUISANCE, canonical
from starbench.tasks.survey.report import Report
from starbench.tasks.survey.spectra import COMBINED, Piece
from starbench.tasks.survey.tables import open_fits, unique

_FLAGGED_ORIGINS = (ORIGINS[0], ORIGINS[2])  # whose labels ASPCAPFLAG speaks of
_SECOND = "is a second spectrum from the same light"
# What damaged files raise; truncation is a warning that `open_fits` makes an error.
_UNREADABLE: tuple[type[Exception], ...] = (
    *(OSError, ValueError, TypeError, LookupError, AttributeError, ArithmeticError, UserWarning),
    *(EOFError, zlib.error),
)
_GZIP = b"\x1f\x8b"  # the first bytes of a compressed file


class ApogeeFiles:
    """Files of APOGEE stars.

    Parameters
    ----------
    paths : sequence of pathlib.Path
    report : Report
        Gets the files that cannot be read.
    spectra : {"visits", "combined", "all"}
        Which spectra of a star are offered: its visits, or where there are none a combined one;
        one combined spectrum; or all, although combined ones share the noise of their visits.
    """

    states_combined = True
    scale: WavelengthScale | None = None

    def __init__(self, paths: Sequence[Path], report: Report, spectra: str = "visits"):
        self.name = str(paths[0]) if len(paths) == 1 else f"{len(paths)} FITS files"
        self._paths, self._report, self._spectra = list(paths), report, spectra
        self.nuisances: tuple[str, ...] | None
        self.pixels: Floats | None
        self.nuisances, self.pixels = _stated(self._paths[0])
        self.units: dict[str, str] = {}  # those of the nuisances that APOGEE has are known
        # File, its kind, and the table and row of each spectrum.
        self._places: list[tuple[int, str, int, int]] = []

    def catalogue(self, nuisances: tuple[str, ...]) -> pd.DataFrame:
        """Read the headers of all files."""
        records: list[dict[str, Any]] = []
        for number, path in enumerate(self._paths):
            try:
                with open_fits(path) as file:
                    found = {"file": number, "kind": kind_of(file), "source": path.name}
                    records += [{**record, **found} for record in records_of(file, nuisances)]
            except DataError as error:
                self._drop_other(path, error)
            except _unreadable() as error:
                self._report.drop_unreadable("", path.name, error)
        records = [record for record in records if self._has_name(record)]
        _keep_apart(records)
        if not records:
            return pd.DataFrame()
        stated = pd.DataFrame.from_records([record.pop("labels", {}) for record in records])
        table = pd.DataFrame.from_records(records).join(canonical(stated, nuisances))
        table["identifier"] = unique(table["identifier"])
        table = _with_best_labels(table, nuisances)
        if "flagged" in table:  # of all spectra of a star, as its labels are
            flagged = table["flagged"].isin([True]).groupby(table["star"]).transform("any")
            table["flagged"] = flagged & table["labels_of"].isin(_FLAGGED_ORIGINS)
        table["replaced"] = self._replaced(table)
        places = (table[name] for name in ("file", "kind", "unit", "row"))
        self._places = list(zip(*places, strict=True))
        return table

    def pieces(self, wanted: npt.NDArray[np.bool_]) -> Iterator[Piece]:
        """Yield the spectra of one file after the other."""
        rows = np.flatnonzero(wanted)
        for number, of_file in groupby(rows, key=lambda row: self._places[row][0]):
            try:
                with open_fits(self._paths[number]) as file:
                    pieces = [
                        spectrum_of(file, *self._places[row][1:], int(row)) for row in of_file
                    ]
            except DataError as error:
                self._drop_other(self._paths[number], error)
                continue
            except _unreadable() as error:
                self._report.drop_unreadable("", self._paths[number].name, error)
                continue
            yield from pieces

    def _has_name(self, record: dict[str, Any]) -> bool:
        """Return whether a spectrum names its star; without, strangers would be siblings."""
        if record["star"]:
            return True
        names = "SDSS_ID" if record["kind"] == "mwm" else "OBJ or OBJID"
        self._report.drop("", record["source"], "has no name", f"; give its header {names}")
        return False

    def _drop_other(self, path: Path, error: DataError) -> None:
        """Report a file that lacks what it should hold, or that ends before it."""
        try:
            _require_whole(path)
        except _UNREADABLE as damage:
            self._report.drop_unreadable("", path.name, damage)
        else:
            self._report.drop("", path.name, str(error).rstrip("."), "")

    def _replaced(self, table: pd.DataFrame) -> npt.NDArray[np.object_]:
        """Return why each spectrum is not imported, in favour of others; empty where it is."""
        replaced = np.full(len(table), "", object)
        single = ~table["combined"]
        if self._spectra == "visits":
            has_visits = single.groupby(table["star"]).transform("any")
            replaced[table["combined"] & has_visits] = COMBINED
            replaced[table["combined"] & ~has_visits & _again(table, table["combined"])] = _SECOND
        elif self._spectra == "combined":
            usable = table["combined"] | (single.groupby(table["star"]).transform("sum") == 1)
            replaced[usable & _again(table, usable)] = _SECOND
            has_one = usable.groupby(table["star"]).transform("any")
            replaced[~usable & has_one] = "is a visit of a star whose combined spectrum is imported"
            replaced[~usable & ~has_one] = "is one of several visits without a combined spectrum"
        return replaced


def _keep_apart(records: list[dict[str, Any]]) -> None:
    """Tell, in place, the groups of several surveys apart, whose numbers are the same."""
    surveys = [record.pop(SURVEY, "") for record in records]
    if len(set(surveys)) > 1:
        for record, survey in zip(records, surveys, strict=True):
            if survey:
                record["group"] = f"{survey} {record['group']}"


def _unreadable() -> tuple[type[Exception], ...]:
    """Return what damaged files raise; of astropy, which is optional, only once it is there."""
    try:
        from astropy.io.fits import VerifyError
    except ImportError:
        return _UNREADABLE
    return (*_UNREADABLE, VerifyError)


def _require_whole(path: Path) -> None:
    """Raise an error if a compressed file is damaged, which astropy takes for its end."""
    with path.open("rb") as file:
        is_compressed = file.read(len(_GZIP)) == _GZIP
    if is_compressed:
        with gzip.open(path) as content:
            while content.read(2**20):
                pass


def _stated(path: Path) -> tuple[tuple[str, ...] | None, Floats | None]:
    """Return the nuisances and the wavelengths of files that starbench wrote."""
    try:
        with open_fits(path) as file:
            header = file[0].header
            if MARK not in header:
                return None, None
            names = header.get(NUISANCES)
            return tuple(str(names).split(",")) if names else None, stated_pixels(file)
    except _unreadable():
        return None, None  # which the catalogue reports


def _again(table: pd.DataFrame, which: pd.Series) -> pd.Series:
    """Return which rows of a kind follow another one of the same star."""
    return which & (which.groupby(table["star"]).cumsum() > 1)


def _with_best_labels(table: pd.DataFrame, nuisances: tuple[str, ...]) -> pd.DataFrame:
    """Give each star the nuisances of the best origin that has all, from any of its files."""
    table["labels_of"] = table["labels_of"].fillna("") if "labels_of" in table else ""
    for name in nuisances:
        if NUISANCE + name not in table:
            table[NUISANCE + name] = np.nan
    for origin in ORIGINS:
        columns = [f"{origin} {name}" for name in nuisances]
        if not set(columns) <= set(table.columns):
            continue
        complete = table[columns].where(table[columns].notna().all(axis=1))
        best = complete.groupby(table["star"]).transform("first")
        new = (table["labels_of"] == "") & best.notna().all(axis=1)
        for name, column in zip(nuisances, columns, strict=True):
            table.loc[new, NUISANCE + name] = best.loc[new, column]
        table.loc[new, "labels_of"] = origin
    return table
