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

A survey may have a further group ``pairs``, of a model's pairs with arrays [n, 2, ...]: methods
that need twins or compositions are trained on them, the others on ``train``. They have errors where
the stars have, and may have a composition, of the same ``elements``, whether or not the stars do.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt

from starbench.common.hdf5_guards import (
    UNREADABLE,
    has_name,
    local_object,
    mostly_unwritten,
    oversized,
    read_attribute,
    read_number,
    read_numbers,
)
from starbench.common.text import one_line
from starbench.tasks.base import PAIRS, SPLITS, STARS
from starbench.tasks.card import MAX_NUISANCES, Medium
from starbench.tasks.errors import DataError
from starbench.tasks.storage.about import (
    MAX_PIXELS,
    About,
    check_names,
    declared_snr,
    medium,
    refuse_shuffled,
)
from starbench.tasks.storage.files import text_list

ERRORS = ("error", "nuisance_error")
_NOT_READ = ("mask", "ivar", "flux_error", "flux_err", "flux_ivar", "error_flux", "err", "sigma")
"""Names under which masks and errors are often stored; ignoring them would mislead."""
MAX_IDENTIFIER = 200  # characters


@dataclass(frozen=True)
class Structure:
    """What a file of this layout holds, but for its numbers.

    Attributes
    ----------
    about : About
    sizes : dict of str to int
        Number of pairs or stars of each split, and of `stars` or `pairs` if the file has them.
    with_composition, with_identifiers : tuple of str
        Splits that have a composition, and identifiers.
    with_errors, with_nuisance_errors : bool
        Whether the file holds errors of the flux, and of the nuisance.
    unread : list of str
        Names in the file, at its root and in its splits, that nothing reads.
    """

    about: About
    sizes: dict[str, int]
    with_composition: tuple[str, ...]
    with_identifiers: tuple[str, ...]
    with_errors: bool
    with_nuisance_errors: bool
    unread: list[str]

    @property
    def survey(self) -> bool:
        """Whether the file holds stars in sibling groups in place of pairs."""
        return self.about.survey

    def items(self, split: str) -> str:
        """Return what a split holds, in words."""
        return items(self.about, split)


def items(about: About, split: str) -> str:
    """Return what a split holds, in words."""
    return "stars" if about.holds_stars(split) or split == STARS else "pairs"


def read_structure(file: h5py.File, source: str) -> Structure:
    """Read and check the structure of a file, but not its numbers.

    Parameters
    ----------
    file : h5py.File
    source : str
        How errors refer to the file.

    Raises
    ------
    DataError
        If the structure is wrong: one sentence that names the file, the field and what to change.
    """
    refuse_shuffled(file.attrs, source)
    reader = _StructureReader(file, source)
    wavelength = reader.wavelength()
    names, units = reader.nuisances()
    splits = (*SPLITS, STARS) if has_name(file, STARS) else SPLITS
    survey = reader.is_survey(splits)
    if survey and has_name(file, PAIRS):
        splits = (*splits, PAIRS)
    reader.refuse_other_names(splits)
    with_composition = reader.with_composition(splits)
    elements = reader.names("elements") if with_composition else ()
    snr = reader.snr()
    about = About(
        wavelength, reader.unit(), reader.medium(), names, units, elements, snr, survey=survey
    )
    check_names(about, source)
    with_errors, with_nuisance_errors = (reader.in_all(splits, name) for name in ERRORS)
    if with_errors and snr is not None:
        raise DataError(
            f"{source} holds errors and the attribute snr; remove snr, as the errors say how large "
            "the noise is."
        )
    sizes = {}
    for split in splits:
        fields = {"nuisance": "nuisance_names"}
        fields |= {"composition": "elements"} if split in with_composition else {}
        fields |= {"error": "wavelength"} if with_errors else {}
        fields |= {"nuisance_error": "nuisance_names"} if with_nuisance_errors else {}
        sizes[split] = reader.check_split(split, about, fields)
    with_identifiers = tuple(
        split
        for split in splits
        if reader.has_identifiers(split, sizes[split], items(about, split))
    )
    read = {"flux", "nuisance", "identifier", *ERRORS}
    read |= {"composition"} if with_composition else set()
    unread = sorted(set(file) - {"wavelength", *splits})
    for split in splits:
        known = read | ({"group"} if about.holds_stars(split) else set())
        unread += [f"{split}/{name}" for name in sorted(set(file[split]) - known)]
    return Structure(
        about, sizes, with_composition, with_identifiers, with_errors, with_nuisance_errors, unread
    )


