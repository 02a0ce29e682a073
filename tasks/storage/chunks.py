"""One HDF5 file of pairs, in chunks that can each be checked and rebuilt alone.

The file has the layout of `starbench.tasks.storage.layout`, so that it can be read as a user's own
pairs too. In addition each group has ``digest``, one number per chunk, and the root has attributes
that state what the file was made from.

HDF5 creates the file once, with every array in one piece; after that only numbers are read and
written at known offsets. A build that is killed at any moment therefore leaves a readable file that
states which chunks it holds, errors of the disk arrive unchanged, and reading runs at the speed of
the disk.
"""

import zlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import h5py
import numpy as np
import numpy.typing as npt

from starbench.common.hdf5_guards import OpenElsewhere, bounded_memory, open_hdf5, require_end
from starbench.common.text import listed, one_line
from starbench.tasks.arrays import Floats, Spectra
from starbench.tasks.base import SPLITS, Split
from starbench.tasks.card import Medium
from starbench.tasks.storage.files import reserve_space, text_list

_FIELDS = ("flux", "nuisance", "composition")
_Array = npt.NDArray[Any]
_WRITTEN = (
    1 << 32
)  # set above the 32 bits of a chunk's CRC, so that a chunk never written reads as 0


class Damaged(Exception):
    """A file, or one chunk of it, does not hold what it should; the text says what is wrong."""


