"""The HDF5 layout of pairs, in which tasks are exported and users bring their own.

Required are the groups ``train``, ``validation`` and ``test``, each with ``flux`` [n, 2, n_pixels]
and ``nuisance`` [n, 2, n_nuisance]; at the root ``wavelength`` [n_pixels], increasing, with
optional attributes ``unit`` and ``medium`` (``vacuum`` or ``air``), and the attributes
``nuisance_names`` and ``nuisance_units``. The attribute ``snr`` declares the noise of the flux, as
a signal-to-noise ratio per pixel. ``composition`` [n, n_elements] comes with the attribute
``elements``, in all splits, in none, or in all but ``test``, where it may be withheld. Numbers may
be stored in any floating-point type, compressed or not. Links to other files and storage outside
the file are refused.

A further group ``stars`` may hold single stars of distinct compositions, with arrays [n, 1, ...] in
place of [n, 2, ...]: methods that may not use twins are trained on them, the others on ``train``.
"""

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt
from tqdm import tqdm

from starbench.common.hdf5_guards import (
    UNREADABLE,
    has_name,
    local_object,
    mostly_unwritten,
    open_hdf5,
    oversized,
    read_attribute,
    read_number,
    read_numbers,
    require_end,
)
from starbench.common.text import one_line
from starbench.tasks.base import SPLITS, STARS, Split
from starbench.tasks.card import MAX_NUISANCES, Medium, spectra_each
from starbench.tasks.errors import DataError
from starbench.tasks.storage.about import (
    MAX_PIXELS,
    NAMES,
    About,
    check_names,
    declared_snr,
    medium,
    refuse_shuffled,
)
from starbench.tasks.storage.files import text_list

Chunks = Callable[[str], Iterable[tuple[slice, Split]]]