class _StructureReader:
    """Reads and checks the parts of an open file's structure."""

    def __init__(self, file: h5py.File, source: str):
        self.file, self.source = file, source

    def wavelength(self) -> npt.NDArray[np.float64]:
        """Return the wavelengths; refuse those that do not increase."""
        dataset = self.dataset(self.file, "wavelength", "wavelength")
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

    def nuisances(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Return the names and the units of the nuisances."""
        names, units = self.names("nuisance_names"), self.names("nuisance_units")
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
        return names, units

    def is_survey(self, splits: tuple[str, ...]) -> bool:
        """Return whether the flux is that of stars [n, n_pixels], in all splits or in none."""
        flux = {split: local_object(self.group(split), "flux") for split in SPLITS}
        flat = [split for split, each in flux.items() if getattr(each, "ndim", 0) == 2]
        if flat and len(flat) < len(SPLITS):
            other = next(split for split in SPLITS if split not in flat)
            raise DataError(
                f"{self.source}: {flat[0]}/flux is that of stars, [stars, pixels], but "
                f"{other}/flux is not; give stars in all splits, or pairs in all."
            )
        if flat and STARS in splits:
            raise DataError(
                f"{self.source} is a survey, whose splits all hold stars; move those of {STARS} to "
                "train."
            )
        return bool(flat)

    def refuse_other_names(self, splits: tuple[str, ...]) -> None:
        """Refuse masks and errors under names that nothing reads."""
        places = [name for name in _NOT_READ if has_name(self.file, name)]
        for split in splits:
            group = self.group(split)
            places += [f"{split}/{name}" for name in _NOT_READ if has_name(group, name)]
        if places:
            split = places[0].rpartition("/")[0] or "train"
            raise DataError(
                f"{self.source}: nothing reads {places[0]}; give {split}/error, the standard "
                "deviation of the flux in each pixel, infinite where the pixel is masked, and "
                f"remove {places[0]}."
            )

    def with_composition(self, splits: tuple[str, ...]) -> tuple[str, ...]:
        """Return the splits that have a composition; refuse a file in which others lack it."""
        having = tuple(split for split in splits if has_name(self.group(split), "composition"))
        standard = tuple(split for split in having if split in SPLITS)
        if standard not in (SPLITS, SPLITS[:2], ()) or (not standard and STARS in having):
            lacking = next(s for s in SPLITS if s not in having)
            raise DataError(
                f"{self.source}: {lacking} has no composition, but {having[0]} has; "
                "give it in all splits or in none, or omit it from test alone."
            )
        return having

    def snr(self) -> float | None:
        """Return the signal-to-noise ratio that the file declares; None if it declares none."""
        if "snr" not in self.file.attrs:
            return None
        return declared_snr(self.attribute(self.file, "snr", read_number), self.source)

    def in_all(self, splits: tuple[str, ...], field: str) -> bool:
        """Return whether all splits have a field; refuse a file in which only some have it."""
        having = [split for split in splits if has_name(self.group(split), field)]
        if having and len(having) < len(splits):
            lacking = next(split for split in splits if split not in having)
            raise DataError(
                f"{self.source}: {having[0]} has {field}, but {lacking} has not; give it in all "
                "splits or in none."
            )
        return bool(having)

    def check_split(self, split: str, about: About, fields: Mapping[str, str]) -> int:
        """Check the shapes of a split and return its number of pairs or stars.

        Parameters
        ----------
        split : str
        about : About
        fields : mapping
            From the fields of the split besides its flux to the attribute or dataset that says how
            many columns they have.
        """
        flux = self.dataset(self.file[split], "flux", f"{split}/flux")
        n_pixels = len(about.wavelength)
        expected = about.shape("flux", split)
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
            raise DataError(
                f"{self.source}: {split} holds no {items(about, split)}; give at least one."
            )
        for field, implied_by in fields.items():
            self.check_shape(split, field, (n_pairs, *about.shape(field, split)), implied_by)
        if about.holds_stars(split):
            self.check_groups(split, n_pairs)
        return n_pairs

    def check_shape(
        self, split: str, field: str, expected: tuple[int, ...], implied_by: str
    ) -> None:
        """Refuse a field whose shape is not what the flux and the number of columns imply."""
        shape = self.dataset(self.file[split], field, f"{split}/{field}").shape
        if shape != expected:
            raise DataError(
                f"{self.source}: {split}/{field} has shape {shape}, but the flux and the "
                f"{'dataset' if implied_by == 'wavelength' else 'attribute'} {implied_by} imply "
                f"{expected}; correct the one that is wrong."
            )

    def check_groups(self, split: str, n_stars: int) -> None:
        """Refuse sibling groups that are not one integer for each star."""
        if not has_name(self.file[split], "group"):
            raise DataError(
                f"{self.source} has no {split}/group; add one integer for each star, equal for "
                "siblings."
            )
        dataset = self.local(self.file[split], "group", f"{split}/group")
        if dataset.dtype.kind not in "iu" or dataset.shape != (n_stars,):
            raise DataError(
                f"{self.source}: {split}/group is {dataset.dtype} {dataset.shape}; give one "
                f"integer for each of the {n_stars} stars of its flux."
            )

    def has_identifiers(self, split: str, n: int, kind: str) -> bool:
        """Return whether a split has identifiers; refuse those that are not short texts."""
        if not has_name(self.file[split], "identifier"):
            return False
        dataset = self.local(self.file[split], "identifier", f"{split}/identifier")
        text = h5py.check_string_dtype(dataset.dtype)
        too_long = text is not None and text.length is not None and text.length > MAX_IDENTIFIER
        if text is None or too_long or dataset.shape != (n,):
            raise DataError(
                f"{self.source}: {split}/identifier is {dataset.dtype} {dataset.shape}; give one "
                f"text of at most {MAX_IDENTIFIER} characters for each of the {n} "
                f"{kind} of its flux."
            )
        return True

    def group(self, split: str) -> h5py.Group:
        """Return the group of a split."""
        group = local_object(self.file, split)
        if not isinstance(group, h5py.Group):
            raise DataError(f"{self.source} has no group {split}; it needs {', '.join(SPLITS)}.")
        return group

    def dataset(self, group: h5py.Group, field: str, place: str) -> h5py.Dataset:
        """Return a dataset of floating-point numbers that can be read."""
        dataset = self.local(group, field, place)
        if dataset.dtype.kind != "f":
            raise DataError(
                f"{self.source}: {place} is of type {dataset.dtype}; "
                "store it as float32 or float64."
            )
        return dataset

    def local(self, group: h5py.Group, field: str, place: str) -> h5py.Dataset:
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

    def names(self, attribute: str) -> tuple[str, ...]:
        """Return the texts of an attribute of the root, one for each column."""
        if attribute not in self.file.attrs:
            raise DataError(
                f"{self.source} has no attribute {attribute} at its root; "
                "add one string for each column."
            )
        names = text_list(self.attribute(self.file, attribute))
        if attribute == "nuisance_units":
            return names
        if len(set(names)) != len(names) or not all(name.strip() for name in names):
            raise DataError(
                f"{self.source}: {attribute} is {list(names)}; give each column its own name."
            )
        return names

    def unit(self) -> str:
        """Return the unit of the wavelengths."""
        dataset = self.file["wavelength"]
        if "unit" not in dataset.attrs:
            return "Angstrom"
        return next(iter(text_list(self.attribute(dataset, "unit"))), "")

    def medium(self) -> Medium:
        """Return the medium of the wavelengths."""
        dataset = self.file["wavelength"]
        if "medium" not in dataset.attrs:
            return "unknown"
        text = next(iter(text_list(self.attribute(dataset, "medium"))), "")
        return medium(text, "the attribute medium of wavelength", self.source)

    def attribute(
        self,
        owner: h5py.Group | h5py.Dataset,
        name: str,
        read: Callable[[h5py.Group | h5py.Dataset, str], Any] = read_attribute,
    ) -> Any:
        """Read an attribute of a group or a dataset."""
        try:
            return read(owner, name)
        except UNREADABLE as error:
            raise DataError(
                f"{self.source}: the attribute {name} cannot be read ({one_line(error)}); "
                "write it again."
            ) from error
