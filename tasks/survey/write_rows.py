"""A survey as rows of the Multimodal Universe, in Parquet: what `multimodal` reads.

In a row ``lsf_sigma`` is NaN, as a task does not state it, and ``restframe`` is true.
"""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from starbench.tasks.storage.about import ABOUT, About
from starbench.tasks.storage.description import Field
from starbench.tasks.survey.labels import column_name
from starbench.tasks.survey.multimodal import SPECTRUM
from starbench.tasks.survey.write import Stars

_ROWS = 256  # in a row group, which readers hold in memory


class RowsFile:
    """A Parquet file of one split in the making.

    Parameters
    ----------
    path : pathlib.Path
    about : About
    with_error, with_nuisance_error : bool
        Whether the stars have them.
    """

    def __init__(self, path: Path, about: About, with_error: bool, with_nuisance_error: bool):
        self._about = about
        self._fields = fields(about, with_error, with_nuisance_error)
        schema = pa.schema([(each.name, _arrow(each)) for each in self._fields])
        self._schema = schema.with_metadata({ABOUT: about.to_json()})
        self._path = path

    def write(self, batches: Iterable[Stars]) -> None:
        """Write all stars into the file."""
        # Only what repeats from row to row gains from a dictionary.
        repeated = [f"{SPECTRUM}.{name}.list.element" for name in ("lambda", "lsf_sigma")]
        with (
            # An open file, as Arrow takes the path a:b/c for a URL.
            self._path.open("wb") as file,
            # Without checksums, readers take damaged pages for data.
            pq.ParquetWriter(
                file, self._schema, use_dictionary=repeated, write_page_checksum=True
            ) as writer,
        ):
            for stars in batches:
                columns = self._columns(stars)
                arrays = [columns[field.name] for field in self._schema]
                table = pa.Table.from_arrays(arrays, schema=self._schema)
                writer.write_table(table, row_group_size=_ROWS)

    def _columns(self, stars: Stars) -> dict[str, pa.Array]:
        n, n_pixels = stars.flux.shape
        measured = np.ones(stars.flux.shape, bool)
        values: dict[str, np.ndarray] = {"flux": stars.flux}
        if stars.error is not None:
            measured = np.isfinite(stars.error)
            with np.errstate(over="ignore"):
                values["ivar"] = stars.error**-2.0
            values["error"] = stars.error
        values["lambda"] = np.broadcast_to(self._about.wavelength, (n, n_pixels))
        values["mask"] = ~measured
        values["lsf_sigma"] = np.full((n, n_pixels), np.nan, np.float32)
        struct = self._schema.field(SPECTRUM).type
        parts = [
            pa.FixedSizeListArray.from_arrays(
                pa.array(values[part.name].ravel(), part.type.value_type), n_pixels
            ).cast(part.type)
            for part in struct
        ]
        columns = {
            SPECTRUM: pa.StructArray.from_arrays(parts, fields=list(struct)),
            "object_id": pa.array(list(stars.identifier)),
            "group": pa.array(stars.group),
            "restframe": pa.array([True] * n),
        }
        for number, name in enumerate(self._about.nuisance_names):
            columns[column_name(name)] = pa.array(stars.nuisance[:, number])
            if stars.nuisance_error is not None:
                columns[f"{column_name(name)}_err"] = pa.array(stars.nuisance_error[:, number])
        for number, name in enumerate(self._about.elements):
            withheld = stars.composition is None
            columns[column_name(name)] = (
                pa.nulls(n, pa.float32()) if withheld else _column(stars.composition, number)
            )
        return columns


def fields(about: About, with_error: bool, with_nuisance_error: bool) -> list[Field]:
    """Return the columns of a row."""
    shape = (len(about.wavelength),)
    parts = [Field("flux", "cr:Float32", "continuum-normalised flux; 1 where masked", shape)]
    if with_error:
        parts += [
            Field("ivar", "cr:Float32", "inverse variance of the flux; 0 where masked", shape),
            Field("error", "cr:Float32", "standard deviation; infinite where masked", shape),
        ]
    parts += [
        # In float32, fine pixels are not those of the survey, and would be resampled on import.
        Field("lambda", "cr:Float64", f"wavelength [{about.wavelength_unit}]", shape),
        Field("mask", "sc:Boolean", "true where the pixel is bad", shape),
        Field("lsf_sigma", "cr:Float32", "width of the line spread; not known", shape),
    ]
    found = [
        Field(SPECTRUM, "", "the spectrum", parts=tuple(parts)),
        Field("object_id", "sc:Text", "name of the spectrum"),
        Field("group", "sc:Integer", "equal numbers are siblings within a split"),
        Field("restframe", "sc:Boolean", "whether the spectrum is at rest"),
    ]
    for name, unit in zip(about.nuisance_names, about.nuisance_units, strict=True):
        found.append(Field(column_name(name), "cr:Float32", f"{name} [{unit}]"))
        if with_nuisance_error:
            error = f"standard deviation of {name} [{unit}]"
            found.append(Field(f"{column_name(name)}_err", "cr:Float32", error))
    ratios = [Field(column_name(x), "cr:Float32", f"[{x}] [dex]") for x in about.elements]
    return found + ratios


def _arrow(field: Field) -> pa.DataType:
    if field.parts:
        return pa.struct([(part.name, pa.list_(_arrow(part))) for part in field.parts])
    return {
        "cr:Float32": pa.float32(),
        "cr:Float64": pa.float64(),
        "sc:Boolean": pa.bool_(),
        "sc:Text": pa.string(),
        "sc:Integer": pa.int64(),
    }[field.kind]


def _column(values: npt.NDArray[np.float32] | None, number: int) -> pa.Array:
    assert values is not None  # as the caller has checked
    return pa.array(values[:, number])
