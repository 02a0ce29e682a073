"""Ranks files: HDF5 with ``rank`` and ``tied`` of each star, checked when read.

Both datasets are ``[n_pairs, 2]``, in the smallest integers that hold their values.
"""

import hashlib
import io
import stat
from pathlib import Path
from typing import NamedTuple

import h5py
import numpy as np

from starbench.common.files import atomic_path
from starbench.common.hdf5_guards import (
    UNREADABLE,
    holds_itself,
    local_object,
    open_hdf5,
    read_numbers,
)
from starbench.results.text import RowError, printable

MAX_RANKS_BYTES = 16_000_000
MAX_PAIRS = 1_000_000


class Ranks(NamedTuple):
    """The ``rank`` of each star's twin, and the number ``tied`` with it: integers [n_pairs, 2]."""

    rank: np.ndarray
    tied: np.ndarray


def ranks_digest(rank: np.ndarray) -> str:
    """Return the SHA-256 of ranks as hexadecimal digits, which does not depend on their type."""
    return hashlib.sha256(np.ascontiguousarray(rank, dtype="<i4").tobytes()).hexdigest()


def write_ranks(path: Path, rank: np.ndarray, tied: np.ndarray) -> None:
    """Write the ranks of a run as HDF5, atomically: equal ranks give equal bytes.

    Parameters
    ----------
    path : pathlib.Path
    rank, tied : numpy.ndarray [n_pairs, 2], integers

    Raises
    ------
    RowError
        If they cannot be ranks.
    """
    rank, tied = _checked_ranks(np.asarray(rank), np.asarray(tied), "ranks")
    # Composed in memory: on a full disk the HDF5 library would crash the process as it exits.
    image = io.BytesIO()
    with h5py.File(image, "w") as file:
        for name, values in (("rank", rank), ("tied", tied)):
            # Most ranks are small: with the bytes shuffled, gzip sees runs of zeros.
            file.create_dataset(
                name,
                data=values.astype(np.min_scalar_type(int(values.max()))),
                chunks=values.shape,
                compression="gzip",
                compression_opts=9,
                shuffle=True,
                track_times=False,
            )
    with atomic_path(path) as temporary:
        temporary.write_bytes(image.getbuffer())


def read_ranks(path: Path) -> Ranks:
    """Read and check the ranks of a run.

    Raises
    ------
    RowError
        With one sentence that names the file and what is wrong.
    """
    check_file_size(Path(path), MAX_RANKS_BYTES, "ranks file")
    name = printable(path)
    try:
        with open_hdf5(path) as file:
            rank, tied = (_stored(file, field, name) for field in ("rank", "tied"))
    except RowError:
        raise
    except UNREADABLE:
        raise RowError(f"{name}: a damaged HDF5 file; copy it or run it again") from None
    return _checked_ranks(rank, tied, name)


def check_file_size(path: Path, most: int, kind: str) -> None:
    """Refuse a path that is not a regular file or is too large, before any of it is read.

    Symlinks are refused: one in a pull request would name a file of whoever checks it.

    Parameters
    ----------
    path : pathlib.Path
    most : int
        Largest size [bytes].
    kind : str
        Name of such a file in errors.

    Raises
    ------
    RowError
    """
    try:
        status = path.lstat()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "not a valid path"
        raise RowError(f"{printable(path)}: cannot be read ({reason})") from None
    if stat.S_ISLNK(status.st_mode):
        raise RowError(f"{printable(path)}: symlinks are refused; put the file itself there")
    if not stat.S_ISREG(status.st_mode):
        raise RowError(f"{printable(path)}: not a file")
    if status.st_size > most:
        raise RowError(
            f"{printable(path)}: has {status.st_size:,} bytes; a {kind} may have at most {most:,}"
        )


def _stored(file: h5py.File, name: str, path: str) -> np.ndarray:
    """Read one dataset of a ranks file, after a check of its type and shape."""
    if not holds_itself(file, name):
        raise RowError(f"{path}: dataset `{name}` is missing; a ranks file holds `rank` and `tied`")
    dataset = local_object(file, name)
    if not isinstance(dataset, h5py.Dataset):
        raise RowError(f"{path}: `{name}` should be a dataset stored in this file")
    if dataset.dtype.kind not in "iu" or dataset.ndim != 2 or dataset.shape[1] != 2:
        raise RowError(
            f"{path}: `{name}` should be integers [n_pairs, 2], not {dataset.dtype} {dataset.shape}"
        )
    refuse_wide_chunks(dataset, path)
    if not 1 <= dataset.shape[0] <= MAX_PAIRS:
        raise RowError(f"{path}: `{name}` should have 1 to {MAX_PAIRS:,} pairs")
    values: np.ndarray = read_numbers(dataset)
    return values


def refuse_wide_chunks(dataset: h5py.Dataset, path: str) -> None:
    """Refuse a dataset with chunks larger than itself: a small file could unpack to a large one.

    Raises
    ------
    RowError
    """
    chunks = dataset.chunks or dataset.shape
    if any(chunk > max(1, n) for chunk, n in zip(chunks, dataset.shape, strict=True)):
        raise RowError(
            f"{path}: `{dataset.name[1:]}` has chunks {dataset.chunks}; write it without chunks"
        )


def _checked_ranks(rank: np.ndarray, tied: np.ndarray, name: str) -> Ranks:
    """Return ranks as int64, after a check that they can be ranks among both stars of each pair."""
    for field, values, lowest in (("rank", rank, 1), ("tied", tied, 0)):
        if (
            values.dtype.kind not in "iu"
            or values.ndim != 2
            or values.shape[1] != 2
            or not len(values)
        ):
            raise RowError(
                f"{name}: `{field}` should be integers [n_pairs, 2], "
                f"not {values.dtype} {values.shape}"
            )
        if values.min() < lowest or values.max() >= values.size:
            raise RowError(f"{name}: `{field}` should lie between {lowest} and {values.size - 1}")
    if rank.shape != tied.shape:
        raise RowError(
            f"{name}: `rank` and `tied` should have one shape, not {rank.shape} and {tied.shape}"
        )
    if (tied >= rank).any():
        raise RowError(f"{name}: `tied` should be less than `rank`, which counts the ties")
    return Ranks(rank.astype(np.int64), tied.astype(np.int64))
