"""Users' own pairs in tables: from the Hugging Face Hub, saved by `datasets`, or Parquet files.

Splits and columns are those of `starbench.tasks.export`. The rows are copied once into an
HDF5 file of the layout of `starbench.tasks.storage.layout`, in the user's cache under a digest of
their content. That file is then a task like any other file of pairs, with the same checks.
"""

import hashlib
import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from starbench.common.progress import bar
from starbench.common.text import listed, one_line
from starbench.tasks.base import SPLITS, Labels, Spectra, Split
from starbench.tasks.errors import DataError
from starbench.tasks.own.hdf5 import OwnData
from starbench.tasks.storage.about import ABOUT, About, check_names
from starbench.tasks.storage.cache import cache_folder
from starbench.tasks.storage.files import large_file
from starbench.tasks.storage.pairs_file import DATA_ADVICE
from starbench.tasks.storage.write_pairs import counted, write_pairs

log = logging.getLogger(__name__)

_COPY = "3"  # format of the copy; raise it when the same rows should be copied differently
_CHUNK_BYTES = 2**25  # of flux that is held at once
_FIELDS = ("flux", "nuisance", "composition")
_ERRORS = ("error", "nuisance_error")  # optional columns, in all splits or in none
_HUB_NAME = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")
_FILE_NAME = re.compile(r".*\.[A-Za-z]\w*")  # `pairs.h5`, but not `pairs-v1.0`


class PairTable(Protocol):
    """A table whose rows are pairs, read as Arrow tables from any source.

    Attributes
    ----------
    sizes : dict of str to int
        Number of rows of each split that is present.
    about : str or None
        The metadata `starbench` of the files, if they have any.
    """

    sizes: dict[str, int]
    about: str | None

    def columns(self, split: str) -> list[str]:
        """Return the names of the columns."""

    def tables(self, split: str, columns: list[str], n: int) -> Iterator[Any]:
        """Yield some columns in order, at most `n` rows at a time."""

    def digest(self, digest: Any) -> None:
        """Update a digest with the content."""


def is_table(data: Path) -> bool:
    """Return whether ``--data`` is a folder, or the name of a data set on the Hub."""
    return data.is_dir() or (not data.exists() and _is_hub_name(data))


def _is_hub_name(data: Path) -> bool:
    name = data.as_posix()
    return bool(_HUB_NAME.fullmatch(name)) and not _FILE_NAME.fullmatch(name)


def open_table(
    data: Path, cache: Path | None = None, *, snr: float | None = None, progress: bool = True
) -> OwnData:
    """Return the task of a table of pairs.

    Parameters
    ----------
    data : pathlib.Path
        A folder of `Dataset.save_to_disk`, a folder of Parquet files, or a name such as user/pairs
        of the Hugging Face Hub.
    cache : pathlib.Path, optional
        Folder of the HDF5 file.
    snr : float, optional
        Declared in place of the metadata's; see `OwnData`.
    progress : bool
        Draw a progress bar while rows are copied.

    Raises
    ------
    DataError
        If they cannot be loaded, or are not pairs.
    """
    source = str(data)
    rows = _open(data, progress)
    for split in SPLITS:
        if split in rows.sizes and "spectrum" in rows.columns(split):
            raise DataError(
                f"{source} holds rows of single stars; bring them into one file with `starbench "
                "data import` and give --data that file."
            )
        if split not in rows.sizes:
            raise DataError(f"{source} has no split {split}; it needs {', '.join(SPLITS)}.")
        for name in _FIELDS[:2]:
            if name not in rows.columns(split):
                raise DataError(f"{source}: {split} has no column {name}; add it.")
    about = About.from_json(_about(rows, source), source)
    check_names(about, source)
    unread = {name for split in SPLITS for name in rows.columns(split)}
    unread -= {*_FIELDS, *_ERRORS, ABOUT}
    if unread:
        log.warning("%s: nothing reads the columns %s.", source, listed(sorted(unread)))
    with_composition = tuple(split for split in SPLITS if _has_composition(rows, source, split))
    if with_composition and not about.elements:
        raise DataError(
            f"{source}: its metadata `{ABOUT}` has no elements, but {with_composition[0]} has a "
            "composition; add one string for each column."
        )
    digest = hashlib.sha256(_COPY.encode())
    rows.digest(digest)
    path = cache_folder(cache) / f"hugging-face-{digest.hexdigest()[:16]}.h5"
    if not path.exists():
        _copy(rows, source, about, with_composition, path, progress)
    reference = None if data.is_dir() else f"pairs in {source} of the Hugging Face Hub"
    return OwnData(path, source=data, reference=reference, cache=cache, snr=snr)


