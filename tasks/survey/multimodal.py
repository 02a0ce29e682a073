"""Rows as the Multimodal Universe publishes spectra, in Parquet files or saved by `datasets`.

A row has ``spectrum``, a struct of the lists ``flux``, ``ivar``, ``lambda`` [Angstrom, vacuum],
``mask`` (true is bad) or ``pix_bitmask`` (APOGEE_PIXMASK), and ``lsf_sigma``, which is not read;
``object_id``; labels as columns, such as ``teff``, ``teff_err`` and ``mg_fe``; and, where the
spectra are not at rest, ``restframe`` (false) and ``radial_velocity`` [km/s] (The Multimodal
Universe Collaboration 2024, arXiv:2412.02527). ``pseudo_continuum_flux`` and
``pseudo_continuum_ivar`` are read in place of ``flux`` and ``ivar``; ``ivar`` is that of ``flux``
alone.

starbench writes the same rows, with ``group`` and, in the struct, ``error`` beside ``ivar``, whose
inverse root is not exact. Its metadata are those of `starbench.tasks.export`.
"""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from starbench.common.text import listed, one_line
from starbench.tasks.arrays import Floats
from starbench.tasks.card import SPLITS
from starbench.tasks.errors import DataError
from starbench.tasks.storage.about import ABOUT, About
from starbench.tasks.survey.choices import WavelengthScale
from starbench.tasks.survey.labels import NUISANCE, canonical
from starbench.tasks.survey.pixel_bits import is_bad
from starbench.tasks.survey.report import Report
from starbench.tasks.survey.spectra import Piece
from starbench.tasks.survey.tables import (
    MISSING,
    numbers,
    open_parquet,
    plain_columns,
    star_column,
    text,
    unique,
)
from starbench.tasks.survey.wavelengths import vacuum_angstrom

SPECTRUM = "spectrum"
_FLUX = ("pseudo_continuum_flux", "flux")
_IVAR = ("pseudo_continuum_ivar", "ivar")
_BITS = ("pix_bitmask", "bitmask")
_KNOWN = frozenset((*_FLUX, *_IVAR, *_BITS, "lambda", "error", "mask", "lsf_sigma"))
"""Fields of the struct that are read, or of which nobody expects it."""
_ERROR_LIKE = re.compile(
    r"(?!lsf|lambda|wave|sky)(.*_)?(flux)?"
    r"(e|errs?|errors?|sigma|sig|std|sd|unc|uncertainty|var|variance|ivar|invvar|noise)(_.*)?"
)
"""Names, in lower case, under which errors of the flux are often stored."""
_ROWS = 256  # that are read at once
_FEWEST_BYTES = 64  # of a row
_UNREADABLE = (OSError, ValueError, TypeError, KeyError, IndexError)  # of which Arrow's derive


class Fields(NamedTuple):
    """Names of the fields of the struct that are read, beside ``lambda``."""

    flux: str
    error: str | None
    mask: str | None


class _File(NamedTuple):
    """A file of which the catalogue has been read."""

    path: Path
    n_rows: int
    fields: Fields


