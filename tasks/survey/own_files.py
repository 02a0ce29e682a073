"""starbench's own HDF5 files as a source: surveys, and pairs, whose halves are two siblings."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd

from starbench.common.hdf5_guards import open_hdf5, read_numbers
from starbench.tasks.arrays import Floats
from starbench.tasks.card import PAIRS, SPLITS
from starbench.tasks.storage.pairs_file import PairsFile
from starbench.tasks.survey.choices import WavelengthScale
from starbench.tasks.survey.labels import ERROR, NUISANCE, RATIO
from starbench.tasks.survey.spectra import CHUNK_BYTES, Piece
from starbench.tasks.survey.tables import unique
from starbench.tasks.survey.wavelengths import vacuum_angstrom


class OwnFile:
    """A file of the layout of `starbench.tasks.storage.layout`.

    Parameters
    ----------
    path : pathlib.Path
    source : str, optional
        What it is a copy of, for messages.

    Attributes
    ----------
    has_pairs : bool
        Whether it is a survey with pairs of a model, which an import does not read.
    label : str
        Goes before the names of groups, and of stars without an identifier; empty if there is no
        other source, whose names may be the same.

    Raises
    ------
    DataError
        If it is not such a file.
    """

    states_combined = False
    scale: WavelengthScale | None = None

    def __init__(self, path: Path, source: str | None = None):
        self.name = source or str(path)
        self.label = ""
        self._file = PairsFile(path, self.name, "copy or write it again")
        about = self._file.structure.about
        self.nuisances: tuple[str, ...] | None = about.nuisance_names
        self.units = dict(zip(about.nuisance_names, about.nuisance_units, strict=True))
        self._wavelength: Floats = vacuum_angstrom(
            about.wavelength,
            about.wavelength_unit,
            about.wavelength_medium,
            self.name,
            "correct the attribute unit of its dataset wavelength to Angstrom, nm, um or log10",
        )
        self.pixels: Floats | None = self._wavelength
        self.has_pairs = PAIRS in self._file.structure.sizes
        self._each = 1 if self._file.structure.survey else 2  # spectra in a row

    def catalogue(self, nuisances: tuple[str, ...]) -> pd.DataFrame:
        """Read the labels, groups and identifiers of all splits."""
        splits = [self._of_split(split, nuisances) for split in SPLITS]
        table = pd.concat(splits, ignore_index=True)
        return table.assign(identifier=unique(table["identifier"]))

    def pieces(self, wanted: npt.NDArray[np.bool_]) -> Iterator[Piece]:
        """Yield the spectra, some tens of megabytes at a time."""
        start = 0
        for split in SPLITS:
            each = self._each
            step = max(1, CHUNK_BYTES // (4 * each * len(self._wavelength)))
            for first in range(0, self._file.structure.sizes[split], step):
                rows = slice(first, min(first + step, self._file.structure.sizes[split]))
                places = np.arange(start + each * rows.start, start + each * rows.stop)
                keep = wanted[places]
                if keep.any():
                    piece = self._file.read(split, rows)
                    flux = piece.flux.reshape(-1, len(self._wavelength))[keep]
                    error, snr = piece.error, self._file.structure.about.snr
                    if error is not None:
                        error = error.reshape(-1, len(self._wavelength))[keep]
                    elif snr is not None:  # else the noise that the file declares would be lost
                        error = np.full_like(flux, 1 / snr)
                    yield Piece(places[keep], self._wavelength, flux, error, is_normalised=True)
            start += each * self._file.structure.sizes[split]

    def _of_split(self, split: str, nuisances: tuple[str, ...]) -> pd.DataFrame:
        about, n = self._file.structure.about, self._file.structure.sizes[split]
        each = self._each
        names = self._file.identifiers(split)
        if names is None:
            width = len(str(n - 1))
            start = f"{self.label}/" if self.label else ""
            names = [f"{start}{split}-{row:0{width}d}" for row in range(n)]
        group = self._file.groups(split) if self._file.structure.survey else np.arange(n)
        nuisance, composition = self._file.labels(split)
        halves = ("",) if each == 1 else ("a", "b")
        start = f"{self.label} {split}" if self.label else split
        found = {
            "identifier": [name + half for name in names for half in halves],
            "star": np.repeat(names, each),
            "source": self.name,
            "combined": False,
            "velocity": np.nan,
            "snr": np.nan,
            "labels_of": "the file",
            "split": split,
            "group": [f"{start} {number}" for number in np.repeat(group, each)],
        }
        table = pd.DataFrame(found)
        for column, name in enumerate(about.nuisance_names):
            if name in nuisances:
                table[NUISANCE + name] = nuisance[..., column].ravel()
                if self._file.structure.with_nuisance_errors:
                    table[ERROR + name] = self._nuisance_error(split)[..., column].ravel()
        if composition is not None:
            for column, name in enumerate(about.elements):
                table[RATIO + name] = np.repeat(composition[:, column], each)
        return table

    def _nuisance_error(self, split: str) -> npt.NDArray[np.float64]:
        with open_hdf5(self._file.path) as file:
            return np.asarray(read_numbers(file[f"{split}/nuisance_error"]), np.float64)
