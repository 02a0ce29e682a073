"""Rows as the Multimodal Universe publishes spectra, in Parquet files or saved by `datasets`.

A row has ``spectrum``, a struct of the lists ``flux``, ``ivar``, ``lambda`` [Angstrom, vacuum],
``mask`` (true is bad) or ``pix_bitmask`` (APOGEE_PIXMASK), and ``lsf_sigma``, which is not read;
``object_id``; labels as columns, such as ``teff``, ``teff_err`` and ``mg_fe``; and, where the
spectra are not at rest, ``restframe`` (false) and ``radial_velocity`` [km/s] (The Multimodal
Universe Collaboration 2024, arXiv:2412.02527). ``pseudo_continuum_flux`` and
``pseudo_continuum_ivar`` are read in place of ``flux`` and ``ivar``.

starbench writes the same rows, with ``group`` and, in the struct, ``error`` beside ``ivar``, whose
inverse root is not exact. Its metadata are those of `starbench.tasks.storage.export`.
"""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from starbench.common.text import one_line
from starbench.tasks.arrays import Floats
from starbench.tasks.card import SPLITS
from starbench.tasks.errors import DataError
from starbench.tasks.storage.about import ABOUT, About
from starbench.tasks.survey.choices import WavelengthScale
from starbench.tasks.survey.labels import NUISANCE, canonical
from starbench.tasks.survey.pixel_bits import is_bad
from starbench.tasks.survey.report import Report
from starbench.tasks.survey.spectra import Piece
from starbench.tasks.survey.tables import MISSING, numbers, star_column, text, unique
from starbench.tasks.survey.wavelengths import vacuum_angstrom

SPECTRUM = "spectrum"
_FLUX = ("pseudo_continuum_flux", "flux")
_IVAR = ("pseudo_continuum_ivar", "ivar")
_BITS = ("pix_bitmask", "bitmask")
_ROWS = 256  # that are read at once
_UNREADABLE = (OSError, ValueError, TypeError, KeyError, IndexError)  # of which Arrow's derive


