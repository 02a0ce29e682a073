"""Fresh test stars: a task whose test split is drawn anew from streams that hold a public value.

The split ``test@VALUE`` names the random streams of labels, noise, hidden parameters and errors of
labels, as ``test`` does, so that fresh stars differ from the standard ones in nothing but the draw.
A value that did not exist when a method was fitted, such as the output of a public randomness
beacon at a later time, makes stars that nobody had seen.
"""

import re
from collections.abc import Iterator
from functools import cached_property

import numpy as np

from starbench.tasks.arrays import Floats
from starbench.tasks.base import Split, Task
from starbench.tasks.errors import DataError
from starbench.tasks.forward import ForwardModel

BEACON = re.compile(r"[A-Za-z0-9][A-Za-z0-9.:_+=-]{15,255}")


class FreshTest(Task):
    """A task whose test split is drawn from the streams of ``test@VALUE``; the rest is the base's.

    Parameters
    ----------
    base : Task
        One whose `draws_any_split` is true.
    value : str
        16 to 256 letters, digits and ``.:_+=-``; equal values give equal stars.
    keep : bool
        Whether the fresh stars of a scale stay in memory once they are drawn, for several methods
        to be scored on: 1 to 2 GB at full scale.

    Raises
    ------
    DataError
        If the value is of another form, or the task cannot draw other stars.
    """

    def __init__(self, base: Task, value: str, *, keep: bool = False):
        super().__init__(base.cache)
        if not BEACON.fullmatch(value):
            raise DataError(
                f"The beacon {value[:40]!a} must have 16 to 256 characters, letters, digits and "
                ".:_+=-; give a value that could not be known before, such as the SHA of a commit."
            )
        if not base.draws_any_split:
            raise DataError(
                f"{base.name} has no other stars than those of its splits; choose a task that "
                "draws its stars from random streams."
            )
        self.base, self.card, self.value = base, base.card, value
        self.split = f"test@{value}"
        self._keep = keep
        self._kept: dict[str, list[tuple[slice, Split]]] = {}

    @cached_property
    def wavelength(self) -> Floats:
        """Wavelength of each pixel of the base task."""
        return self.base.wavelength

    def source(self) -> dict[str, str | int]:
        """Return what the base's spectra are made from."""
        return self.base.source()

    def forward_model(self) -> ForwardModel | None:
        """Return how the base's spectra follow from all parameters."""
        return self.base.forward_model()

    def fingerprint(self, scale: str) -> str:
        """Return the base's fingerprint, as the stars to train on are the same."""
        return self.base.fingerprint(scale)

    def make(self, split: str, start: int, stop: int) -> Split:
        """Make any range of pairs, those of test from the fresh streams."""
        return self.base.make(self.split if split == "test" else split, start, stop)

    def chunks(self, split: str, scale: str) -> Iterator[tuple[slice, Split]]:
        """Yield a split in pieces, in order."""
        if split != "test":
            return self.base.chunks(split, scale)
        if not self._keep:
            return super().chunks(split, scale)
        if scale not in self._kept:
            self._kept[scale] = list(super().chunks(split, scale))
            for _, piece in self._kept[scale]:
                _protect(piece)
        return iter(self._kept[scale])

    def prepare(self, scale: str, *, progress: bool = True) -> None:
        """Check what the stars are made from, and that they are not the standard ones.

        Nothing is built: no other split than test is read where the base's data are stored.

        Raises
        ------
        DataError
            If the base's data would differ from its manifest, or the fresh stars are the standard
            ones.
        """
        if self.base.stored:
            self.base.cached(scale)  # compares the emulator with the manifest
        else:
            self.base.prepare(scale, progress=progress)
        fresh, standard = self.make("test", 0, 1), self.base.make("test", 0, 1)
        if np.array_equal(fresh.flux, standard.flux):
            raise DataError(
                f"{self.base.name} draws the same stars whatever the split is called; put the "
                "split into the names of its random streams."
            )


def _protect(piece: Split) -> None:
    """Let nobody write to the arrays of a piece that others will read."""
    for array in vars(piece).values():
        if array is not None:
            array.flags.writeable = False
