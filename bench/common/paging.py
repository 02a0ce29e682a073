"""Arrays larger than the memory: passes over rows that stay in files until they are read.

A `numpy.memmap` counts as memory of the process as far as it has been read, until the system needs
that memory for something else. `walk` gives it back after every part.
"""

import math
import mmap
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

import numpy as np


class Rows(Protocol):
    """Rows of numbers that can be read in slices: an array, or one that makes them when read."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Number of rows, and of numbers in each."""

    def __len__(self) -> int:
        """Return the number of rows."""

    def __getitem__(self, rows: Any, /) -> np.ndarray:
        """Return some rows."""


def on_disk(array: object) -> bool:
    """Return whether an array is a file mapped to memory."""
    return isinstance(array, np.memmap)


def release(array: object) -> None:
    """Give back the memory of the parts of a mapped file that have been read; else do nothing."""
    _advise(array, "MADV_DONTNEED")


def expect_order(array: object, *, in_order: bool) -> None:
    """Tell the system whether the rows of a mapped file will be used in order; else do nothing.

    By default it reads ahead at every row, also at rows that are about to be written: rows written
    in a random order would each cost the reading of several others.
    """
    _advise(array, "MADV_NORMAL" if in_order else "MADV_RANDOM")


def _advise(array: object, advice: str) -> None:
    while isinstance(array, np.ndarray):
        array = array.base
    if isinstance(array, mmap.mmap) and hasattr(mmap, advice):
        array.madvise(getattr(mmap, advice))


def rows_on_disk(shape: tuple[int, ...], folder: Path) -> np.ndarray:
    """Return an array of float32 in a file of a folder, which vanishes with the array.

    Raises
    ------
    OSError
        If the disk is full.
    """
    folder.mkdir(parents=True, exist_ok=True)
    n_bytes = 4 * math.prod(shape)
    with tempfile.TemporaryFile(dir=folder) as file:
        file.truncate(n_bytes)
        if hasattr(os, "posix_fallocate"):  # a disk that fills up later would end the process
            os.posix_fallocate(file.fileno(), 0, n_bytes)
        return np.memmap(file, np.float32, "r+", shape=shape)


def walk(size: int, *arrays: Rows) -> Iterator[tuple[Any, ...]]:
    """Yield arrays of equal length in parts, each as its slice of rows and the parts.

    Parameters
    ----------
    size : int
        Rows in a part.
    *arrays : Rows

    Examples
    --------
    >>> [(rows.start, part.tolist()) for rows, part in walk(2, np.arange(3))]
    [(0, [0, 1]), (2, [2])]
    """
    for start in range(0, len(arrays[0]), size):
        rows = slice(start, min(start + size, len(arrays[0])))
        yield rows, *(np.asarray(array[rows]) for array in arrays)
        for array in arrays:
            release(array)
