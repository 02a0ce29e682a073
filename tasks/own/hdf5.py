"""Pairs of one's own: any HDF5 file of the layout of `starbench.tasks.storage.chunks`.

Needed are the groups ``train``, ``validation`` and ``test``, each with ``flux`` [n, 2, n_pixels]
and ``nuisance`` [n, 2, n_nuisance]; at the root ``wavelength`` [n_pixels] and the attributes
``nuisance_names`` and ``nuisance_units``. ``composition`` [n, n_elements] comes with the attribute
``elements``, in all splits, in none, or in all but ``test``, where it may be withheld. Numbers may
be stored in any floating-point type, compressed or not. Everything is checked before anything is
used; whatever is wrong is said in one sentence.
"""

import hashlib
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from tqdm import tqdm

from starbench.common.hdf5_guards import local_object
from starbench.tasks.base import SPLITS, Split, assemble
from starbench.tasks.errors import DataError
from starbench.tasks.storage.files import text_list

SCALE = "full"  # the only scale of own data
MAX_NUISANCES = 5
_NAME_LENGTH = 50  # characters of a file's name that become the task's
_CHUNK_BYTES = 2**25  # of flux that is held at once

# HDF5 meets damage with any of these.
_UNREADABLE = (OSError, RuntimeError, KeyError, ValueError, TypeError)


