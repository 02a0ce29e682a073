"""A task's pairs as files that other frameworks read: HDF5, Parquet, or Hugging Face `datasets`.

Parquet comes with a dataset card and Croissant metadata; `starbench.tasks.survey.exporting` writes
surveys.

HDF5 has the layout of `starbench.tasks.storage.layout`. In the other two a row is a pair, with the
columns ``flux`` (2 x n_pixels), ``nuisance`` (2 x n_nuisance) and ``composition`` (n_elements; null
where it is withheld). Facts about the whole set are JSON in the column ``starbench``, in the first
row of each split and null in the others: the metadata of an Arrow table and the description of a
data set do not survive the way to the Hugging Face Hub and back, but a column does. Parquet files
have the same JSON as metadata too.

Tracks with noise export only the noisy flux.
"""

import logging
import re
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from starbench.common.progress import bar
from starbench.tasks.base import SPLITS, Spectra, Split, Task
from starbench.tasks.errors import DataError
from starbench.tasks.storage.about import ABOUT, About
from starbench.tasks.storage.description import CARD, CROISSANT, Field, describe
from starbench.tasks.storage.files import large_file
from starbench.tasks.storage.shuffled import ATTRIBUTE, order_name, shuffled_test
from starbench.tasks.storage.write_pairs import Chunks, counted, write_pairs
from starbench.tasks.survey.exporting import export_survey

log = logging.getLogger(__name__)

_HDF5_SUFFIXES = (".h5", ".hdf5")
# Files of a folder that may be replaced: data of an earlier export, and what comes with them. The
# last but one are written by `datasets` when somebody computes with an export.
_SPLIT = f"({'|'.join(SPLITS)})"
_DATA = re.compile(
    rf"{_SPLIT}\.parquet|dataset_dict\.json|{_SPLIT}/(dataset_info\.json|state\.json"
    rf"|data-\d+-of-\d+\.arrow|cache-[0-9a-f]+\.arrow|aspcapStar-starbench-\d+\.fits)"
)
_WITH_DATA = {CARD, CROISSANT}


def export(
    task: Task,
    scale: str,
    out: Path,
    form: str | None = None,
    *,
    withhold_composition: bool = False,
    twins: bool = False,
    force: bool = False,
    progress: bool = True,
) -> None:
    """Write all splits of a task atomically.

    Parameters
    ----------
    task : Task
    scale : str
    out : pathlib.Path
        A file for HDF5, otherwise a folder.
    form : {"hdf5", "parquet", "datasets", "fits"}, optional
        By default ``hdf5`` if `out` ends in .h5 or .hdf5, ``parquet`` if it has no suffix.
        ``datasets`` is for pairs, ``fits`` for surveys.
    withhold_composition : bool
        Leave out the composition of the test split.
    twins : bool
        Keep the pairs of the test split together, and its composition; by default its spectra are
        shuffled, as `starbench.tasks.storage.shuffled` describes. Own pairs stay as they are.
    force : bool
        Replace what an earlier export left at `out`.
    progress : bool
        Draw a progress bar.

    Raises
    ------
    DataError
        If `out` exists, or the format does not follow from it.
    OSError
        If the disk is full or takes no files; nothing is left behind.
    """
    form = _format(out, form)
    if task.card.has_stars and form != "hdf5":
        raise DataError(
            f"{task.name} has stars without a twin to train on, which only HDF5 holds; give OUT a "
            "name that ends in .h5."
        )
    _check_out(out, form, force)
    if form == "datasets":
        _check_name(out)
    shuffled = scale != "own" and not (twins or task.card.survey)
    sizes = task.sizes(scale)
    if task.card.has_model_pairs and form != "hdf5":
        log.warning(
            "The pairs of %s, on which methods that need twins or compositions are trained, are "
            "left out; only HDF5 holds them.",
            task.name,
        )
        sizes = {split: sizes[split] for split in SPLITS}
    task.prepare(scale, progress=progress)
    about = About.of_task(task, scale)
    if shuffled:
        about.facts[ATTRIBUTE] = order_name(task, scale)
    with_composition = tuple(split for split in sizes if task.has_composition(split))
    if withhold_composition:
        if "test" not in with_composition:
            raise DataError(
                f"{task.name} has no composition in test; remove --withhold-composition."
            )
        with_composition = tuple(split for split in with_composition if split != "test")
    if shuffled:
        with_composition = tuple(split for split in with_composition if split != "test")
    if not with_composition:  # of a survey whose pairs alone have one
        about = replace(about, elements=())
    n_bytes = about.n_bytes(sizes)
    copies = 2 if form == "datasets" else 1  # `datasets` copies its files, on the same disk
    with (
        large_file(out, n_bytes, "choose another OUT", copies=copies) as new,
        bar(label="export", total=sum(sizes.values()), unit="pair", quiet=not progress) as pairs,
    ):
        chunks = counted(
            lambda split: (
                shuffled_test(task, scale)
                if shuffled and split == "test"
                else task.chunks(split, scale)
            ),
            pairs,
        )
        if task.card.survey:
            export_survey(task, scale, new, form, about, with_composition, pairs)
        elif form == "fits":
            raise DataError(
                "--format fits is for surveys of single stars; give hdf5, parquet or datasets for "
                "pairs."
            )
        elif form == "hdf5":
            write_pairs(new, about, sizes, with_composition, chunks)
        else:
            errors = _errors(task)
            schema = _schema(about, errors)
            if form == "parquet":
                _write_parquet(new, about, schema, with_composition, chunks)
                columns = _fields(about, errors)
                describe(new, task, scale, columns, "parquet", is_shuffled=shuffled)
            else:
                _write_datasets(new, about, schema, with_composition, chunks)