class MultimodalRows:
    """Parquet files of such rows.

    Parameters
    ----------
    paths : sequence of pathlib.Path
    report : Report
        Gets the files that cannot be read, and the rows without a name.
    wavelengths : WavelengthScale

    Raises
    ------
    DataError
        If a file is not Parquet, or has no spectra.
    """

    states_combined = False

    def __init__(self, paths: Sequence[Path], report: Report, wavelengths: WavelengthScale):
        self._paths, self._report, self._wavelengths = list(paths), report, wavelengths
        self.name = str(paths[0]) if len(paths) == 1 else f"{len(paths)} Parquet files"
        self._files: list[_File] = []
        schema = self._first_schema()
        about = (schema.metadata or {}).get(ABOUT.encode())
        found = None if about is None else About.from_json(about.decode(), self.name)
        self.scale: WavelengthScale | None = wavelengths if found is None else None
        self.pixels: Floats | None = None
        if found is not None:
            unit, medium = found.wavelength_unit, found.wavelength_medium
            self._wavelengths = WavelengthScale(unit, medium)
            self.pixels = vacuum_angstrom(found.wavelength, unit, medium, self.name)
        self.nuisances = None if found is None else found.nuisance_names
        self.units: dict[str, str] = {}
        if found is not None:
            self.units = dict(zip(found.nuisance_names, found.nuisance_units, strict=True))
        try:
            _fields(schema)
        except DataError as error:
            raise DataError(f"{self.name} {error}.") from None
        self._is_ours = found is not None

    def catalogue(self, nuisances: tuple[str, ...]) -> pd.DataFrame:
        """Read all columns but the spectra."""
        tables: list[pd.DataFrame] = []
        unusable: list[tuple[Path, Exception]] = []
        for path in self._paths:
            try:
                with open_parquet(path) as file:
                    fields = _fields(file.schema_arrow)
                    self._note_unread(file.schema_arrow)
                    table = _labels_of_rows(file)
            except _UNREADABLE as error:  # a DataError among them
                unusable.append((path, error))
                continue
            # By file, as not all need to have the same columns, or columns of the same types.
            table["star"] = star_column(table, str(path))
            if "group" in table:
                table["group"] = _names_or_nan(table["group"])
            tables.append(table)
            self._files.append(_File(path, len(table), fields))
        self._drop_files(unusable)
        if not tables:
            return pd.DataFrame()
        files, sizes = [each.path for each in self._files], [each.n_rows for each in self._files]
        sources = np.repeat(np.array([path.name for path in files], object), sizes)
        splits = np.repeat(np.array([_split_of(path) for path in files], object), sizes)
        table = pd.concat(tables, ignore_index=True)
        named = self._with_usable_names(table["star"], sources)
        # Rows of the files as rows of the catalogue, -1 where they are not in it.
        self._numbers = np.where(named, np.cumsum(named) - 1, -1)
        table = table[named].reset_index(drop=True)
        return self._with_names(table, sources[named], splits[named], nuisances)

    def pieces(self, wanted: npt.NDArray[np.bool_]) -> Iterator[Piece]:
        """Yield the spectra, some tens of megabytes at a time."""
        to_read = np.zeros(len(self._numbers), bool)
        to_read[self._numbers >= 0] = wanted
        start = 0
        for path, n_rows, fields in self._files:
            numbers_of = self._numbers[start : start + n_rows]
            left = to_read[start : start + n_rows]
            start += n_rows
            if not left.any():
                continue
            try:
                with open_parquet(path) as file:
                    yield from self._of_file(file, fields, left, numbers_of)
            except _UNREADABLE as error:
                for row in numbers_of[left]:
                    identifier, source = self._identifiers[row], self._sources[row]
                    self._report.drop_unreadable(identifier, source, error)

    def _of_file(
        self,
        file: Any,
        fields: Fields,
        left: npt.NDArray[np.bool_],
        numbers_of: npt.NDArray[np.int64],
    ) -> Iterator[Piece]:
        """Yield the spectra of the rows in `left`, which become false once they are read."""
        import pyarrow as pa

        start = 0
        # One group at a time: asked for all, Arrow reads ahead to the end of the file.
        for group in range(file.num_row_groups):
            for batch in file.iter_batches(_ROWS, row_groups=[group], columns=[SPECTRUM]):
                here = slice(start, start + len(batch))
                start += len(batch)
                keep = left[here].copy()
                rows = numbers_of[here][keep]
                spectra = batch.column(0).filter(pa.array(keep))
                given = spectra.is_valid().to_numpy(zero_copy_only=False)
                pieces: list[Piece] = []
                if given.any():
                    pieces = self._of_batch(spectra.filter(pa.array(given)), fields, rows[given])
                for row in rows[~given]:
                    self._drop(row, "has no spectrum", "; leave it out")
                left[here] = False
                yield from pieces

    def _of_batch(self, spectra: Any, fields: Fields, rows: npt.NDArray[np.int64]) -> list[Piece]:
        names = [name for name in (fields.flux, "lambda", fields.error, fields.mask) if name]
        columns = {name: _lists(spectra, name, name == fields.mask) for name in names}
        wavelengths = columns["lambda"]
        # Rows that share their wavelengths are handled together; in most surveys all do.
        alike: dict[bytes, list[int]] = {}
        for row in range(len(rows)):
            alike.setdefault(wavelengths.of(row).tobytes(), []).append(row)
        pieces = [
            self._piece(columns, fields, np.array(members), rows) for members in alike.values()
        ]
        return [piece for piece in pieces if piece is not None]

    def _piece(
        self,
        columns: dict[str, "_Lists"],
        fields: Fields,
        members: npt.NDArray[np.int64],
        rows: npt.NDArray[np.int64],
    ) -> Piece | None:
        length = columns["lambda"].lengths[members[0]]
        for name, lists in columns.items():
            right = lists.lengths[members] == length
            for row in members[~right]:
                self._drop(rows[row], f"has {name} of another length than lambda", "; correct it")
            members = members[right]
        if not length:
            for row in members:
                self._drop(rows[row], "has no spectrum", "; leave it out")
            return None
        if fields.mask is not None and fields.error is None:
            masked = np.array([columns[fields.mask].of(row).any() for row in members], bool)
            for row in members[masked]:
                self._drop(rows[row], "has masked pixels but no errors", "; add ivar")
            members = members[~masked]
        if not len(members):
            return None
        found = {name: np.stack([lists.of(m) for m in members]) for name, lists in columns.items()}
        scale = self._wavelengths
        try:
            wavelength = vacuum_angstrom(found["lambda"][0], scale.unit, scale.medium, self.name)
        except DataError:
            for row in members:
                self._drop(
                    rows[row], "has wavelengths that do not increase", "; sort its pixels by lambda"
                )
            return None
        flux, error = _measured(found, fields)
        shift = None if self._shift is None else self._shift[rows[members]]
        is_normalised = True if self._is_ours or fields.flux == _FLUX[0] else None
        return Piece(rows[members], wavelength, flux, error, is_normalised, shift)

    def _with_usable_names(
        self, stars: pd.Series, sources: npt.NDArray[np.object_]
    ) -> npt.NDArray[np.bool_]:
        """Return which rows have a name that can be used, and drop the others."""
        nameless = (stars == "").to_numpy(bool)
        # HDF5 does not hold text with such a character.
        with_zero = stars.str.contains("\0", regex=False).to_numpy(bool)
        rows = np.concatenate([np.arange(each.n_rows) for each in self._files])
        for row in np.flatnonzero(nameless):
            place = f"in row {rows[row]}"  # which is all that tells such stars apart
            self._report.drop(place, sources[row], "has no name", "; give it one in object_id")
        for row in np.flatnonzero(with_zero):
            name = stars[row].replace("\0", "\\0")
            self._report.drop(name, sources[row], "has a NUL character in its name", "; rename it")
        return ~nameless & ~with_zero

    def _with_names(
        self,
        table: pd.DataFrame,
        sources: npt.NDArray[np.object_],
        splits: npt.NDArray[np.object_],
        nuisances: tuple[str, ...],
    ) -> pd.DataFrame:
        labels = canonical(table, nuisances)
        stars = table["star"]
        identifiers = unique(stars)
        velocity = numbers(table["radial_velocity"]) if "radial_velocity" in table else np.nan
        moving = np.zeros(len(table), bool)
        if "restframe" in table:
            moving = table["restframe"].isin([False]).to_numpy()  # empty is at rest, as APOGEE's
        self._shift = np.where(moving, velocity, 0.0) if moving.any() else None
        self._identifiers = identifiers.to_numpy(object)
        self._sources = sources
        found = pd.DataFrame(
            {
                "identifier": identifiers,
                "star": stars,
                "source": sources,
                "combined": False,
                "velocity": velocity,
                "snr": numbers(table["snr"]) if "snr" in table else np.nan,
                "labels_of": np.where(
                    labels.filter(like=NUISANCE).notna().all(axis=1), "columns of the file", ""
                ),
            }
        )
        # Of files, as a split may have lost all its stars.
        if {_split_of(each.path) for each in self._files if each.n_rows} == set(SPLITS):
            found["split"] = splits
        if "group" in table:
            found["group"] = table["group"]
            if "split" in found:  # equal numbers are siblings within a split
                found["group"] = found["split"] + " " + table["group"]
        return pd.concat([found, labels], axis=1)

    def _first_schema(self) -> Any:
        for path in self._paths:
            try:
                with open_parquet(path) as file:
                    schema = file.schema_arrow
            except _UNREADABLE as error:
                if len(self._paths) == 1:
                    raise DataError(
                        f"{path} cannot be read as Parquet ({one_line(error)[:200]}); download or "
                        "write it again."
                    ) from error
                continue
            return schema
        raise DataError(f"None of the {self.name} can be read; download or write them again.")

    def _note_unread(self, schema: Any) -> None:
        """Say which fields of the struct nothing reads."""
        unread = [field for field in _kinds(schema)[0] if field not in _KNOWN]
        if unread:
            self._report.note(
                f"Of {SPECTRUM}, nothing reads {listed(unread)}; errors are read from ivar or "
                "error, masks from mask or pix_bitmask."
            )

    def _drop(self, row: int, reason: str, advice: str) -> None:
        self._report.drop(self._identifiers[row], self._sources[row], reason, advice)

    def _drop_files(self, unusable: list[tuple[Path, Exception]]) -> None:
        """Drop each star of files whose catalogue cannot be used, as far as is known how many."""
        sizes = {path: _n_rows(path) for path, _ in unusable}
        known = [*(each.n_rows for each in self._files), *filter(None, sizes.values())]
        likely = max(1, round(float(np.mean(known)))) if known else 1
        for path, error in unusable:
            for _ in range(sizes[path] or likely):
                if isinstance(error, DataError):  # it is whole, but lacks what it should hold
                    self._report.drop("", path.name, str(error), "")
                else:
                    self._report.drop_unreadable("", path.name, error)