class OwnData:
    """A task made of a file of pairs.

    Parameters
    ----------
    path : pathlib.Path
    source : pathlib.Path, optional
        What the file is a copy of: named in place of it.

    Raises
    ------
    DataError
        If the file cannot be opened or its structure is wrong; its numbers are checked by
        `prepare`.
    """

    version = 1
    snr = None

    def __init__(self, path: Path, source: Path | None = None):
        self.path = Path(path)
        self._source = self.path if source is None else source
        stem = self.path.stem if source is None else source.name
        words = re.sub(r"[^a-z0-9]+", "-", stem.lower()).strip("-")
        self.name = "own-data-" + (words[:_NAME_LENGTH].strip("-") or "set")
        self.reference = f"pairs in {self._source.name}"
        self._digest: str | None = None
        if not self.path.is_file():
            raise DataError(f"{self.path} is not a file; give --data an HDF5 file of pairs.")
        try:
            with h5py.File(self.path, "r") as file:
                self._read_structure(file)
        except DataError:
            raise
        except _UNREADABLE as error:
            raise DataError(
                f"{self._source} cannot be read as HDF5 ({_one_line(error)}); "
                "give --data an HDF5 file of pairs."
            ) from error
        self._state = self._stat()

    def sizes(self, scale: str) -> dict[str, int]:
        """Return the number of pairs of each split; there is only the scale ``full``."""
        if scale != SCALE:
            raise DataError(f"--scale {scale} does not exist for --data, which has only {SCALE}.")
        return dict(self._sizes)

    def prepare(self, scale: str, *, progress: bool = True) -> None:
        """Read everything once: check the numbers and take the digest of the content.

        Raises
        ------
        DataError
            If a number is NaN or infinite, or a nuisance is the same for all spectra of the train
            split.
        """
        self.sizes(scale)
        if self._digest is not None and self._stat() == self._state:
            return
        header = [self.wavelength.tolist(), self.nuisance_names, self.nuisance_units, self.elements]
        digest = hashlib.sha256(json.dumps([header, self._sizes]).encode())
        total = sum(self._sizes.values())
        with tqdm(desc="check data", total=total, unit="pair", disable=not progress) as bar:
            for split in SPLITS:
                low, high = np.inf, -np.inf
                for rows, piece in self._pieces(split):
                    for field in ("flux", "nuisance", "composition"):
                        values = getattr(piece, field)
                        if values is not None:
                            self._check_finite(split, field, rows.start, values)
                            digest.update(memoryview(values).cast("B"))
                    low = np.minimum(low, piece.nuisance.min(axis=(0, 1)))
                    high = np.maximum(high, piece.nuisance.max(axis=(0, 1)))
                    bar.update(len(piece))
                for name in np.array(self.nuisance_names)[low == high] if split == "train" else ():
                    raise DataError(
                        f"{self._source}: the nuisance {name} has the same value in all "
                        "spectra of train; remove it or give spectra in which it varies."
                    )
        self._digest = digest.hexdigest()[:16]

    def chunks(self, split: str, scale: str) -> Iterator[tuple[slice, Split]]:
        """Yield a split piece by piece, in order."""
        self.prepare(scale, progress=False)
        return self._pieces(split)

    def labels_on_disk(self, split: str, scale: str) -> tuple[np.ndarray, np.ndarray | None]:
        """Read nuisance and composition of a split without its flux."""
        rows = slice(0, self.sizes(scale)[split])
        with h5py.File(self.path, "r") as file:
            nuisance = self._read(file, split, "nuisance", rows)
            composition = self._read_composition(file, split, rows)
        return nuisance, composition

    def load(self, split: str, scale: str) -> Split:
        """Return a split whole."""
        return assemble(self, split, scale)

    def fingerprint(self, scale: str) -> str:
        """Return a short digest of all that the file holds, as float32."""
        self.prepare(scale, progress=False)
        return self._digest

    def _pieces(self, split: str) -> Iterator[tuple[slice, Split]]:
        step = max(1, _CHUNK_BYTES // (8 * len(self.wavelength)))
        with h5py.File(self.path, "r") as file:
            if self._stat() != self._state:
                raise DataError(
                    f"{self._source} changed after it was opened; start the command again."
                )
            for start in range(0, self._sizes[split], step):
                rows = slice(start, min(start + step, self._sizes[split]))
                flux = self._read(file, split, "flux", rows)
                nuisance = self._read(file, split, "nuisance", rows)
                composition = self._read_composition(file, split, rows)
                yield rows, Split(flux, nuisance, composition, noiseless_flux=flux)

    def _read_composition(self, file: h5py.File, split: str, rows: slice) -> np.ndarray | None:
        return self._read(file, split, "composition", rows) if split in self._composed else None

    def _read(self, file: h5py.File, split: str, field: str, rows: slice) -> np.ndarray:
        try:
            values = file[split][field][rows]
        except _UNREADABLE as error:
            raise DataError(
                f"{self._source}: {split}/{field} cannot be read in pairs "
                f"{rows.start}-{rows.stop - 1} ({_one_line(error)}); copy or write the file again."
            ) from error
        with np.errstate(over="ignore"):  # too large for float32 becomes infinite, which is found
            return np.ascontiguousarray(values, np.float32)

    def _check_finite(self, split: str, field: str, start: int, values: np.ndarray) -> None:
        if np.isfinite(values).all():
            return
        wrong = ~np.isfinite(values).all(axis=tuple(range(1, values.ndim)))
        pair = start + int(np.argmax(wrong))
        what = "NaN" if np.isnan(values[pair - start]).any() else "infinite"
        raise DataError(
            f"{self._source}: {split}/{field} holds a value that is {what}, first in pair {pair}; "
            "mend that pair or leave it out."
        )

    def _read_structure(self, file: h5py.File) -> None:
        self.wavelength = self._read_wavelength(file)
        self.wavelength_unit = _unit(file["wavelength"])
        self.nuisance_names = self._names(file, "nuisance_names")
        self.nuisance_units = self._names(file, "nuisance_units")
        n_nuisance = len(self.nuisance_names)
        if not 1 <= n_nuisance <= MAX_NUISANCES:
            raise DataError(
                f"{self._source}: nuisance_names has {n_nuisance} names; "
                f"give 1 to {MAX_NUISANCES} nuisances."
            )
        if len(self.nuisance_units) != n_nuisance:
            raise DataError(
                f"{self._source}: nuisance_units has {len(self.nuisance_units)} units "
                f"for {n_nuisance} nuisance_names; give one for each."
            )
        self._composed = tuple(s for s in SPLITS if "composition" in self._group(file, s))
        if self._composed not in (SPLITS, SPLITS[:2], ()):
            lacking = next(s for s in SPLITS if s not in self._composed)
            raise DataError(
                f"{self._source}: {lacking} has no composition though {self._composed[0]} has; "
                "give it in all splits or in none, or leave it out of test alone."
            )
        self.elements = self._names(file, "elements") if self._composed else ()
        self._sizes = {split: self._check_split(file, split) for split in SPLITS}

    def _read_wavelength(self, file: h5py.File) -> np.ndarray:
        dataset = self._dataset(file, "wavelength", "wavelength")
        if dataset.ndim != 1 or not dataset.size:
            raise DataError(
                f"{self._source}: wavelength has shape {dataset.shape}; "
                "give one value for each pixel."
            )
        wavelength = np.asarray(dataset[()], np.float64)
        if not np.isfinite(wavelength).all() or not (np.diff(wavelength) > 0).all():
            raise DataError(
                f"{self._source}: wavelength does not increase from pixel to pixel; "
                "sort the pixels by it."
            )
        return wavelength

    def _check_split(self, file: h5py.File, split: str) -> int:
        """Check the shapes of a split and return its number of pairs."""
        flux = self._dataset(file[split], "flux", f"{split}/flux")
        n_pixels = len(self.wavelength)
        if flux.ndim != 3 or flux.shape[1] != 2:
            raise DataError(
                f"{self._source}: {split}/flux has shape {flux.shape}; give [pairs, 2, pixels]."
            )
        if flux.shape[2] != n_pixels:
            raise DataError(
                f"{self._source}: {split}/flux has {flux.shape[2]} pixels, but wavelength has "
                f"{n_pixels} values; give one wavelength for each pixel, the same for all splits."
            )
        n_pairs = len(flux)
        if not n_pairs:
            raise DataError(f"{self._source}: {split} holds no pairs; give at least one.")
        self._check_shape(
            file, split, "nuisance", (n_pairs, 2, len(self.nuisance_names)), "nuisance_names"
        )
        if split in self._composed:
            self._check_shape(file, split, "composition", (n_pairs, len(self.elements)), "elements")
        return n_pairs

    def _check_shape(
        self, file: h5py.File, split: str, field: str, wanted: tuple[int, ...], names: str
    ) -> None:
        found = self._dataset(file[split], field, f"{split}/{field}").shape
        if found != wanted:
            raise DataError(
                f"{self._source}: {split}/{field} has shape {found}, but the flux and the "
                f"attribute {names} ask for {wanted}; change whichever is wrong."
            )

    def _group(self, file: h5py.File, split: str) -> h5py.Group:
        group = local_object(file, split)
        if not isinstance(group, h5py.Group):
            raise DataError(f"{self._source} has no group {split}; it needs {', '.join(SPLITS)}.")
        return group

    def _dataset(self, group: h5py.Group, field: str, place: str) -> h5py.Dataset:
        dataset = local_object(group, field)
        if not isinstance(dataset, h5py.Dataset):
            raise DataError(f"{self._source} has no dataset {place} of its own; add it.")
        if dataset.dtype.kind != "f":
            raise DataError(
                f"{self._source}: {place} is of type {dataset.dtype}; "
                "store it as float32 or float64."
            )
        return dataset

    def _names(self, file: h5py.File, attribute: str) -> tuple[str, ...]:
        if attribute not in file.attrs:
            raise DataError(
                f"{self._source} has no attribute {attribute} at its root; "
                "add one text for each column."
            )
        names = text_list(file.attrs[attribute])
        unique = attribute == "nuisance_units" or len(set(names)) == len(names)
        if (
            not all(name.strip() for name in names) and attribute != "nuisance_units"
        ) or not unique:
            raise DataError(
                f"{self._source}: {attribute} is {list(names)}; give each column a name of its own."
            )
        return names

    def _stat(self) -> tuple[int, int]:
        found = self.path.stat()
        return found.st_size, found.st_mtime_ns


def _unit(dataset: h5py.Dataset) -> str:
    return text_list(dataset.attrs["unit"])[0] if "unit" in dataset.attrs else "Angstrom"


def _one_line(error: Any) -> str:
    return " ".join(str(error).split())