class PairsFile:
    """A file of this layout; opening it checks its structure, but not its numbers.

    Parameters
    ----------
    path : pathlib.Path
    source : str
        How errors refer to the file.

    Attributes
    ----------
    about : About
    sizes : dict of str to int
        Number of pairs of each split, and of `stars` if the file has them.
    with_composition : tuple of str
        Splits that have a composition.
    unread : list of str
        Names in the file, at its root and in its splits, that nothing reads.

    Raises
    ------
    DataError
        If the file cannot be opened or its structure is wrong: one sentence that names the file,
        the field and what to change.
    """

    def __init__(self, path: Path, source: str):
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
                f"{source} cannot be read as HDF5 ({one_line(error)}); "
                "give --data an HDF5 file of pairs."
            ) from error
        self._state = self._stat()

    def _open(self) -> None:
        with open_hdf5(self.path) as file:
            self._read_structure(file)

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
            flux = self._read(file, split, "flux", rows)
            nuisance = self._read(file, split, "nuisance", rows)
            composition = self._read_composition(file, split, rows)
        return Split(flux, nuisance, composition, noiseless_flux=flux)

    def labels(self, split: str) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32] | None]:
        """Read nuisance and composition of a split without its flux."""
        rows = slice(0, self.sizes[split])
        with open_hdf5(self.path) as file:
            nuisance = self._read(file, split, "nuisance", rows)
            return nuisance, self._read_composition(file, split, rows)

    def _read_composition(
        self, file: h5py.File, split: str, rows: slice
    ) -> npt.NDArray[np.float32] | None:
        return (
            self._read(file, split, "composition", rows) if split in self.with_composition else None
        )

    def _read(
        self, file: h5py.File, split: str, field: str, rows: slice
    ) -> npt.NDArray[np.float32]:
        try:
            values = read_numbers(file[split][field], rows)
        except UNREADABLE as error:
            raise DataError(
                f"{self.source}: {split}/{field} cannot be read in pairs "
                f"{rows.start}-{rows.stop - 1} ({one_line(error)}); copy or write the file again."
            ) from error
        with np.errstate(over="ignore"):  # an overflow becomes infinite, which is detected
            return np.ascontiguousarray(values, np.float32)

    def _read_structure(self, file: h5py.File) -> None:
        refuse_shuffled(file.attrs, self.source)
        wavelength = self._read_wavelength(file)
        names, units = self._names(file, "nuisance_names"), self._names(file, "nuisance_units")
        if not 1 <= len(names) <= MAX_NUISANCES:
            raise DataError(
                f"{self.source}: nuisance_names has {len(names)} names; "
                f"give 1 to {MAX_NUISANCES} nuisances."
            )
        if len(units) != len(names):
            raise DataError(
                f"{self.source}: nuisance_units has {len(units)} units "
                f"for {len(names)} nuisance_names; give one for each."
            )
        splits = (*SPLITS, STARS) if has_name(file, STARS) else SPLITS
        self.with_composition = tuple(
            split for split in splits if has_name(self._group(file, split), "composition")
        )
        of_pairs = tuple(split for split in self.with_composition if split != STARS)
        if of_pairs not in (SPLITS, SPLITS[:2], ()) or (not of_pairs and self.with_composition):
            lacking = next(s for s in SPLITS if s not in self.with_composition)
            raise DataError(
                f"{self.source}: {lacking} has no composition, but {self.with_composition[0]} has; "
                "give it in all splits or in none, or omit it from test alone."
            )
        elements = self._names(file, "elements") if self.with_composition else ()
        snr = None
        if "snr" in file.attrs:
            snr = declared_snr(self._attribute(file, "snr", read_number), self.source)
        dataset = file["wavelength"]
        self.about = About(
            wavelength, self._unit(dataset), self._medium(dataset), names, units, elements, snr
        )
        check_names(self.about, self.source)
        self.sizes = {split: self._check_split(file, split) for split in splits}
        fields = {"flux", "nuisance", *(("composition",) if self.with_composition else ())}
        self.unread = sorted(set(file) - {"wavelength", *splits})
        for split in splits:
            self.unread += [f"{split}/{name}" for name in sorted(set(file[split]) - fields)]

    def _read_wavelength(self, file: h5py.File) -> npt.NDArray[np.float64]:
        dataset = self._dataset(file, "wavelength", "wavelength")
        if dataset.ndim != 1 or not dataset.size:
            raise DataError(
                f"{self.source}: wavelength has shape {dataset.shape}; "
                "give one value for each pixel."
            )
        if dataset.size > MAX_PIXELS:
            raise DataError(
                f"{self.source}: wavelength has {dataset.size} values; give at most {MAX_PIXELS}."
            )
        wavelength = np.asarray(read_numbers(dataset), np.float64)
        steps = np.diff(wavelength)
        if dataset.dtype.itemsize < 8 and (steps >= 0).all() and not steps.all():
            raise DataError(
                f"{self.source}: wavelength is stored as {dataset.dtype}, which is too coarse for "
                "its steps; store it as float64."
            )
        if not np.isfinite(wavelength).all() or not (np.diff(wavelength) > 0).all():
            raise DataError(
                f"{self.source}: wavelength does not increase from pixel to pixel; "
                "sort the pixels by it."
            )
        return wavelength

    def _check_split(self, file: h5py.File, split: str) -> int:
        """Check the shapes of a split and return its number of pairs."""
        flux = self._dataset(file[split], "flux", f"{split}/flux")
        n_pixels, each = len(self.about.wavelength), spectra_each(split)
        if flux.ndim != 3 or flux.shape[1] != each:
            axes = "[pairs, 2, pixels]" if each == 2 else "[stars, 1, pixels]"
            raise DataError(f"{self.source}: {split}/flux has shape {flux.shape}; give {axes}.")
        if flux.shape[2] != n_pixels:
            raise DataError(
                f"{self.source}: {split}/flux has {flux.shape[2]} pixels, but wavelength has "
                f"{n_pixels} values; give one wavelength for each pixel, the same for all splits."
            )
        n_pairs = len(flux)
        if not n_pairs:
            raise DataError(f"{self.source}: {split} holds no pairs; give at least one.")
        self._check_shape(file, split, "nuisance", n_pairs, "nuisance_names")
        if split in self.with_composition:
            self._check_shape(file, split, "composition", n_pairs, "elements")
        return n_pairs

    def _check_shape(
        self, file: h5py.File, split: str, field: str, n_pairs: int, names: str
    ) -> None:
        shape = self._dataset(file[split], field, f"{split}/{field}").shape
        expected = (n_pairs, *self.about.shape(field, split))
        if shape != expected:
            raise DataError(
                f"{self.source}: {split}/{field} has shape {shape}, but the flux and the "
                f"attribute {names} imply {expected}; correct the one that is wrong."
            )

    def _group(self, file: h5py.File, split: str) -> h5py.Group:
        group = local_object(file, split)
        if not isinstance(group, h5py.Group):
            raise DataError(f"{self.source} has no group {split}; it needs {', '.join(SPLITS)}.")
        return group

    def _dataset(self, group: h5py.Group, field: str, place: str) -> h5py.Dataset:
        dataset = local_object(group, field)
        if not isinstance(dataset, h5py.Dataset):
            raise DataError(f"{self.source} holds no dataset {place}; add it (links are refused).")
        if dataset.dtype.kind != "f":
            raise DataError(
                f"{self.source}: {place} is of type {dataset.dtype}; "
                "store it as float32 or float64."
            )
        if oversized(dataset):
            raise DataError(
                f"{self.source}: {place} is stored in chunks of {dataset.chunks}, which are too "
                "large to read; write it in smaller ones."
            )
        if mostly_unwritten(dataset):
            raise DataError(
                f"{self.source}: {place} has shape {dataset.shape}, but the file holds "
                f"{dataset.id.get_storage_size():,} bytes of it; write all its numbers."
            )
        return dataset

    def _names(self, file: h5py.File, attribute: str) -> tuple[str, ...]:
        if attribute not in file.attrs:
            raise DataError(
                f"{self.source} has no attribute {attribute} at its root; "
                "add one string for each column."
            )
        names = text_list(self._attribute(file, attribute))
        if attribute == "nuisance_units":
            return names
        if len(set(names)) != len(names) or not all(name.strip() for name in names):
            raise DataError(
                f"{self.source}: {attribute} is {list(names)}; give each column its own name."
            )
        return names

    def _unit(self, dataset: h5py.Dataset) -> str:
        if "unit" not in dataset.attrs:
            return "Angstrom"
        return next(iter(text_list(self._attribute(dataset, "unit"))), "")

    def _medium(self, dataset: h5py.Dataset) -> Medium:
        if "medium" not in dataset.attrs:
            return "unknown"
        text = next(iter(text_list(self._attribute(dataset, "medium"))), "")
        return medium(text, "the attribute medium of wavelength", self.source)

    def _attribute(
        self,
        owner: h5py.Group | h5py.Dataset,
        name: str,
        read: Callable[[h5py.Group | h5py.Dataset, str], Any] = read_attribute,
    ) -> Any:
        try:
            return read(owner, name)
        except UNREADABLE as error:
            raise DataError(
                f"{self.source}: the attribute {name} cannot be read ({one_line(error)}); "
                "write it again."
            ) from error

    def _stat(self) -> tuple[int, int]:
        stat = self.path.stat()
        return stat.st_size, stat.st_mtime_ns