def _n_rows(path: Path) -> int | None:
    """Return the number of rows that the footer of a damaged file states, None if none."""
    try:
        with open_parquet(path) as file:
            n_rows: int = file.metadata.num_rows
        # A footer may state anything, but spectra have a size.
        return min(n_rows, path.stat().st_size // _FEWEST_BYTES)
    except _UNREADABLE:
        return None


def _labels_of_rows(file: Any) -> pd.DataFrame:
    """Return the columns of one value, by names in lower case, the first of each name."""
    import pyarrow as pa

    names: dict[str, str] = {}
    for field in file.schema_arrow:
        if field.name not in (SPECTRUM, ABOUT) and not pa.types.is_nested(field.type):
            names.setdefault(field.name.strip().lower(), field.name)
    table = plain_columns(file.read(columns=list(names.values())))
    table = table.loc[:, ~table.columns.duplicated()]
    return table.rename(columns={name: lower for lower, name in names.items()})


def _names_or_nan(values: pd.Series) -> pd.Series:
    return pd.Series([text(value) or np.nan for value in values], values.index, object)


def _fields(schema: Any) -> Fields:
    """Return the fields of the struct to read.

    Raises
    ------
    DataError
        If the struct or one of them is missing or of another type; does not name the file.
    """
    if SPECTRUM not in schema.names:
        raise DataError(
            f"has no column {SPECTRUM}; give rows as the Multimodal Universe publishes them"
        )
    kinds, is_list = _kinds(schema)
    flux = next((field for field in _FLUX if field in kinds), None)
    if flux is None or "lambda" not in kinds:
        raise DataError(f"lacks flux or lambda in {SPECTRUM}; add it to the struct")
    ivar = _IVAR[_FLUX.index(flux)]
    error = next((field for field in ("error", ivar) if field in kinds), None)
    mask = next((field for field in ("mask", *_BITS) if field in kinds), None)
    for field in filter(None, (flux, "lambda", error, mask)):
        kind = kinds[field]
        if not is_list:
            kind = kind.value_type if _is_list(kind) else None
        if kind is None or not _is_number(kind, or_boolean=field == mask):
            raise DataError(
                f"has {SPECTRUM}.{field} of another type ({kinds[field]}); give one number for "
                "each pixel"
            )
    if error is None:
        _refuse_unread_errors(schema, kinds, flux, ivar)
    return Fields(flux, error, mask)


def _kinds(schema: Any) -> tuple[dict[str, Any], bool]:
    """Return the types of the struct's fields, and whether it is in a list of all pixels."""
    import pyarrow as pa

    struct = schema.field(SPECTRUM).type
    is_list = _is_list(struct)
    if is_list:
        struct = struct.value_type
    fields = struct if pa.types.is_struct(struct) else ()
    return {field.name: field.type for field in fields}, is_list


def _refuse_unread_errors(schema: Any, kinds: dict[str, Any], flux: str, ivar: str) -> None:
    """Refuse spectra whose errors have a name that nothing reads: they would count as noiseless."""
    places = {field: f"{SPECTRUM}.{field}" for field in kinds}
    places |= {field.name: field.name for field in schema if _is_list(field.type)}
    for field, place in places.items():
        if field != SPECTRUM and _ERROR_LIKE.fullmatch(field.lower()):
            raise DataError(
                f"has no errors of {flux} under a name that is read; give them as "
                f"{SPECTRUM}.{ivar}, 1 / error^2, and remove {place}"
            )


def _is_list(kind: Any) -> bool:
    import pyarrow as pa

    return bool(
        pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)
    )