def _format(out: Path, form: str | None) -> str:
    if form is not None:
        return form
    if out.suffix.lower() in _HDF5_SUFFIXES:
        return "hdf5"
    if re.fullmatch(r"\.[a-zA-Z]\w*", out.suffix):
        raise DataError(
            f"The suffix {out.suffix} of OUT {out} names no format; give a file .h5, a folder "
            "without a suffix, or --format."
        )
    return "parquet"


def _check_out(out: Path, form: str, force: bool) -> None:
    if not out.exists() and not out.is_symlink():
        return
    if not force:
        raise DataError(f"OUT {out} exists; give --force to replace it.")
    # A mistyped OUT must not delete a folder of other files.
    if out.is_dir() != (form != "hdf5") or (out.is_dir() and not _is_export(out)):
        raise DataError(f"OUT {out} is not an earlier export as {form}; give another OUT.")


def _check_name(out: Path) -> None:
    """Refuse a path that `datasets` would take for another.

    Raises
    ------
    DataError
    """
    text = str(out.absolute())
    if "::" in text or any("\ud800" <= character <= "\udfff" for character in text):
        raise DataError(
            f"OUT {out} holds `::` or bytes that are not UTF-8, which `datasets` cannot write to; "
            "choose another OUT, or give --format parquet."
        )


def _is_export(folder: Path) -> bool:
    """Return whether a folder is empty, or holds the files of an export and nothing else."""
    paths = list(folder.rglob("*"))
    names = {path.relative_to(folder).as_posix() for path in paths if not path.is_dir()}
    data = {name for name in names if _DATA.fullmatch(name)}
    folders = {path.name for path in paths if path.is_dir()}
    return names <= data | _WITH_DATA and folders <= set(SPLITS) and bool(data or not names)


def _schema(about: About, errors: tuple[str, ...]) -> pa.Schema:
    """Return the columns of a row; the same for all splits, as the Hub wants them."""
    fields = []
    for name in _numbers(about, errors):
        kind = pa.float32()
        for length in reversed(about.shape(name)):
            kind = pa.list_(kind, length)
        fields.append((name, kind))
    return pa.schema([*fields, (ABOUT, pa.string())])