def _open(data: Path, progress: bool) -> PairTable:
    if not data.is_dir():
        return _Datasets(_from_hub(data.as_posix(), progress), data.as_posix())
    if (data / "dataset_dict.json").is_file():
        import datasets

        with _reading(str(data), "save it again with DatasetDict.save_to_disk"):
            return _Datasets(datasets.load_from_disk(str(data)), str(data))
    if (data / "state.json").is_file():
        raise DataError(
            f"{data} holds one split; save a DatasetDict of {', '.join(SPLITS)} with save_to_disk."
        )
    files = {split: _parquet_files(data, split) for split in SPLITS}
    if not any(files.values()):
        raise DataError(
            f"{data} holds neither Parquet files of {', '.join(SPLITS)} nor a data set of "
            f"DatasetDict.save_to_disk; {DATA_ADVICE}."
        )
    return _Parquet(files, data)


def _parquet_files(folder: Path, split: str) -> list[Path]:
    """Return a split's files: one, or all pieces as the Hub names them.

    Raises
    ------
    DataError
        If a piece is missing, or the split is there in two layouts.
    """
    layouts: dict[str, list[Path]] = {}
    for place in (folder, folder / "data"):
        for path in sorted(place.glob(f"{split}*.parquet")):
            if not path.is_file():  # a pipe would be waited for
                raise DataError(f"{path} is not a file; give a Parquet file of {split}.")
            if path.stem == split:
                layouts[str(path)] = [path]
            elif match := re.fullmatch(rf"{split}-(\d+)-of-(\d+)", path.stem):
                layouts.setdefault(f"{place / split}-*-of-{match[2]}.parquet", []).append(path)
    if len(layouts) > 1:
        raise DataError(
            f"{folder} holds {split} twice, as {' and as '.join(layouts)}; remove one of them."
        )
    for name, paths in layouts.items():
        if "-of-" not in paths[0].stem:
            continue
        n_pieces = int(paths[0].stem.rpartition("-")[2])
        numbers = [int(path.stem.split("-")[-3]) for path in paths]
        if numbers != list(range(n_pieces)):
            raise DataError(
                f"{name} has the pieces {', '.join(map(str, numbers))} of {n_pieces}, which are "
                f"numbered from 0; add those of {split} that are missing."
            )
    return [path for paths in layouts.values() for path in paths]


def _from_hub(name: str, progress: bool) -> Any:
    import datasets

    advice = "check the name, your access and the network, or give --data a file or folder"
    with _reading(
        name, advice, "is neither a file nor a folder here, and cannot be loaded from the Hub"
    ):
        if progress:
            return datasets.load_dataset(name)
        with no_bars():
            return datasets.load_dataset(name)


@contextmanager
def no_bars() -> Iterator[None]:
    """Keep `datasets` from drawing progress bars."""
    import datasets

    enabled = datasets.is_progress_bar_enabled()
    datasets.disable_progress_bars()
    try:
        yield
    finally:
        if enabled:
            datasets.enable_progress_bars()


@contextmanager
def _reading(source: str, advice: str, what: str = "cannot be read") -> Iterator[None]:
    """Turn a library's error about unreadable data into one sentence."""
    try:
        yield
    except DataError:
        raise
    except Exception as error:  # Arrow, `datasets` and the network raise many kinds
        reason = one_line(error).rstrip(".") or type(error).__name__
        raise DataError(f"{source} {what} ({reason[:300]}); {advice}.") from error


class _Parquet:
    """Parquet files, read by Arrow: `datasets` would copy them into its own cache."""

    def __init__(self, files: dict[str, list[Path]], folder: Path):
        import pyarrow.parquet as pq

        self._files, self._folder = files, folder
        self._columns: dict[str, list[str]] = {}
        self.sizes: dict[str, int] = {}
        self.about: str | None = None
        for split, paths in files.items():
            for path in paths:
                with self._reading(), pq.ParquetFile(path) as file:
                    self.sizes[split] = self.sizes.get(split, 0) + file.metadata.num_rows
                    self._columns[split] = file.schema_arrow.names
                    if self.about is None:
                        text = (file.schema_arrow.metadata or {}).get(ABOUT.encode())
                        self.about = None if text is None else text.decode(errors="surrogateescape")

    def columns(self, split: str) -> list[str]:
        return self._columns[split]

    def tables(self, split: str, columns: list[str], n: int) -> Iterator[Any]:
        import pyarrow as pa
        import pyarrow.parquet as pq

        for path in self._files[split]:
            with self._reading(), pq.ParquetFile(path) as file:
                # One group at a time: asked for all, Arrow reads ahead to the end of the file.
                for group in range(file.num_row_groups):
                    for batch in file.iter_batches(n, row_groups=[group], columns=columns):
                        batch.validate(full=True)
                        yield pa.Table.from_batches([batch])

    def digest(self, digest: Any) -> None:
        for split, paths in self._files.items():
            for path in paths:
                with path.open("rb") as file:
                    digest.update(split.encode() + hashlib.file_digest(file, "sha256").digest())

    def _reading(self) -> Any:
        return _reading(str(self._folder), "write its Parquet files again")