def _is_number(kind: Any, or_boolean: bool) -> bool:
    import pyarrow as pa

    known = (pa.types.is_integer, pa.types.is_floating, pa.types.is_decimal, pa.types.is_null)
    return any(test(kind) for test in known) or (or_boolean and pa.types.is_boolean(kind))


def _measured(
    found: dict[str, np.ndarray], fields: Fields
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32] | None]:
    with np.errstate(over="ignore"):
        flux = found[fields.flux].astype(np.float32)
        if fields.error is None:
            return flux, None
        error = found[fields.error].astype(np.float32)
    if fields.error != "error":
        missing = ~(error > MISSING) | (error == 0)
        with np.errstate(divide="ignore", invalid="ignore"):
            error = np.where(missing, np.inf, np.sign(error) * np.abs(error) ** -0.5)
    if fields.mask is not None:
        error[found[fields.mask]] = np.inf
    return flux, error.astype(np.float32)


class _Lists(NamedTuple):
    """The numbers of one field of all rows, and where those of each row are."""

    values: np.ndarray
    starts: npt.NDArray[np.int64]
    lengths: npt.NDArray[np.int64]

    def of(self, row: int) -> np.ndarray:
        return self.values[self.starts[row] : self.starts[row] + self.lengths[row]]


def _lists(spectra: Any, name: str, is_mask: bool) -> _Lists:
    """Return one field. A row without it has no numbers, like any other of the wrong length."""
    import pyarrow as pa
    import pyarrow.compute as pc

    is_struct = isinstance(spectra.type, pa.StructType)
    lists = spectra.field(name) if is_struct else spectra
    if isinstance(lists, pa.FixedSizeListArray):
        # Rows that are null take as much room as others.
        bounds = (np.arange(len(lists) + 1) + lists.offset) * lists.type.list_size
    else:
        bounds = np.asarray(lists.offsets).astype(np.int64)
    values = lists.values.slice(bounds[0], bounds[-1] - bounds[0])
    if not is_struct:
        values = pc.struct_field(values, name)
    given = lists.is_valid().to_numpy(zero_copy_only=False)
    lengths = np.where(given, np.diff(bounds), 0)
    return _Lists(_mask(values) if is_mask else _floats(values), bounds[:-1] - bounds[0], lengths)


