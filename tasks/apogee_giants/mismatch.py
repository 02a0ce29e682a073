"""A survey by one generator, with the pairs that another one makes to train on.

For real stars nobody has compositions or twins without a model of stellar spectra, and models are
wrong. Here the survey comes from the second generator: validation and test, and the stars without
a twin on which methods train that need neither. Methods that need twins or compositions train on
pairs of the first generator, as those who train on synthetic spectra do.

Where stars have errors, masks and labels as a survey's do, the model's pairs have what the survey
states of itself, or does to any spectrum: line widths, noise and masks of the same distributions,
the random errors of the labels, and the pseudo-continuum. They are clean of what nobody can know:
the bias of the labels and persistence.
"""

import hashlib
from collections.abc import Iterator
from functools import cached_property

import numpy as np
import numpy.typing as npt

from starbench.tasks.arrays import Floats, Labels
from starbench.tasks.base import Split, Task
from starbench.tasks.card import Card
from starbench.tasks.forward import ForwardModel


class ModelPairs(Task):
    """A survey whose training pairs are replaced by those of a model.

    Parameters
    ----------
    survey : Task
        Its card has stars without a twin.
    model : Task
        Pairs of the same sizes, labels and pixels.
    card : Card
    split : {"train", "pairs"}
        The split of the model's pairs.
    """

    def __init__(self, survey: Task, model: Task, card: Card, *, split: str = "train"):
        super().__init__(survey.cache)
        self.survey, self.model, self.card, self.split = survey, model, card, split
        self.draws_any_split = survey.draws_any_split

    def _of(self, split: str) -> Task:
        return self.model if split == self.split else self.survey

    @cached_property
    def wavelength(self) -> Floats:
        """Wavelength of each pixel of the survey."""
        return self.survey.wavelength

    def source(self) -> dict[str, str | int]:
        """Return what the spectra of survey and model are made from."""
        return {
            **self.survey.source(),
            **{f"model_{name}": value for name, value in self.model.source().items()},
        }

    def forward_model(self) -> ForwardModel | None:
        """Return the survey's forward model."""
        return self.survey.forward_model()

    def make(self, split: str, start: int, stop: int) -> Split:
        """Make any range of pairs of the survey or, in their split, of the model."""
        return self._of(split).make(split, start, stop)

    def chunks(self, split: str, scale: str) -> Iterator[tuple[slice, Split]]:
        """Yield a split in pieces, in order."""
        return self._of(split).chunks(split, scale)

    def labels_on_disk(self, split: str, scale: str) -> tuple[Labels, Labels | None]:
        """Return nuisance and composition of a split without its flux."""
        return self._of(split).labels_on_disk(split, scale)

    def drawn_labels(self, split: str, scale: str) -> tuple[Labels, Labels | None]:
        """Return nuisance and composition of a split without building its data."""
        return self._of(split).drawn_labels(split, scale)

    def groups(self, split: str, scale: str) -> npt.NDArray[np.int64] | None:
        """Return the sibling groups of a survey's split, without its flux."""
        return self._of(split).groups(split, scale)

    def fingerprint(self, scale: str) -> str:
        """Return a short digest of the data of survey and model."""
        both = f"{self.survey.fingerprint(scale)}/{self.model.fingerprint(scale)}"
        return hashlib.sha256(both.encode()).hexdigest()[:16]
