"""starbench's own HDF5 files as a source: surveys, and pairs, whose halves are two siblings."""

from collections.abc import Iterator
from pathlib import Path

import h5py
import numpy as np
import numpy.typing as npt
import pandas as pd

from starbench.common.hdf5_guards import UNREADABLE, open_hdf5
from starbench.common.text import one_line
from starbench.tasks.arrays import Floats
from starbench.tasks.card import SPLITS
from starbench.tasks.errors import DataError
from starbench.tasks.storage.layout import PairsFile
from starbench.tasks.survey.labels import ERROR, NUISANCE, RATIO
from starbench.tasks.survey.spectra import CHUNK_BYTES, Piece
from starbench.tasks.survey.tables import text
from starbench.tasks.survey.wavelengths import vacuum_angstrom


class OwnFile:
    """A file of the layout of `starbench.tasks.storage.layout`.

    Parameters
    ----------
    path : pathlib.Path
    source : str, optional
        What it is a copy of, for messages.

    Raises
    ------
    DataError
        If it is not such a file.
    """

    def __init__(self, path: Path, source: str | None = None):
        self.name = source or str(path)
        self._file = PairsFile(path, self.name)
        about = self._file.about
        self.nuisances: tuple[str, ...] | None = about.nuisance_names
        self._wavelength: Floats = vacuum_angstrom(
            about.wavelength, about.wavelength_unit, about.wavelength_medium, self.name
        )
        self.pixels: Floats | None = self._wavelength
        self._each: dict[str, int] = {}  # spectra in a row of each split

    def catalogue(self, nuisances: tuple[str, ...]) -> pd.DataFrame:
        """Read the labels, groups and identifiers of all splits."""
        return pd.concat([self._of_split(split, nuisances) for split in SPLITS], ignore_index=True)

    def pieces(self, wanted: npt.NDArray[np.bool_]) -> Iterator[Piece]:
        """Yield the spectra, some tens of megabytes at a time."""
        start = 0
        for split in SPLITS:
            each = self._each[split]
            step = max(1, CHUNK_BYTES // (4 * each * len(self._wavelength)))
            for first in range(0, self._file.sizes[split], step):
                rows = slice(first, min(first + step, self._file.sizes[split]))
                places = np.arange(start + each * rows.start, start + each * rows.stop)
                keep = wanted[places]
                if keep.any():
                    piece = self._file.read(split, rows)
                    flux = piece.flux.reshape(-1, len(self._wavelength))[keep]
                    error = piece.error
                    if error is not None:
                        error = error.reshape(-1, len(self._wavelength))[keep]
                    yield Piece(places[keep], self._wavelength, flux, error, is_normalised=True)
            start += each * self._file.sizes[split]

    def _of_split(self, split: str, nuisances: tuple[str, ...]) -> pd.DataFrame:
        about, n = self._file.about, self._file.sizes[split]
        with open_hdf5(self._file.path) as file:
            each = 1 if file[f"{split}/flux"].ndim == 2 else file[f"{split}/flux"].shape[1]
            names = _texts(file, f"{split}/identifier")
            group = self._read(file, f"{split}/group")
            errors = self._read(file, f"{split}/nuisance_error")
        self._each[split] = each
        nuisance, composition = self._file.labels(split)
        if names is None:
            width = len(str(n - 1))
            names = np.array([f"{split}-{row:0{width}d}" for row in range(n)], object)
        if group is None:
            group = np.arange(n)
        found = {
            "identifier": [
                name + ("ab"[half] if each == 2 else "") for name in names for half in range(each)
            ],
            "star": np.repeat(names, each),
            "source": self.name,
            "combined": False,
            "velocity": np.nan,
            "snr": np.nan,
            "labels_of": "the file",
            "split": split,
            "group": [f"{split} {number}" for number in np.repeat(group, each)],
        }
        table = pd.DataFrame(found)
        for column, name in enumerate(about.nuisance_names):
            if name in nuisances:
                table[NUISANCE + name] = nuisance[..., column].ravel()
                if errors is not None:
                    table[ERROR + name] = errors[..., column].ravel()
        if composition is not None:
            for column, name in enumerate(about.elements):
                table[RATIO + name] = np.repeat(composition[:, column], each)
        return table

    def _read(self, file: h5py.File, place: str) -> np.ndarray | None:
        if place not in file:
            return None
        try:
            values: np.ndarray = file[place][()]
        except UNREADABLE as error:
            raise DataError(
                f"{self.name}: {place} cannot be read ({one_line(error)}); write the file again."
            ) from error
        return values


def _texts(file: h5py.File, place: str) -> npt.NDArray[np.object_] | None:
    if place not in file:
        return None
    return np.array([text(value) for value in file[place][()]], object)