def _floats(array: Any) -> np.ndarray:
    """Return numbers, NaN where they are null."""
    import pyarrow as pa

    if not pa.types.is_floating(array.type):
        array = array.cast(pa.float64(), safe=False)
    values: np.ndarray = array.to_numpy(zero_copy_only=False)
    return values


def _mask(array: Any) -> npt.NDArray[np.bool_]:
    """Return which pixels are masked: also those whose mask is null or NaN."""
    import pyarrow as pa

    if pa.types.is_boolean(array.type):
        return np.asarray(array.fill_null(True).to_numpy(zero_copy_only=False), bool)
    if pa.types.is_integer(array.type):
        unknown = np.asarray(array.is_null().to_numpy(zero_copy_only=False), bool)
        bits: npt.NDArray[np.int64] = array.fill_null(0).to_numpy(zero_copy_only=False)
        return unknown | is_bad(bits)
    values = _floats(array)
    known: npt.NDArray[np.bool_] = np.abs(values) < 2**62  # which NaN is not
    return ~known | is_bad(np.where(known, values, 0).astype(np.int64))


def _split_of(path: Path) -> str:
    """Return the split that a file's name states, empty if none."""
    match = re.match(rf"({'|'.join(SPLITS)})(?![A-Za-z])", path.stem)
    return match[1] if match else ""
