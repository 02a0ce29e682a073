"""The interface of a task: where paired spectra come from and what is known about them."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from starbench.common.sources import digest_of_all, is_own, module_file, third_party_digest
from starbench.tasks.arrays import Floats
from starbench.tasks.arrays import Labels as Labels
from starbench.tasks.arrays import Spectra as Spectra
from starbench.tasks.card import PAIRS as PAIRS
from starbench.tasks.card import SPLITS as SPLITS
from starbench.tasks.card import STARS as STARS
from starbench.tasks.card import Card
from starbench.tasks.errors import DataError
from starbench.tasks.forward import ForwardModel

if TYPE_CHECKING:
    from starbench.tasks.storage.cache import CachedPairs

ChunkId = tuple[str, int]
"""Identifies a chunk of a data set: its split, and its number within the split."""
OPTIONAL_FIELDS = ("composition", "unseen", "error", "group", "nuisance_error")
"""Fields of `Split` that may be None."""


@dataclass(frozen=True)
class Split:
    """Pairs of spectra: a whole split, or a range of consecutive pairs of one.

    In a survey, and in the split ``stars`` of some other tasks, each star has one spectrum instead
    of two: the second axis has length 1, and n_pairs stands for the number of stars.

    Attributes
    ----------
    flux : numpy.ndarray [n_pairs, 2, n_pixels], float32
        Continuum-normalised flux, dimensionless, with the task's noise if it has any.
    nuisance : numpy.ndarray [n_pairs, 2, n_nuisance], float32
        The known factors that are not chemistry, in the task's units.
    composition : numpy.ndarray [n_pairs, n_elements], float32, or None
        [Fe/H] and [X/Fe] in dex, shared by both spectra of a pair; None where it is not known.
    noiseless_flux : numpy.ndarray [n_pairs, 2, n_pixels], float32
        What reconstructions are compared with; `flux` itself where the task adds no noise.
    unseen : numpy.ndarray [n_pairs, 2, n_unseen], float32, or None
        Parameters of each spectrum that no method is given, in the card's order and units; None
        where the card names none.
    error : numpy.ndarray [n_pairs, 2, n_pixels], float32, or None
        Standard deviation of the noise of the flux in each pixel; infinite where the pixel is
        masked, and there the flux is 1. None where no errors are known, or the card's SNR is all.
    group : numpy.ndarray [n_stars], int64, or None
        In a survey the sibling group of each star: stars of one composition have equal numbers
        within their split. None for pairs, of which each is a group.
    nuisance_error : numpy.ndarray [n_pairs, 2, n_nuisance], float32, or None
        Standard deviation of each nuisance's error; None where it is not known, or the card states
        a covariance for all.
    """

    flux: Spectra
    nuisance: npt.NDArray[np.float32]
    composition: npt.NDArray[np.float32] | None
    noiseless_flux: Spectra
    unseen: npt.NDArray[np.float32] | None = None
    error: Spectra | None = None
    group: npt.NDArray[np.int64] | None = None
    nuisance_error: npt.NDArray[np.float32] | None = None

    def __len__(self) -> int:
        """Return the number of pairs."""
        return len(self.flux)


class Task(ABC):
    """A source of paired spectra with standard splits.

    A task sets `card` and `wavelength` and implements `make` and `fingerprint`; all else follows
    from these four. Where the spectra are a function of labels, `starbench.tasks.drawn.DrawnTask`
    asks for less; where they are another task's, changed as an instrument or a catalogue would,
    `starbench.tasks.observation.observed.Observed` does.

    Parameters
    ----------
    cache : pathlib.Path, optional
        Folder for the data of tasks that keep any; see `starbench.tasks.storage.cache`.

    Attributes
    ----------
    card : Card
        What the task is.
    stored : bool
        Whether the data are kept in a file, which `cached` returns.
    chunk_pairs : int
        Number of pairs that `chunks` yields at once.
    made_in : str or None
        Module of the function that made it, if `starbench.tasks.registry.get_task` called one.
    draws_any_split : bool
        Whether `make` draws the stars of any split name from streams that hold the name, so that
        `starbench.tasks.fresh.FreshTest` has stars that nobody has seen.
    """

    card: Card
    stored: bool = False
    chunk_pairs: int = 625  # 36 MB of flux at 7,214 pixels
    draws_any_split: bool = False
    made_in: str | None = None

    def __init__(self, cache: Path | None = None):
        self._cache = cache

    @property
    def cache(self) -> Path | None:
        """The folder that its user chose to keep data in, if any."""
        return getattr(self, "_cache", None)  # a task of others may have its own constructor

    @abstractmethod
    def make(self, split: str, start: int, stop: int) -> Split:
        """Make any range of pairs of a split, each the same whatever range it is part of."""

    @abstractmethod
    def fingerprint(self, scale: str) -> str:
        """Return a short digest of the data, which ties a row to them.

        It must be the same on every machine, and differ between scales.
        """

    @cached_property
    def wavelength(self) -> Floats:
        """Wavelength [n_pixels] of each pixel, increasing, in the card's unit and medium."""
        raise NotImplementedError(f"{type(self).__name__} must set `wavelength`.")

    @cached_property
    def code_sha256(self) -> str | None:
        """Digest of code that is not starbench's own; None without such code, or without its file.

        An author may change the data and leave version and fingerprint as they were. What was made
        with a task, such as a run or a stored file, is therefore not used again once its code has
        changed: that of its classes, of what made it, and of the tasks that it changes.
        """
        parts = {part.code_sha256 for part in self._parts()}
        parts.add(third_party_digest(self._modules()))
        return digest_of_all(part for part in parts if part is not None)

    @property
    def has_unknown_code(self) -> bool:
        """Whether it is defined where no file tells of changes, as in a notebook."""
        return any(
            not is_own(module) and module_file(module) is None for module in self._modules()
        ) or any(part.has_unknown_code for part in self._parts())

    @property
    def is_own(self) -> bool:
        """Whether the task, and all that it changes, is starbench's own."""
        return all(is_own(module) for module in self._modules()) and all(
            part.is_own for part in self._parts()
        )

    @property
    def files(self) -> set[Path]:
        """The files of its classes and of what made it, and those of the tasks that it changes."""
        files = {file for module in self._modules() if (file := module_file(module)) is not None}
        return files.union(*(part.files for part in self._parts()))

    def _modules(self) -> set[str]:
        """Return the modules of the classes of the task, and of the function that made it."""
        modules = {kind.__module__ for kind in type(self).__mro__ if issubclass(kind, Task)}
        return modules | ({self.made_in} if self.made_in else set())

    def _parts(self) -> list["Task"]:
        """Return the tasks that this one changes."""
        return [value for value in vars(self).values() if isinstance(value, Task)]

    @property
    def name(self) -> str:
        """Name on the command line and in rows."""
        return self.card.name

    @property
    def version(self) -> int:
        """Version of the data; rows of different versions never share a table."""
        return self.card.version

    @property
    def reference(self) -> str:
        """Where the task is described."""
        return self.card.reference

    @property
    def nuisance_names(self) -> tuple[str, ...]:
        """Names of the nuisance's columns."""
        return self.card.nuisance_names

    @property
    def nuisance_units(self) -> tuple[str, ...]:
        """Units of the nuisance's columns."""
        return self.card.nuisance_units

    @property
    def elements(self) -> tuple[str, ...]:
        """Names of the composition's columns; empty where no split has a composition."""
        return self.card.elements

    @property
    def snr(self) -> float | None:
        """Signal-to-noise ratio per pixel of the noise in the flux, None for no known noise."""
        return self.card.snr

    @property
    def wavelength_unit(self) -> str:
        """Unit of the wavelengths."""
        return self.card.wavelength_unit

    @property
    def default_scale(self) -> str:
        """The scale that a run uses if none is given."""
        return self.card.default_scale

    def sizes(self, scale: str) -> dict[str, int]:
        """Return the number of pairs, or of a survey's stars, of each split at a scale.

        Raises
        ------
        DataError
            If the task has no such scale.
        """
        for name, sizes in self.card.sizes.items():
            if name == scale:
                return {split: sizes[split] for split in sizes}
        raise DataError(
            f"--scale {scale} does not exist; choose one of {', '.join(self.card.sizes)}."
        )

    def training_split(self, label_access: str) -> str:
        """Return the split on which methods of a label access are trained.

        Where the task has stars without a twin, methods that may not use twins train on them: as
        many spectra, and no twins among them. Where a survey has pairs of a model, methods that use
        twins or compositions train on those.
        """
        unpaired = label_access in ("none", "nuisance")
        if self.card.has_stars and unpaired:
            return STARS
        if self.card.has_model_pairs and not unpaired:
            return PAIRS
        return "train"

    @property
    def probed_split(self) -> str:
        """The split on whose latents the probes of leakage are fitted.

        It is the training set where all methods share one, and otherwise the validation split.
        """
        shared = not (self.card.has_stars or self.card.has_model_pairs)
        return "train" if shared else "validation"

    def source(self) -> dict[str, str | int]:
        """Return what the spectra are made from besides the labels, such as a model's digest."""
        return {}

    def forward_model(self) -> ForwardModel | None:
        """Return how spectra follow from all parameters, for oracle controls; None if not known."""
        return None

    def data_file(self, scale: str) -> Path | None:
        """Return the file that holds the data of a scale, None if the task needs none."""
        return self.cached(scale).path if self.stored else None

    def prepare(self, scale: str, *, progress: bool = True) -> None:
        """Make the data ready to read: build what is missing, check what is there.

        Raises
        ------
        DataError
            If the task has no such scale, or the data cannot be used.
        """
        self.sizes(scale)

    def cached(self, scale: str) -> "CachedPairs":
        """Return the data set on disk, which may not be built yet.

        Raises
        ------
        DataError
            If the task keeps no data on disk, as `stored` says.
        """
        raise DataError(f"{self.name} keeps no data on disk: there is nothing to build or verify.")

    def problems(
        self, scale: str, *, progress: bool = True
    ) -> Iterator[tuple[str, ChunkId | None]]:
        """Read all data; yield each fault with its chunk, or None if it concerns the whole set."""
        self.sizes(scale)
        return iter(())

    def chunks(self, split: str, scale: str) -> Iterator[tuple[slice, Split]]:
        """Yield a split in pieces, in order, each with the range of pairs it covers."""
        for rows in self._ranges(split, scale):
            yield rows, self.make(split, rows.start, rows.stop)

    def _ranges(self, split: str, scale: str) -> list[slice]:
        """Return the ranges of pairs that `chunks` yields."""
        n_pairs = self.sizes(scale)[split]
        return [
            slice(start, min(start + self.chunk_pairs, n_pairs))
            for start in range(0, n_pairs, self.chunk_pairs)
        ]

    def noiseless_flux(self, split: str, scale: str) -> Iterator[tuple[slice, Spectra]]:
        """Yield what reconstructions are compared with, in pieces, with the pairs they cover.

        It is NaN in masked pixels of which no noiseless flux is known.
        """
        for rows, piece in self.chunks(split, scale):
            flux = piece.noiseless_flux
            if piece.error is not None and np.may_share_memory(flux, piece.flux):
                flux = np.where(np.isinf(piece.error), np.float32(np.nan), flux)
            yield rows, flux

    def load(self, split: str, scale: str) -> Split:
        """Return a whole split.

        Where the task adds no noise, `noiseless_flux` is `flux` itself and takes no memory.
        """
        n_pairs, each = self.sizes(scale)[split], self.card.spectra_each(split)
        flux = np.empty((n_pairs, each, len(self.wavelength)), np.float32)
        noiseless = flux
        nuisance = np.empty((n_pairs, each, len(self.nuisance_names)), np.float32)
        optional: dict[str, npt.NDArray[Any]] = {}
        for rows, piece in self.chunks(split, scale):
            flux[rows], nuisance[rows] = piece.flux, piece.nuisance
            if not np.may_share_memory(piece.noiseless_flux, piece.flux):
                if noiseless is flux:
                    noiseless = np.empty_like(flux)
                noiseless[rows] = piece.noiseless_flux
            for name in OPTIONAL_FIELDS:
                values = getattr(piece, name)
                if values is not None:
                    if name not in optional:
                        optional[name] = np.empty((n_pairs, *values.shape[1:]), values.dtype)
                    optional[name][rows] = values
        composition = optional.pop("composition", None)
        return Split(flux, nuisance, composition, noiseless, **optional)

    def labels_on_disk(self, split: str, scale: str) -> tuple[Labels, Labels | None]:
        """Return nuisance and composition of a split as methods get them, without its flux."""
        pieces = [(piece.nuisance, piece.composition) for _, piece in self.chunks(split, scale)]
        composition = [labels for _, labels in pieces if labels is not None]
        return (
            np.concatenate([nuisance for nuisance, _ in pieces]),
            np.concatenate(composition) if composition else None,
        )

    def has_composition(self, split: str) -> bool:
        """Return whether the composition of a split is known, from one of its pairs."""
        return self.make(split, 0, 1).composition is not None

    def groups(self, split: str, scale: str) -> npt.NDArray[np.int64] | None:
        """Return the sibling group of each star [n_stars] of a survey's split; None for pairs."""
        if self.card.spectra_each(split) == 2 or not self.card.survey:
            return None
        groups = [piece.group for _, piece in self.chunks(split, scale) if piece.group is not None]
        return np.concatenate(groups)

    def identifiers(self, split: str, scale: str) -> list[str] | None:
        """Return the names of a split's pairs or stars; None where they have none."""
        return None

    def drawn_labels(self, split: str, scale: str) -> tuple[Labels, Labels | None]:
        """Return nuisance and composition of a split without building its data.

        Raises
        ------
        DataError
            If the task has no such scale, or the labels drawn here differ from the manifest.
        """
        return self.labels_on_disk(split, scale)