class MultimodalRows:
    """Parquet files of such rows.

    Parameters
    ----------
    paths : sequence of pathlib.Path
    report : Report
        Gets the files that cannot be read.
    wavelengths : WavelengthScale

    Raises
    ------
    DataError
        If a file is not Parquet, or has no spectra.
    """

    def __init__(self, paths: Sequence[Path], report: Report, wavelengths: WavelengthScale):
        self._paths, self._report, self._wavelengths = list(paths), report, wavelengths
        self.name = str(paths[0]) if len(paths) == 1 else f"{len(paths)} Parquet files"
        self._readable: list[Path] = []
        self._sizes: list[int] = []
        schema = self._first_schema()
        about = (schema.metadata or {}).get(ABOUT.encode())
        found = None if about is None else About.from_json(about.decode(), self.name)
        self.pixels: Floats | None = None
        if found is not None:
            unit, medium = found.wavelength_unit, found.wavelength_medium
            self._wavelengths = WavelengthScale(unit, medium)
            self.pixels = vacuum_angstrom(found.wavelength, unit, medium, self.name)
        self.nuisances = None if found is None else found.nuisance_names
        self._fields = _fields(schema, self.name)
        self._is_normalised = found is not None or self._fields[0] == _FLUX[0]

    def catalogue(self, nuisances: tuple[str, ...]) -> pd.DataFrame:
        """Read all columns but the spectra."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        tables = []
        for path in self._paths:
            try:
                with pq.ParquetFile(path) as file:
                    names = [
                        field.name
                        for field in file.schema_arrow
                        if field.name not in (SPECTRUM, ABOUT)
                        and not pa.types.is_nested(field.type)
                    ]
                    table = file.read(columns=names).to_pandas()
            except _UNREADABLE as error:
                self._drop_unreadable(path, error)
                continue
            table["source"], table["split"] = path.name, _split_of(path)
            tables.append(table)
            self._readable.append(path)
            self._sizes.append(len(table))
        if not tables:
            return pd.DataFrame()
        return self._with_names(pd.concat(tables, ignore_index=True), nuisances)

    def pieces(self, wanted: npt.NDArray[np.bool_]) -> Iterator[Piece]:
        """Yield the spectra, some tens of megabytes at a time."""
        import pyarrow.parquet as pq

        start = 0
        for path, size in zip(self._readable, self._sizes, strict=True):
            if wanted[start : start + size].any():
                try:
                    with pq.ParquetFile(path) as file:
                        yield from self._of_file(file, wanted, start)
                except _UNREADABLE as error:
                    self._drop_unreadable(path, error)
            start += size

    def _of_file(self, file: Any, wanted: npt.NDArray[np.bool_], start: int) -> Iterator[Piece]:
        import pyarrow as pa

        # One group at a time: asked for all, Arrow reads ahead to the end of the file.
        for group in range(file.num_row_groups):
            for batch in file.iter_batches(_ROWS, row_groups=[group], columns=[SPECTRUM]):
                keep = wanted[start : start + len(batch)]
                rows = np.flatnonzero(keep) + start
                start += len(batch)
                spectra = batch.column(0).filter(pa.array(keep))
                given = spectra.is_valid().to_numpy(zero_copy_only=False)
                for row in rows[~given]:
                    self._drop(row, "has no spectrum", "; leave it out")
                if given.any():
                    yield from self._of_batch(spectra.filter(pa.array(given)), rows[given])

    def _of_batch(self, spectra: Any, rows: npt.NDArray[np.int64]) -> Iterator[Piece]:
        columns = {name: _lists(spectra, name) for name in self._fields}
        wavelengths = columns["lambda"]
        lengths = np.diff(wavelengths[1])
        # Rows that share their wavelengths are handled together; in most surveys all do.
        alike: dict[bytes, list[int]] = {}
        for row, length in enumerate(lengths):
            begin = wavelengths[1][row]
            key = wavelengths[0][begin : begin + length].tobytes()
            alike.setdefault(key, []).append(row)
        for members in alike.values():
            piece = self._piece(columns, np.array(members), rows)
            if piece is not None:
                yield piece

    def _piece(
        self,
        columns: dict[str, tuple[np.ndarray, np.ndarray]],
        members: npt.NDArray[np.int64],
        rows: npt.NDArray[np.int64],
    ) -> Piece | None:
        length = int(np.diff(columns["lambda"][1])[members[0]])
        arrays = {}
        for name, (values, offsets) in columns.items():
            right = np.diff(offsets)[members] == length
            for row in members[~right]:
                self._drop(rows[row], f"has {name} of another length than lambda", "; correct it")
            members = members[right]
            arrays[name] = (values, offsets)
        if not len(members):
            return None
        found = {
            name: np.stack([values[offsets[m] : offsets[m] + length] for m in members])
            for name, (values, offsets) in arrays.items()
        }
        scale = self._wavelengths
        try:
            wavelength = vacuum_angstrom(found["lambda"][0], scale.unit, scale.medium, self.name)
        except DataError:
            for row in members:
                self._drop(
                    rows[row], "has wavelengths that do not increase", "; sort its pixels by lambda"
                )
            return None
        flux, error = self._measured(found)
        shift = None if self._shift is None else self._shift[rows[members]]
        return Piece(rows[members], wavelength, flux, error, self._is_normalised, shift)

    def _measured(
        self, found: dict[str, np.ndarray]
    ) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32] | None]:
        flux_name, ivar_name, mask_name = self._fields[0], *self._names
        flux = found[flux_name].astype(np.float32)
        if ivar_name is None:
            return flux, None
        error = found[ivar_name].astype(np.float32)
        if ivar_name != "error":
            missing = ~(error > MISSING) | (error == 0)
            with np.errstate(divide="ignore", invalid="ignore"):
                error = np.where(missing, np.inf, np.sign(error) * np.abs(error) ** -0.5)
        if mask_name is not None:
            mask = found[mask_name]
            error[mask if mask.dtype == bool else is_bad(mask)] = np.inf
        return flux, error.astype(np.float32)

    def _with_names(self, table: pd.DataFrame, nuisances: tuple[str, ...]) -> pd.DataFrame:
        table.columns = [str(name).lower() for name in table.columns]
        labels = canonical(table, nuisances)
        stars = star_column(table.drop(columns=["source", "split"]), self.name)
        identifiers = unique(stars)
        velocity = numbers(table["radial_velocity"]) if "radial_velocity" in table else np.nan
        moving = np.zeros(len(table), bool)
        if "restframe" in table:
            moving = table["restframe"].isin([False]).to_numpy()  # empty is at rest, as APOGEE's
        self._shift = np.where(moving, velocity, 0.0) if moving.any() else None
        self._identifiers = identifiers.to_numpy(object)
        self._sources = table["source"].to_numpy(object)
        found = pd.DataFrame(
            {
                "identifier": identifiers,
                "star": stars,
                "source": table["source"],
                "combined": False,
                "velocity": velocity,
                "snr": numbers(table["snr"]) if "snr" in table else np.nan,
                "labels_of": np.where(
                    labels.filter(like=NUISANCE).notna().all(axis=1), "columns of the file", ""
                ),
            }
        )
        if set(table["split"]) == set(SPLITS):
            found["split"] = table["split"]
        if "group" in table:
            found["group"] = table["group"].map(text)
            if "split" in found:  # equal numbers are siblings within a split
                found["group"] = found["split"] + " " + found["group"]
        return pd.concat([found, labels], axis=1)

    def _first_schema(self) -> Any:
        import pyarrow.parquet as pq

        for path in self._paths:
            try:
                with pq.ParquetFile(path) as file:
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

    @property
    def _names(self) -> tuple[str | None, str | None]:
        """The fields of the errors and of the mask."""
        rest = self._fields[2:]
        errors = next((name for name in rest if name == "error" or name in _IVAR), None)
        return errors, next((name for name in rest if name != errors), None)

    def _drop(self, row: int, reason: str, advice: str) -> None:
        self._report.drop(self._identifiers[row], self._sources[row], reason, advice)

    def _drop_unreadable(self, path: Path, error: Exception) -> None:
        self._report.drop(
            "", path.name, "cannot be read", f"({one_line(error)[:150]}); download it again"
        )


def _fields(schema: Any, name: str) -> tuple[str, ...]:
    """Return the fields of the struct to read: flux, lambda, then errors and mask if present."""
    if SPECTRUM not in schema.names:
        raise DataError(
            f"{name} has no column {SPECTRUM}; give rows as the Multimodal Universe publishes them."
        )
    kind = schema.field(SPECTRUM).type
    kind = getattr(kind, "value_type", kind)
    present = [kind.field(number).name for number in range(getattr(kind, "num_fields", 0))]
    flux = next((field for field in _FLUX if field in present), None)
    if flux is None or "lambda" not in present:
        raise DataError(f"{name}: {SPECTRUM} lacks flux or lambda; add it to the struct.")
    errors = ("error", "ivar") if flux == "flux" else ("error", *_IVAR)
    found = [flux, "lambda"]
    for choices in (errors, ("mask", *_BITS)):
        found += [field for field in choices if field in present][:1]
    return tuple(found)


def _lists(spectra: Any, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Return the numbers of one field and the offsets [n + 1] of each row in them.

    A row without them has none, like any other of the wrong length.
    """
    import pyarrow as pa

    if isinstance(spectra.type, pa.StructType):
        lists = spectra.field(name)
        if isinstance(lists, pa.FixedSizeListArray):
            size = lists.type.list_size
            offsets = np.arange(len(lists) + 1) * size
            return _values(lists.flatten()), offsets
    else:  # a list of structs
        values = spectra.flatten().field(name)
        offsets = np.asarray(spectra.offsets)
        return _values(values), offsets - offsets[0]
    offsets = np.asarray(lists.offsets)
    return _values(lists.flatten()), offsets - offsets[0]


def _values(array: Any) -> np.ndarray:
    import pyarrow as pa

    if array.null_count:
        array = array.fill_null(True if pa.types.is_boolean(array.type) else 0)
    values: np.ndarray = array.to_numpy(zero_copy_only=False)
    return values


def _split_of(path: Path) -> str:
    """Return the split that a file's name states, empty if none."""
    match = re.match(rf"({'|'.join(SPLITS)})(?![A-Za-z])", path.stem)
    return match[1] if match else ""
