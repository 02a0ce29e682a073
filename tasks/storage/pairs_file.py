"""Reading files of pairs and surveys, of the layout of `starbench.tasks.storage.layout`."""

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt

from starbench.common.hdf5_guards import UNREADABLE, open_hdf5, read_numbers, require_end
from starbench.common.text import one_line
from starbench.tasks.base import Split
from starbench.tasks.errors import DataError
from starbench.tasks.storage.files import text_list
from starbench.tasks.storage.layout import read_structure

DATA_ADVICE = (
    "give --data an HDF5 file of pairs, or that which `starbench data import` makes of spectra"
)


class PairsFile:
    """A file of pairs or a survey; opening it checks its structure, but not its numbers.

    Parameters
    ----------
    path : pathlib.Path
    source : str
        How errors refer to the file.
    advice : str
        What to do about a file of another kind, for the error message.

    Attributes
    ----------
    structure : Structure
        What the file holds: metadata, sizes of the splits, optional fields.

    Raises
    ------
    DataError
        If the file cannot be opened or its structure is wrong: one sentence that names the file,
        the field and what to change.
    """

    def __init__(self, path: Path, source: str, advice: str = DATA_ADVICE):
        self.path, self.source = path, source
        if not path.is_file():
            raise DataError(f"{path} is not a file; give --data an HDF5 file of pairs.")
        try:
            require_end(self._open)
            self._open()
        except DataError:
            raise
        except UNREADABLE as error:
            raise DataError(
                f"{source} cannot be read as HDF5 ({one_line(error)}); {advice}."
            ) from error
        self._state = self._stat()

    def _open(self) -> None:
        with open_hdf5(self.path) as file:
            self.structure = read_structure(file, self.source)

    @property
    def changed(self) -> bool:
        """Whether the file on disk has changed since it was opened."""
        return self._stat() != self._state

    def read(self, split: str, rows: slice) -> Split:
        """Read a range of pairs as float32.

        Raises
        ------
        DataError
            If the file is damaged there, or has changed since it was opened.
        """
        if self.changed:
            raise DataError(f"{self.source} changed after it was opened; start the command again.")
        with open_hdf5(self.path) as file:
            flux = self._spectra(file, split, "flux", rows)
            nuisance = self._spectra(file, split, "nuisance", rows)
            composition = self._read_composition(file, split, rows)
            error = nuisance_error = group = None
            if self.structure.with_errors:
                error = self._spectra(file, split, "error", rows)
                flux[np.isinf(error)] = 1
            if self.structure.with_nuisance_errors:
                nuisance_error = self._spectra(file, split, "nuisance_error", rows)
            if self.structure.about.holds_stars(split):
                group = self._read_stored(file, split, "group", rows).astype(np.int64)
        return Split(
            flux, nuisance, composition, flux,
            error=error, group=group, nuisance_error=nuisance_error,
        )  # fmt: skip

    def groups(self, split: str) -> npt.NDArray[np.int64]:
        """Read the sibling groups of a survey's split [n_stars]."""
        with open_hdf5(self.path) as file:
            stored = self._read_stored(file, split, "group", slice(0, self.structure.sizes[split]))
        group: npt.NDArray[np.int64] = stored.astype(np.int64)
        return group

    def identifiers(self, split: str) -> list[str] | None:
        """Read the identifiers of the stars or pairs of a split; None if it has none."""
        if split not in self.structure.with_identifiers:
            return None
        with open_hdf5(self.path) as file:
            values = self._read_stored(
                file, split, "identifier", slice(0, self.structure.sizes[split])
            )
        return list(text_list(values))

    def labels(self, split: str) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32] | None]:
        """Read nuisance and composition of a split without its flux."""
        rows = slice(0, self.structure.sizes[split])
        with open_hdf5(self.path) as file:
            nuisance = self._spectra(file, split, "nuisance", rows)
            return nuisance, self._read_composition(file, split, rows)

    def _read_composition(
        self, file: h5py.File, split: str, rows: slice
    ) -> npt.NDArray[np.float32] | None:
        return (
            self._read(file, split, "composition", rows)
            if split in self.structure.with_composition
            else None
        )

    def _spectra(
        self, file: h5py.File, split: str, field: str, rows: slice
    ) -> npt.NDArray[np.float32]:
        """Read values of each spectrum, with the axis of the pairs also in a survey."""
        values = self._read(file, split, field, rows)
        return values[:, None] if self.structure.about.holds_stars(split) else values

    def _read(
        self, file: h5py.File, split: str, field: str, rows: slice
    ) -> npt.NDArray[np.float32]:
        values = self._read_stored(file, split, field, rows)
        with np.errstate(over="ignore"):  # an overflow becomes infinite, which is detected
            return np.ascontiguousarray(values, np.float32)

    def _read_stored(self, file: h5py.File, split: str, field: str, rows: slice) -> Any:
        try:
            return read_numbers(file[split][field], rows)
        except UNREADABLE as error:
            raise DataError(
                f"{self.source}: {split}/{field} cannot be read in {self.structure.items(split)} "
                f"{rows.start}-{rows.stop - 1} ({one_line(error)}); copy or write the file again."
            ) from error

    def _stat(self) -> tuple[int, int]:
        stat = self.path.stat()
        return stat.st_size, stat.st_mtime_ns