@dataclass(frozen=True)
class Header:
    """What a file states about its content.

    Attributes
    ----------
    wavelength : numpy.ndarray [n_pixels], float64
    wavelength_unit : str
    wavelength_medium : {"vacuum", "air", "unknown"}
    nuisance_names, nuisance_units, elements : tuple of str
    pairs : dict of str to int
        Number of pairs of each split.
    chunk_pairs : int
        Number of pairs in a chunk; the last of a split may be shorter.
    facts : dict of str to str or int
        What the file was made from: task, version, scale, emulator.
    """

    wavelength: Floats
    wavelength_unit: str
    wavelength_medium: Medium
    nuisance_names: tuple[str, ...]
    nuisance_units: tuple[str, ...]
    elements: tuple[str, ...]
    pairs: dict[str, int]
    chunk_pairs: int
    facts: dict[str, str | int] = field(default_factory=dict)

    def shape(self, split: str, name: str) -> tuple[int, ...]:
        """Return the shape of a dataset of a split."""
        n = self.pairs[split]
        return {
            "flux": (n, 2, len(self.wavelength)),
            "nuisance": (n, 2, len(self.nuisance_names)),
            "composition": (n, len(self.elements)),
            "digest": (-(-n // self.chunk_pairs),),
        }[name]

    @property
    def chunks(self) -> list[tuple[str, int]]:
        """All chunks, as split and number within it."""
        return [(split, i) for split in SPLITS for i in range(self.shape(split, "digest")[0])]

    def rows(self, split: str, chunk: int) -> slice:
        """Return the range of pairs of a chunk."""
        start = chunk * self.chunk_pairs
        return slice(start, min(start + self.chunk_pairs, self.pairs[split]))

    @property
    def n_bytes(self) -> int:
        """Size of the numbers in a file [bytes]; its metadata add some 10 kB."""
        sizes = [4 * np.prod(self.shape(s, name)) for s in SPLITS for name in _FIELDS]
        return int(sum(sizes)) + self.wavelength.nbytes

    def _attributes(self) -> dict[str, Any]:
        return {
            **self.facts,
            "chunk_pairs": self.chunk_pairs,
            "nuisance_names": list(self.nuisance_names),
            "nuisance_units": list(self.nuisance_units),
            "elements": list(self.elements),
        }


class Store:
    """A file of chunks.

    Parameters
    ----------
    path : pathlib.Path
    header : Header
        The expected header.
    """

    def __init__(self, path: Path, header: Header):
        self.path = path
        self.header = header
        self._offset: dict[tuple[str, str], int] | None = None

    def create(self) -> None:
        """Create the file with no chunk written; an existing file is replaced.

        Raises
        ------
        OSError
            If the disk has no room for the whole file.
        """
        layout = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        layout.set_layout(h5py.h5d.CONTIGUOUS)
        layout.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
        layout.set_fill_time(h5py.h5d.FILL_TIME_NEVER)
        self._offset = None
        self.path.parent.mkdir(parents=True, exist_ok=True)
        reserve_space(self.path, self.header.n_bytes)
        with h5py.File(self.path, "w", locking=False) as file:
            file["wavelength"] = self.header.wavelength
            file["wavelength"].attrs["unit"] = self.header.wavelength_unit
            file["wavelength"].attrs["medium"] = self.header.wavelength_medium
            for split in SPLITS:
                group = file.create_group(split)
                group["digest"] = np.zeros(self.header.shape(split, "digest"), "<u8")
                group["digest"].attrs["what"] = (
                    "2**32 + CRC-32 of a chunk's flux, nuisance, composition"
                )
                for name in _FIELDS:
                    group.create_dataset(
                        name, self.header.shape(split, name), "<f4", dcpl=layout.copy()
                    )
            # Last, so that a file that has them is complete.
            file.attrs.update(self.header._attributes())

    def check(self) -> None:
        """Check the header and the length of the file; reads no flux.

        Raises
        ------
        Damaged
            If the file is missing, truncated, not HDF5, or holds other data.
        """
        if not self.path.exists():
            raise Damaged("is missing")
        try:
            require_end(self._read_structure)
            self._read_structure()
        except (Damaged, OpenElsewhere):
            raise
        except Exception as error:  # HDF5 meets damage with many kinds of exception
            if "truncated" in str(error):
                raise Damaged("is truncated") from error
            raise Damaged(f"cannot be read as HDF5 ({one_line(error)})") from error
        assert self._offset is not None  # which `_read_structure` has set
        if None in self._offset.values():
            raise Damaged("stores its arrays in HDF5 chunks, so starbench did not write it")
        end = max(
            self._offset[s, n] + 4 * np.prod(self.header.shape(s, n)) for s, n in self._offset
        )
        if self.path.stat().st_size < end:
            raise Damaged("is truncated")

    def _read_structure(self) -> None:
        with open_hdf5(self.path) as file, bounded_memory():
            self._compare(file)
            self._offset = {
                (split, name): file[split][name].id.get_offset()
                for split in SPLITS
                for name in (*_FIELDS, "digest")
            }

    def _compare(self, file: h5py.File) -> None:
        for name, expected in self.header._attributes().items():
            stored = file.attrs.get(name)
            if isinstance(expected, list):
                stored, expected = stored if stored is None else text_list(stored), tuple(expected)
            if stored is None or stored != expected:
                raise Damaged(f"has {name} = {listed([str(stored)])} instead of {expected}")
        if not np.array_equal(file["wavelength"][()], self.header.wavelength):
            raise Damaged("holds a different wavelength grid")
        # Files of earlier versions do not state it.
        medium = file["wavelength"].attrs.get("medium", self.header.wavelength_medium)
        if medium != self.header.wavelength_medium:
            raise Damaged(
                f"states wavelengths in {medium} instead of {self.header.wavelength_medium}"
            )
        for split in SPLITS:
            for name in (*_FIELDS, "digest"):
                dataset, shape = file[split][name], self.header.shape(split, name)
                if dataset.shape != shape or dataset.dtype != (
                    "<u8" if name == "digest" else "<f4"
                ):
                    raise Damaged(f"holds {split}/{name} of shape {dataset.shape}, not {shape}")

    def is_written(self, split: str, chunk: int) -> bool:
        """Return whether a chunk has been written."""
        return bool(self._digest(split, chunk))

    def read(self, split: str, chunk: int) -> Split:
        """Read a chunk and check it.

        Raises
        ------
        Damaged
            If the chunk is not what was written there.
        """
        rows = self.header.rows(split, chunk)
        arrays = [self._read(split, name, rows) for name in _FIELDS]
        if self._digest(split, chunk) != _digest(arrays):
            raise Damaged(f"{split} chunk {chunk} (pairs {rows.start}-{rows.stop - 1}) is damaged")
        flux, nuisance, composition = arrays
        return Split(flux, nuisance, composition, noiseless_flux=flux)

    def labels(self, split: str) -> tuple[Spectra, Spectra]:
        """Read nuisance [n, 2, n_nuisance] and composition [n, n_elements], unchecked."""
        rows = slice(0, self.header.pairs[split])
        return self._read(split, "nuisance", rows), self._read(split, "composition", rows)

    def write(self, split: str, chunk: int, piece: Split) -> None:
        """Write a chunk in place, its digest last."""
        rows = self.header.rows(split, chunk)
        arrays = [
            np.ascontiguousarray(getattr(piece, name), "<f4").reshape(
                rows.stop - rows.start, *self.header.shape(split, name)[1:]
            )
            for name in _FIELDS
        ]
        with self.path.open("r+b") as file:
            # While the chunk is half-written its digest says that it is missing.
            self._put(file, split, "digest", chunk, np.zeros(1, "<u8"))
            for name, array in zip(_FIELDS, arrays, strict=True):
                self._put(file, split, name, rows.start, array)
            self._put(file, split, "digest", chunk, np.array([_digest(arrays)], "<u8"))

    def _place(self, split: str, name: str, row: int) -> int:
        if self._offset is None:
            self.check()
        assert self._offset is not None  # which `check` has set
        item = 8 if name == "digest" else 4
        return self._offset[split, name] + item * row * int(
            np.prod(self.header.shape(split, name)[1:], dtype=int)
        )

    def _put(self, file: BinaryIO, split: str, name: str, row: int, array: _Array) -> None:
        file.seek(self._place(split, name, row))
        file.write(array.data.cast("B"))
        file.flush()

    def _read(self, split: str, name: str, rows: slice) -> _Array:
        shape = (rows.stop - rows.start, *self.header.shape(split, name)[1:])
        array = np.empty(shape, "<u8" if name == "digest" else "<f4")
        offset = self._place(split, name, rows.start)
        with self.path.open("rb") as file:
            file.seek(offset)
            if file.readinto(array.data.cast("B")) != array.nbytes:
                raise Damaged("is truncated")
        return array

    def _digest(self, split: str, chunk: int) -> int:
        return int(self._read(split, "digest", slice(chunk, chunk + 1))[0])


def _digest(arrays: list[_Array]) -> int:
    """Return the digest of a chunk: CRC-32 is fast and misses one fault in four billion."""
    crc = 0
    for array in arrays:
        crc = zlib.crc32(array.data.cast("B"), crc)
    return _WRITTEN | crc
