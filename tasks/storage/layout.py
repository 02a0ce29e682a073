"""The HDF5 layout of pairs and surveys, in which tasks are exported and users bring their own.

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

``error``, of the shape of ``flux``, holds the standard deviation of the flux in each pixel. It is
infinite where the pixel is masked; whatever the flux holds there is read as 1, the continuum.
``nuisance_error``, of the shape of ``nuisance``, holds standard deviations of labels. Each is given
in all splits or in none.

A survey holds stars of one spectrum each: ``flux`` [n, n_pixels], ``nuisance`` [n, n_nuisance] and
so on, without the axis of the pairs. ``group`` [n], of integers, is then required: stars of a split
with equal numbers are siblings. ``identifier`` [n], texts, names stars in messages; visits of one
star in one group may share it. The root attribute ``provenance``, a text, says where a survey comes
from.
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
from starbench.tasks.card import MAX_NUISANCES, Medium
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

_ERRORS = ("error", "nuisance_error")
_NOT_READ = ("mask", "ivar", "flux_error", "flux_err", "flux_ivar", "error_flux", "err", "sigma")
"""Names under which masks and errors are often stored; ignoring them would mislead."""
MAX_IDENTIFIER = 200  # characters

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
    survey : bool
        Whether the file holds stars in sibling groups in place of pairs.
    with_errors, with_nuisance_errors : bool
        Whether it holds errors of the flux, and of the nuisance.
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
            flux = self._spectra(file, split, "flux", rows)
            nuisance = self._spectra(file, split, "nuisance", rows)
            composition = self._read_composition(file, split, rows)
            error = nuisance_error = group = None
            if self.with_errors:
                error = self._spectra(file, split, "error", rows)
                flux[np.isinf(error)] = 1
            if self.with_nuisance_errors:
                nuisance_error = self._spectra(file, split, "nuisance_error", rows)
            if self.survey:
                group = self._read_stored(file, split, "group", rows).astype(np.int64)
        return Split(
            flux, nuisance, composition, flux,
            error=error, group=group, nuisance_error=nuisance_error,
        )  # fmt: skip

    def groups(self, split: str) -> npt.NDArray[np.int64]:
        """Read the sibling groups of a survey's split [n_stars]."""
        with open_hdf5(self.path) as file:
            stored = self._read_stored(file, split, "group", slice(0, self.sizes[split]))
        group: npt.NDArray[np.int64] = stored.astype(np.int64)
        return group

    def identifiers(self, split: str) -> list[str] | None:
        """Read the identifiers of the stars or pairs of a split; None if it has none."""
        if split not in self._with_identifiers:
            return None
        with open_hdf5(self.path) as file:
            values = self._read_stored(file, split, "identifier", slice(0, self.sizes[split]))
        return list(text_list(values))

    def labels(self, split: str) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32] | None]:
        """Read nuisance and composition of a split without its flux."""
        rows = slice(0, self.sizes[split])
        with open_hdf5(self.path) as file:
            nuisance = self._spectra(file, split, "nuisance", rows)
            return nuisance, self._read_composition(file, split, rows)

    def _read_composition(
        self, file: h5py.File, split: str, rows: slice
    ) -> npt.NDArray[np.float32] | None:
        return (
            self._read(file, split, "composition", rows) if split in self.with_composition else None
        )

    def _spectra(
        self, file: h5py.File, split: str, field: str, rows: slice
    ) -> npt.NDArray[np.float32]:
        """Read values of each spectrum, with the axis of the pairs also in a survey."""
        values = self._read(file, split, field, rows)
        return values[:, None] if self.survey else values

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
                f"{self.source}: {split}/{field} cannot be read in {self._items} "
                f"{rows.start}-{rows.stop - 1} ({one_line(error)}); copy or write the file again."
            ) from error

    @property
    def _items(self) -> str:
        return "stars" if self.survey else "pairs"

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
        self.survey = self._is_survey(file)
        if self.survey and STARS in splits:
            raise DataError(
                f"{self.source} is a survey, whose splits all hold stars; move those of {STARS} to "
                "train."
            )
        self._refuse_other_names(file, splits)
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
            wavelength, self._unit(dataset), self._medium(dataset), names, units, elements, snr,
            survey=self.survey,
        )  # fmt: skip
        check_names(self.about, self.source)
        self.with_errors, self.with_nuisance_errors = (
            self._in_all(file, splits, name) for name in _ERRORS
        )
        if self.with_errors and snr is not None:
            raise DataError(
                f"{self.source} holds errors and the attribute snr; remove snr, as the errors say "
                "how large the noise is."
            )
        self.sizes = {split: self._check_split(file, split) for split in splits}
        self._with_identifiers = tuple(
            split for split in splits if self._check_identifiers(file, split)
        )
        fields = {"flux", "nuisance", "identifier", *_ERRORS}
        fields |= {"composition"} if self.with_composition else set()
        fields |= {"group"} if self.survey else set()
        self.unread = sorted(set(file) - {"wavelength", *splits})
        for split in splits:
            self.unread += [f"{split}/{name}" for name in sorted(set(file[split]) - fields)]

    def _is_survey(self, file: h5py.File) -> bool:
        """Return whether the flux is that of stars [n, n_pixels], in all splits or in none."""
        flux = {split: local_object(self._group(file, split), "flux") for split in SPLITS}
        flat = [split for split, each in flux.items() if getattr(each, "ndim", 0) == 2]
        if flat and len(flat) < len(SPLITS):
            other = next(split for split in SPLITS if split not in flat)
            raise DataError(
                f"{self.source}: {flat[0]}/flux is that of stars, [stars, pixels], but "
                f"{other}/flux is not; give stars in all splits, or pairs in all."
            )
        return bool(flat)

    def _refuse_other_names(self, file: h5py.File, splits: tuple[str, ...]) -> None:
        """Refuse masks and errors under names that nothing reads."""
        places = [name for name in _NOT_READ if has_name(file, name)]
        for split in splits:
            group = self._group(file, split)
            places += [f"{split}/{name}" for name in _NOT_READ if has_name(group, name)]
        if places:
            split = places[0].rpartition("/")[0] or "train"
            raise DataError(
                f"{self.source}: nothing reads {places[0]}; give {split}/error, the standard "
                "deviation of the flux in each pixel, infinite where the pixel is masked, and "
                f"remove {places[0]}."
            )

    def _in_all(self, file: h5py.File, splits: tuple[str, ...], field: str) -> bool:
        """Return whether all splits have a field; refuse a file in which only some have it."""
        having = [split for split in splits if has_name(self._group(file, split), field)]
        if having and len(having) < len(splits):
            lacking = next(split for split in splits if split not in having)
            raise DataError(
                f"{self.source}: {having[0]} has {field}, but {lacking} has not; give it in all "
                "splits or in none."
            )
        return bool(having)

    def _check_groups(self, file: h5py.File, split: str, n_stars: int) -> None:
        if not has_name(file[split], "group"):
            raise DataError(
                f"{self.source} has no {split}/group; add one integer for each star, equal for "
                "siblings."
            )
        dataset = self._local(file[split], "group", f"{split}/group")
        if dataset.dtype.kind not in "iu" or dataset.shape != (n_stars,):
            raise DataError(
                f"{self.source}: {split}/group is {dataset.dtype} {dataset.shape}; give one "
                f"integer for each of the {n_stars} stars of its flux."
            )

    def _check_identifiers(self, file: h5py.File, split: str) -> bool:
        if not has_name(file[split], "identifier"):
            return False
        dataset = self._local(file[split], "identifier", f"{split}/identifier")
        text = h5py.check_string_dtype(dataset.dtype)
        too_long = text is not None and text.length is not None and text.length > MAX_IDENTIFIER
        if text is None or too_long or dataset.shape != (self.sizes[split],):
            raise DataError(
                f"{self.source}: {split}/identifier is {dataset.dtype} {dataset.shape}; give one "
                f"text of at most {MAX_IDENTIFIER} characters for each of the {self.sizes[split]} "
                f"{self._items} of its flux."
            )
        return True

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
        n_pixels = len(self.about.wavelength)
        expected = self.about.shape("flux", split)
        if flux.ndim != 1 + len(expected) or flux.shape[1:-1] != expected[:-1]:
            axes = {(): "[stars, pixels]", (1,): "[stars, 1, pixels]", (2,): "[pairs, 2, pixels]"}
            raise DataError(
                f"{self.source}: {split}/flux has shape {flux.shape}; give {axes[expected[:-1]]}."
            )
        if flux.shape[-1] != n_pixels:
            raise DataError(
                f"{self.source}: {split}/flux has {flux.shape[-1]} pixels, but wavelength has "
                f"{n_pixels} values; give one wavelength for each pixel, the same for all splits."
            )
        n_pairs = len(flux)
        if not n_pairs:
            raise DataError(f"{self.source}: {split} holds no {self._items}; give at least one.")
        self._check_shape(file, split, "nuisance", n_pairs, "nuisance_names")
        if split in self.with_composition:
            self._check_shape(file, split, "composition", n_pairs, "elements")
        if self.with_errors:
            self._check_shape(file, split, "error", n_pairs, "wavelength")
        if self.with_nuisance_errors:
            self._check_shape(file, split, "nuisance_error", n_pairs, "nuisance_names")
        if self.survey:
            self._check_groups(file, split, n_pairs)
        return n_pairs

    def _check_shape(
        self, file: h5py.File, split: str, field: str, n_pairs: int, names: str
    ) -> None:
        shape = self._dataset(file[split], field, f"{split}/{field}").shape
        expected = (n_pairs, *self.about.shape(field, split))
        if shape != expected:
            raise DataError(
                f"{self.source}: {split}/{field} has shape {shape}, but the flux and the "
                f"{'dataset' if names == 'wavelength' else 'attribute'} {names} imply {expected}; "
                "correct the one that is wrong."
            )

    def _group(self, file: h5py.File, split: str) -> h5py.Group:
        group = local_object(file, split)
        if not isinstance(group, h5py.Group):
            raise DataError(f"{self.source} has no group {split}; it needs {', '.join(SPLITS)}.")
        return group

    def _dataset(self, group: h5py.Group, field: str, place: str) -> h5py.Dataset:
        """Return a dataset of floating-point numbers that can be read."""
        dataset = self._local(group, field, place)
        if dataset.dtype.kind != "f":
            raise DataError(
                f"{self.source}: {place} is of type {dataset.dtype}; "
                "store it as float32 or float64."
            )
        return dataset

    def _local(self, group: h5py.Group, field: str, place: str) -> h5py.Dataset:
        """Return a dataset of any type that can be read."""
        dataset = local_object(group, field)
        if not isinstance(dataset, h5py.Dataset):
            raise DataError(f"{self.source} holds no dataset {place}; add it (links are refused).")
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
            places: dict[str, h5py.Dataset] = {}
            for rows, piece in chunks(split):
                if not places:
                    places = _places(file, split, sizes[split], about, piece, with_composition)
                for name, place in places.items():
                    values = getattr(piece, name)
                    place[rows] = values.reshape(len(piece), *about.shape(name, split))


def _places(
    file: h5py.File,
    split: str,
    n: int,
    about: About,
    piece: Split,
    with_composition: tuple[str, ...],
) -> dict[str, h5py.Dataset]:
    """Create the datasets of a split for the fields that its first piece has."""
    names = ["flux", "nuisance", *(["composition"] if split in with_composition else [])]
    names += [name for name in (*_ERRORS, "group") if getattr(piece, name) is not None]
    return {
        name: file.create_dataset(
            f"{split}/{name}",
            (n, *about.shape(name, split)),
            "<i8" if name == "group" else "<f4",
            track_times=False,
        )
        for name in names
    }


def counted(chunks: Chunks, bar: "tqdm[Any]") -> Chunks:
    """Return `chunks`, advancing a progress bar by the pairs of each piece once it is used."""

    def count(split: str) -> Iterator[tuple[slice, Split]]:
        for rows, piece in chunks(split):
            yield rows, piece
            bar.update(len(piece))

    return count