def _numbers(about: About, errors: tuple[str, ...]) -> tuple[str, ...]:
    return ("flux", "nuisance", *errors, *(["composition"] if about.elements else []))


def _errors(task: Task) -> tuple[str, ...]:
    """Return which fields of errors the pairs have."""
    piece = task.make(SPLITS[0], 0, 1)
    return tuple(name for name in ("error", "nuisance_error") if getattr(piece, name) is not None)


def _fields(about: About, errors: tuple[str, ...]) -> list[Field]:
    """Return the columns of a row for the description of the files."""
    meanings = {
        "flux": "continuum-normalised flux of both spectra",
        "nuisance": f"{', '.join(about.nuisance_names)} of both spectra",
        "composition": f"{', '.join(about.elements)} [dex]; empty where withheld",
        "error": "standard deviation of the flux; infinite where masked",
        "nuisance_error": "standard deviation of the nuisance",
    }
    numbers = [
        Field(name, "cr:Float32", meanings[name], about.shape(name))
        for name in _numbers(about, errors)
    ]
    return [*numbers, Field(ABOUT, "sc:Text", "facts of the whole set, JSON in the first row")]


def _batch(
    piece: Split, schema: pa.Schema, with_composition: bool, text: str | None
) -> pa.RecordBatch:
    """Return pairs as rows, `text` in the first of them."""
    columns = []
    for field in schema:
        if field.name == ABOUT:
            columns.append(pa.array([text] + [None] * (len(piece) - 1), pa.string()))
        elif field.name == "composition" and not with_composition:
            columns.append(pa.nulls(len(piece), field.type))
        else:
            columns.append(_lists(getattr(piece, field.name)))
    return pa.record_batch(columns, schema=schema)


def _lists(values: Spectra) -> pa.Array:
    """Return an array [n, ...] as lists of lists, without copying the numbers."""
    array = pa.array(np.ascontiguousarray(values, np.float32).ravel())
    for length in reversed(values.shape[1:]):
        array = pa.FixedSizeListArray.from_arrays(array, length)
    return array


def _write_rows(
    writer: Any,
    split: str,
    about: About,
    schema: pa.Schema,
    with_composition: tuple[str, ...],
    chunks: Chunks,
) -> None:
    for rows, piece in chunks(split):
        text = about.to_json() if rows.start == 0 else None
        writer.write_batch(_batch(piece, schema, split in with_composition, text))


def _write_parquet(
    folder: Path, about: About, schema: pa.Schema, with_composition: tuple[str, ...], chunks: Chunks
) -> None:
    folder.mkdir()
    schema = schema.with_metadata({ABOUT: about.to_json()})
    for split in SPLITS:
        with (
            # An open file, as Arrow takes the path a:b/c for a URL.
            (folder / f"{split}.parquet").open("wb") as file,
            # Fluxes hardly repeat: a dictionary of them costs time and saves nothing.
            pq.ParquetWriter(file, schema, use_dictionary=False) as writer,
        ):
            _write_rows(writer, split, about, schema, with_composition, chunks)


def _write_datasets(
    folder: Path, about: About, schema: pa.Schema, with_composition: tuple[str, ...], chunks: Chunks
) -> None:
    """Write Arrow files beside `folder`, and let `datasets` save them in its own format."""
    from datasets import Dataset, DatasetDict  # takes seconds

    from starbench.tasks.own.hugging_face import no_bars

    splits = {}
    with TemporaryDirectory(prefix=f"{folder.name}.", dir=folder.parent) as beside:
        for split in SPLITS:
            path = Path(beside) / f"{split}.arrow"
            with pa.OSFile(str(path), "wb") as file, pa.ipc.new_stream(file, schema) as writer:
                _write_rows(writer, split, about, schema, with_composition, chunks)
            splits[split] = Dataset.from_file(str(path))
        with no_bars():
            DatasetDict(splits).save_to_disk(str(folder))