def write_hdf5(
    path: Path,
    about: About,
    sizes: dict[str, int],
    with_composition: tuple[str, ...],
    chunks: Chunks,
) -> None:
    """Write a set of pairs as HDF5, one piece at a time.

    Parameters
    ----------
    path : pathlib.Path
        Written in place: the caller moves it once it is complete.
    about : About
    sizes : dict of str to int
        Number of pairs of each split.
    with_composition : tuple of str
        Splits whose composition is written.
    chunks : callable
        Takes a split and yields its pieces in order, each with the range of pairs it covers.
    """
    with h5py.File(path, "w", locking=False) as file:
        file["wavelength"] = about.wavelength
        file["wavelength"].attrs["unit"] = about.wavelength_unit
        file["wavelength"].attrs["medium"] = about.wavelength_medium
        for name in NAMES if about.elements else NAMES[:-1]:
            file.attrs[name] = list(getattr(about, name))
        file.attrs.update(about.facts)
        if about.snr is not None:
            file.attrs["snr"] = about.snr
        for split in sizes:
            fields = ["flux", "nuisance", *(["composition"] if split in with_composition else [])]
            places = {
                name: file.create_dataset(
                    f"{split}/{name}",
                    (sizes[split], *about.shape(name, split)),
                    "<f4",
                    track_times=False,
                )
                for name in fields
            }
            for rows, piece in chunks(split):
                for name, place in places.items():
                    place[rows] = getattr(piece, name)


def counted(chunks: Chunks, bar: "tqdm[Any]") -> Chunks:
    """Return `chunks`, advancing a progress bar by the pairs of each piece once it is used."""

    def count(split: str) -> Iterator[tuple[slice, Split]]:
        for rows, piece in chunks(split):
            yield rows, piece
            bar.update(len(piece))

    return count
