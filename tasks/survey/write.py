"""Writing a survey in the HDF5 layout of `starbench.tasks.storage.layout`, star after star."""

import json
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import h5py
import numpy as np
import numpy.typing as npt

from starbench.common.files import new_hdf5
from starbench.tasks.arrays import Spectra
from starbench.tasks.base import Split
from starbench.tasks.card import PAIRS, SPLITS
from starbench.tasks.storage.about import About
from starbench.tasks.storage.write_pairs import write_split

_CHUNK_BYTES = 2**18  # of flux in a chunk of the file: spectra are read one by one, shuffled


@dataclass(frozen=True)
class Stars:
    """Consecutive stars of one split.

    Attributes
    ----------
    flux, error : numpy.ndarray [n, n_pixels], float32
        The error is infinite in masked pixels; None where no errors are known.
    nuisance, nuisance_error : numpy.ndarray [n, n_nuisance], float32
        The errors are None where they are not known.
    group : numpy.ndarray [n], int64
    identifier : sequence of str
    composition : numpy.ndarray [n, n_elements], float32, or None
    """

    flux: Spectra
    error: Spectra | None
    nuisance: npt.NDArray[np.float32]
    nuisance_error: npt.NDArray[np.float32] | None
    group: npt.NDArray[np.int64]
    identifier: Sequence[str]
    composition: npt.NDArray[np.float32] | None = None


@dataclass
class SurveyFile:
    """A survey in the making, whose number of stars need not be known.

    Parameters
    ----------
    path : pathlib.Path
        Written in place: the caller moves it once it is complete.
    about : About
    """

    path: Path
    about: About
    sizes: dict[str, int] = field(default_factory=lambda: dict.fromkeys(SPLITS, 0))

    def __enter__(self) -> Self:
        """Create the file."""
        self._opened = ExitStack()
        self._file = self._opened.enter_context(new_hdf5(self.path))
        self._file["wavelength"] = self.about.wavelength
        self._file.attrs.update(self.about.facts)
        if self.about.snr is not None:
            self._file.attrs["snr"] = self.about.snr
        self._file["wavelength"].attrs["unit"] = self.about.wavelength_unit
        self._file["wavelength"].attrs["medium"] = self.about.wavelength_medium
        self._file.attrs["nuisance_names"] = list(self.about.nuisance_names)
        self._file.attrs["nuisance_units"] = list(self.about.nuisance_units)
        if self.about.elements:
            self._file.attrs["elements"] = list(self.about.elements)
        for split in SPLITS:
            self._file.create_group(split)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the file."""
        self._opened.__exit__(kind, error, trace)

    def append(self, split: str, stars: Stars) -> None:
        """Add stars at the end of a split."""
        start = self.sizes[split]
        stop = start + len(stars.flux)
        values: dict[str, Any] = {
            "flux": stars.flux,
            "error": stars.error,
            "nuisance": stars.nuisance,
            "nuisance_error": stars.nuisance_error,
            "composition": stars.composition,
            "group": stars.group,
            "identifier": np.array(stars.identifier, object),
        }
        for name, rows in values.items():
            if rows is not None:
                place = self._place(split, name, rows)
                place.resize(stop, axis=0)
                place[start:stop] = rows
                self._file.check()
        self.sizes[split] = stop

    def add_pairs(
        self, n: int, pieces: Iterable[tuple[slice, Split]], *, with_composition: bool
    ) -> None:
        """Add pairs of a model, of which there are `n`, in pieces with the ranges they cover."""
        write_split(self._file, self.about, PAIRS, n, pieces, with_composition=with_composition)

    def describe(self, provenance: dict[str, Any]) -> None:
        """Keep where the stars come from, as JSON in the attribute `provenance`."""
        self._file.attrs["provenance"] = json.dumps(provenance)

    def _place(self, split: str, name: str, rows: np.ndarray) -> h5py.Dataset:
        group = self._file[split]
        if name not in group:
            shape = rows.shape[1:]
            kind = h5py.string_dtype() if name == "identifier" else rows.dtype.newbyteorder("<")
            n_rows = max(1, _CHUNK_BYTES // (8 * int(np.prod(shape, dtype=int))))
            group.create_dataset(
                name,
                (0, *shape),
                kind,
                maxshape=(None, *shape),
                chunks=(n_rows, *shape),
                track_times=False,
            )
        return group[name]
