"""Pairs of a model beside the stars of another survey: the split ``pairs`` of a survey task.

They are written as the stars are: with errors where those have errors, and with errors of the
labels where those have them.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from starbench.common.text import joined, listed
from starbench.tasks.base import PAIRS, Split, Task
from starbench.tasks.errors import DataError
from starbench.tasks.faults import named_faults, read_chunks
from starbench.tasks.storage.about import About
from starbench.tasks.survey.resample import same_pixels
from starbench.tasks.survey.wavelengths import vacuum_angstrom


@dataclass(frozen=True)
class PairsOf:
    """The pairs of a survey task, to be copied to the file of an import.

    Parameters
    ----------
    task : Task
        What ``--pairs-of`` names.
    scale : str
        What ``--pairs-scale`` names.

    Attributes
    ----------
    n : int
        Number of pairs.

    Raises
    ------
    DataError
        If the task has no pairs, or not at that scale.
    """

    task: Task
    scale: str

    def __post_init__(self) -> None:
        """Refuse a task without pairs of a model, and a scale that it does not have."""
        card = self.task.card
        if not card.has_model_pairs:
            raise DataError(
                f"--pairs-of {card.name} has no pairs of a model; give a survey task that has, "
                "such as apogee-giants-survey."
            )
        if self.scale not in card.sizes:
            raise DataError(
                f"--pairs-scale {self.scale} does not exist for {card.name}; choose one of "
                f"{', '.join(card.sizes)}."
            )

    @property
    def n(self) -> int:
        """Number of pairs."""
        return self.task.sizes(self.scale)[PAIRS]

    @property
    def sentence(self) -> str:
        """How many pairs are taken, and from where."""
        return (
            f"{self.n:,} pairs of {self.task.name}, version {self.task.version}, scale "
            f"{self.scale}, are there for methods that need twins or compositions to train on."
        )

    @cached_property
    def with_composition(self) -> bool:
        """Whether their composition is known."""
        return self.task.has_composition(PAIRS)

    @property
    def own_elements(self) -> tuple[str, ...]:
        """The elements of their composition; none if it is not known."""
        return self.task.elements if self.with_composition else ()

    def provenance(self) -> dict[str, Any]:
        """Return where the pairs come from; they must have been prepared."""
        return {
            "task": self.task.name,
            "version": self.task.version,
            "scale": self.scale,
            "fingerprint": self.task.fingerprint(self.scale),
            "number": self.n,
        }

    def prepare(self, *, progress: bool) -> None:
        """Make the data of the task ready to read."""
        with named_faults(self.task):
            self.task.prepare(self.scale, progress=progress)

    def check(self, about: About, *, with_errors: bool) -> None:
        """Check that the pairs fit the stars of an import.

        Parameters
        ----------
        about : About
            Of the stars, in Angstrom in vacuum.
        with_errors : bool
            Whether they have errors.

        Raises
        ------
        DataError
            If pixels, nuisances or their units differ, or only one of both has errors.
        """
        task, name = self.task, f"--pairs-of {self.task.name}"
        own = vacuum_angstrom(task.wavelength, task.wavelength_unit, task.card.medium, name)
        if not same_pixels(own, about.wavelength):
            raise DataError(
                f"{name} has other pixels ({_pixels(own)}) than the import "
                f"({_pixels(about.wavelength)}); give another --pixels, or remove --pairs-of."
            )
        theirs = _with_units(task.nuisance_names, task.nuisance_units)
        stars = _with_units(about.nuisance_names, about.nuisance_units)
        if theirs != stars:
            raise DataError(
                f"{name} has the nuisances {theirs}, but the import has {stars}; give the same in "
                "the same order with --nuisance, or remove --pairs-of."
            )
        if with_errors != _has_errors(task):
            has, lacks = ("the import", name) if with_errors else (name, "the import")
            raise DataError(
                f"The spectra of {has} have errors, but those of {lacks} have none; remove "
                "--pairs-of, or give both with errors."
            )

    def elements(self, stars: Sequence[str]) -> tuple[str, ...]:
        """Return those elements of the stars that the pairs have, too; all, if they have none."""
        if not self.with_composition:
            return tuple(stars)
        return tuple(name for name in stars if name in self.task.elements)

    def left_out(self, stars: Sequence[str]) -> str | None:
        """Return the sentence on elements that only stars or only pairs have; None if all have all.

        Stars and pairs share the columns of the composition.
        """
        shared = self.elements(stars)
        parts = []
        if lost := [name for name in stars if name not in shared]:
            parts.append(f"{listed(lost)} of the stars")
        if shared and (lost := [name for name in self.own_elements if name not in shared]):
            parts.append(f"{listed(lost)} of the pairs")
        if not parts:
            return None
        return (
            "Stars and pairs need the same abundance ratios, so these are left out: "
            f"{' and '.join(parts)}."
        )


def pairs_beside(
    task: Task,
    scale: str,
    elements: tuple[str, ...],
    *,
    with_errors: bool,
    with_nuisance_errors: bool,
) -> Iterator[tuple[slice, Split]]:
    """Yield the pairs of a survey task in pieces, with what its stars have.

    Parameters
    ----------
    task : Task
        Prepared.
    scale : str
    elements : tuple of str
        Columns of the composition.
    with_errors, with_nuisance_errors : bool
        Whether the stars have errors of the flux, and of the labels. Where pairs have none of the
        latter, these follow from the card: they are 0 where it says that labels are exact.
    """
    covariance = task.card.nuisance_covariance
    deviation = np.zeros(len(task.nuisance_names))
    if covariance is not None:
        deviation = np.sqrt(np.diag(covariance))
    columns = [task.elements.index(name) for name in elements]
    for rows, piece in read_chunks(task, PAIRS, scale):
        error = nuisance_error = composition = None
        if with_errors:
            error = piece.error
            if error is None and task.snr is not None:
                error = np.full(piece.flux.shape, 1 / task.snr, np.float32)
        if with_nuisance_errors:
            nuisance_error = piece.nuisance_error
            if nuisance_error is None:
                nuisance_error = np.broadcast_to(deviation, piece.nuisance.shape)
        if piece.composition is not None:
            composition = piece.composition[:, columns]
        yield (
            rows,
            replace(piece, error=error, nuisance_error=nuisance_error, composition=composition),
        )


def _has_errors(task: Task) -> bool:
    with named_faults(task):
        return task.snr is not None or task.make(PAIRS, 0, 1).error is not None


def _pixels(wavelength: np.ndarray) -> str:
    return f"{len(wavelength):,} from {wavelength[0]:.2f} to {wavelength[-1]:.2f} Angstrom"


def _with_units(names: Sequence[str], units: Sequence[str]) -> str:
    return joined([f"{name} [{unit}]" for name, unit in zip(names, units, strict=True)])
