"""Tasks that apply an effect of instrument or catalogue to the spectra of another task."""

import hashlib
from abc import abstractmethod
from collections.abc import Iterator
from functools import cached_property

import numpy as np
import numpy.typing as npt

from starbench.tasks.arrays import Floats
from starbench.tasks.base import ChunkId, Labels, Split, Task
from starbench.tasks.card import Card
from starbench.tasks.forward import ForwardModel
from starbench.tasks.storage.cache import CachedPairs


def with_unseen(piece: Split, parameters: Labels) -> Labels:
    """Return unseen parameters [n, each, k] of spectra, after those that they have already."""
    if piece.unseen is None:
        return parameters
    return np.concatenate([piece.unseen, parameters], axis=2)


class Observed(Task):
    """A task that changes the pairs of another one as they are read, and so takes no disk.

    Subclasses write `observe`. One that changes labels too overrides `labels_on_disk` and
    `drawn_labels` to match. One that changes the noiseless flux or the parameters overrides
    `forward_model`.

    Parameters
    ----------
    base : Task
    card : Card
        By `starbench.tasks.card.Card.derive` from the base's.
    """

    def __init__(self, base: Task, card: Card):
        super().__init__(base.cache)
        self.base, self.card, self.stored = base, card, base.stored
        self.draws_any_split = base.draws_any_split

    @abstractmethod
    def observe(self, split: str, rows: slice, piece: Split) -> Split:
        """Return pairs `rows` of a split as they are observed.

        What is random belongs to an item of a stream named by task, version and split, as in
        `starbench.tasks.streams`, so that a pair is the same whatever range it is part of.

        Parameters
        ----------
        split : str
        rows : slice
            Range of pairs that `piece` covers.
        piece : Split
            The base's pairs.
        """

    @cached_property
    def wavelength(self) -> Floats:
        """Wavelength of each pixel of the base task."""
        return self.base.wavelength

    def source(self) -> dict[str, str | int]:
        """Return what the base's spectra are made from."""
        return self.base.source()

    def forward_model(self) -> ForwardModel | None:
        """Return the base's forward model."""
        return self.base.forward_model()

    def make(self, split: str, start: int, stop: int) -> Split:
        """Make any range of pairs of the base and observe it."""
        return self.observe(split, slice(start, stop), self.base.make(split, start, stop))

    def chunks(self, split: str, scale: str) -> Iterator[tuple[slice, Split]]:
        """Yield the pieces of the base, observed."""
        for rows, piece in self.base.chunks(split, scale):
            yield rows, self.observe(split, rows, piece)

    def prepare(self, scale: str, *, progress: bool = True) -> None:
        """Make the base's data ready to read."""
        self.base.prepare(scale, progress=progress)

    def cached(self, scale: str) -> CachedPairs:
        """Return the base's data set on disk."""
        return self.base.cached(scale)

    def problems(
        self, scale: str, *, progress: bool = True
    ) -> Iterator[tuple[str, ChunkId | None]]:
        """Yield each fault of the base's data set."""
        return self.base.problems(scale, progress=progress)

    def labels_on_disk(self, split: str, scale: str) -> tuple[Labels, Labels | None]:
        """Return the base's nuisance and composition, without its flux."""
        return self.base.labels_on_disk(split, scale)

    def drawn_labels(self, split: str, scale: str) -> tuple[Labels, Labels | None]:
        """Return the base's nuisance and composition without building its data."""
        return self.base.drawn_labels(split, scale)

    def groups(self, split: str, scale: str) -> npt.NDArray[np.int64] | None:
        """Return the base's sibling groups, without its flux."""
        return self.base.groups(split, scale)

    def fingerprint(self, scale: str) -> str:
        """Return a short digest of the base's data, name and version."""
        source = f"{self.base.fingerprint(scale)}/{self.name}/{self.version}"
        return hashlib.sha256(source.encode()).hexdigest()[:16]
