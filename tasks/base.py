"""The interface of a task: where paired spectra come from and what is known about them."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np

SPLITS = ("train", "validation", "test")


@dataclass(frozen=True)
class Split:
    """Pairs of spectra, or a run of consecutive pairs of a split.

    Attributes
    ----------
    flux : numpy.ndarray [n_pairs, 2, n_pixels], float32
        Continuum-normalised flux, dimensionless, with the task's noise if it has any.
    nuisance : numpy.ndarray [n_pairs, 2, n_nuisance], float32
        The known factors that are not chemistry, in the task's units.
    composition : numpy.ndarray [n_pairs, n_elements], float32, or None
        [Fe/H] and [X/Fe] in dex, shared by both spectra of a pair; None where it is not known.
    noiseless_flux : numpy.ndarray [n_pairs, 2, n_pixels], float32
        What reconstructions are judged against; `flux` itself where the task adds no noise.
    """

    flux: np.ndarray
    nuisance: np.ndarray
    composition: np.ndarray | None
    noiseless_flux: np.ndarray

    def __len__(self) -> int:
        """Return the number of pairs."""
        return len(self.flux)


class Task(Protocol):
    """A source of paired spectra with standard splits.

    Attributes
    ----------
    name : str
    version : int
        Raised whenever the data change; rows of different versions never share a table.
    reference : str
        Where the task is described.
    wavelength : numpy.ndarray [n_pixels], float64
        Vacuum wavelength in Angstrom, unless the task says otherwise.
    nuisance_names, nuisance_units : tuple of str
    elements : tuple of str
        Names of the composition's columns; empty where no split has a composition.
    snr : float or None
        Signal-to-noise ratio a pixel of the noise that the task adds, None for none.
    """

    name: str
    version: int
    reference: str
    wavelength: np.ndarray
    nuisance_names: tuple[str, ...]
    nuisance_units: tuple[str, ...]
    elements: tuple[str, ...]
    snr: float | None

    def sizes(self, scale: str) -> dict[str, int]:
        """Return the number of pairs of each split at a scale."""

    def prepare(self, scale: str, *, progress: bool = True) -> None:
        """Make the data ready to read: build what is missing, check what is there."""

    def chunks(self, split: str, scale: str) -> Iterator[tuple[slice, Split]]:
        """Yield a split in pieces, in order, each with the range of pairs it covers."""

    def labels_on_disk(self, split: str, scale: str) -> tuple[np.ndarray, np.ndarray | None]:
        """Return nuisance and composition of a split without reading its flux."""

    def load(self, split: str, scale: str) -> Split:
        """Return a split whole."""

    def fingerprint(self, scale: str) -> str:
        """Return a short digest of the data that a row is tied to."""


def assemble(task: Task, split: str, scale: str) -> Split:
    """Read all chunks of a split into one, without holding any of them twice.

    Where the task adds no noise, `noiseless_flux` is `flux` itself and takes no memory of its own.
    """
    n_pairs = task.sizes(scale)[split]
    n_pixels, n_nuisance = len(task.wavelength), len(task.nuisance_names)
    flux = np.empty((n_pairs, 2, n_pixels), np.float32)
    noiseless = flux if task.snr is None else np.empty_like(flux)
    nuisance = np.empty((n_pairs, 2, n_nuisance), np.float32)
    composition = None
    for rows, piece in task.chunks(split, scale):
        flux[rows], nuisance[rows] = piece.flux, piece.nuisance
        if noiseless is not flux:
            noiseless[rows] = piece.noiseless_flux
        if piece.composition is not None:
            if composition is None:
                composition = np.empty((n_pairs, len(task.elements)), np.float32)
            composition[rows] = piece.composition
    return Split(flux, nuisance, composition, noiseless)