class _Datasets:
    """A `DatasetDict`, of a folder or of the Hub."""

    def __init__(self, splits: Any, source: str):
        self._splits, self._source = splits, source
        self.sizes = {split: len(splits[split]) for split in SPLITS if split in splits}
        self.about: str | None = None
        with self._reading():
            for split in self.sizes:
                splits[split].data.validate(full=True)  # Arrow ends the process at false offsets

    def columns(self, split: str) -> list[str]:
        return list(self._splits[split].column_names)

    def tables(self, split: str, columns: list[str], n: int) -> Iterator[Any]:
        selected = self._splits[split].select_columns(columns).with_format("arrow")
        with self._reading():
            yield from selected.iter(batch_size=n)

    def digest(self, digest: Any) -> None:
        # Not the fingerprint of `datasets`, which is random whenever it cannot trace how the
        # rows were made.
        for split in SPLITS:
            names = [name for name in (*_FIELDS, *_ERRORS, ABOUT) if name in self.columns(split)]
            digest.update(repr((split, names)).encode())
            for table in self.tables(split, names, 256):
                for batch in table.combine_chunks().to_batches():
                    digest.update(batch.serialize())

    def _reading(self) -> Any:
        return _reading(self._source, "save or load the data set again")


def _about(rows: PairTable, source: str) -> str:
    """Return the metadata `starbench`: the first text in the column, else those of the files."""
    for split in SPLITS:
        if ABOUT in rows.columns(split):
            for table in rows.tables(split, [ABOUT], 4096):
                for text in table.column(0).drop_null().to_pylist():
                    return str(text)
    if rows.about is None:
        raise DataError(
            f"{source} does not state its wavelengths and nuisances; add a column `{ABOUT}` with, "
            "in the first row, JSON of wavelength, nuisance_names, nuisance_units and elements."
        )
    return rows.about


def _has_composition(rows: PairTable, source: str, split: str) -> bool:
    """Return whether a split has a composition: in all rows or in none."""
    if "composition" not in rows.columns(split):
        return False
    absent = sum(t.column(0).null_count for t in rows.tables(split, ["composition"], 4096))
    if 0 < absent < rows.sizes[split]:
        raise DataError(
            f"{source}: {split} has no composition in {absent} of {rows.sizes[split]} rows; give "
            "it in all or in none."
        )
    return not absent


def _copy(
    rows: PairTable,
    source: str,
    about: About,
    with_composition: tuple[str, ...],
    path: Path,
    progress: bool,
) -> None:
    def chunks(split: str) -> Iterator[tuple[slice, Split]]:
        names = [name for name in _FIELDS if name != "composition" or split in with_composition]
        names += [name for name in _ERRORS if name in rows.columns(split)]
        step, start = _CHUNK_BYTES // (8 * about.shape("flux")[1] or 1) or 1, 0
        for table in rows.tables(split, names, step):
            values = {
                name: _as_array(table.column(name), about.shape(name), f"{source}: {split}/{name}")
                for name in names
            }
            stop = start + table.num_rows
            yield (
                slice(start, stop),
                Split(
                    values["flux"],
                    values["nuisance"],
                    values.get("composition"),
                    values["flux"],
                    error=values.get("error"),
                    nuisance_error=values.get("nuisance_error"),
                ),
            )
            start = stop

    n_bytes = about.n_bytes(rows.sizes)
    total = sum(rows.sizes[split] for split in SPLITS)
    with (
        large_file(path, n_bytes) as new,
        bar(label=f"copy {source}", total=total, unit="pair", quiet=not progress) as pairs,
    ):
        write_pairs(new, about, rows.sizes, with_composition, counted(chunks, pairs))
        OwnData(new, source=Path(source))  # checks the structure; a wrong file is not kept


def _as_array(column: Any, shape: tuple[int, ...], place: str) -> Spectra:
    """Return lists of lists of numbers as an array [n, *shape].

    Raises
    ------
    DataError
        If a row holds something else.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    n, words = len(column), " x ".join(map(str, shape))
    array = pa.concat_arrays([getattr(chunk, "storage", chunk) for chunk in column.chunks])
    for length in shape:
        if not isinstance(array, (pa.ListArray, pa.LargeListArray, pa.FixedSizeListArray)):
            raise DataError(f"{place} holds {array.type}; each row needs {words} numbers.")
        if array.null_count:
            raise DataError(f"{place} is empty in some row; each needs {words} numbers.")
        for n_values in pc.unique(pc.list_value_length(array)).to_pylist():
            if n_values != length:
                raise DataError(
                    f"{place} holds {n_values} values instead of {length}; each row needs {words} "
                    "numbers, according to the metadata."
                )
        array = array.flatten()
    if not pa.types.is_floating(array.type):
        raise DataError(f"{place} is of type {array.type}; store it as float32 or float64.")
    if array.null_count:
        raise DataError(f"{place} lacks a number in some row; give all of them.")
    values: Labels = array.to_numpy(zero_copy_only=False)
    with np.errstate(over="ignore"):  # an overflow becomes infinite, which is detected
        return values.astype(np.float32, copy=False).reshape(n, *shape)
