"""The stars of a survey: giants of clusters and of the field, with one spectrum each."""

from pathlib import Path

import numpy as np
import numpy.typing as npt

from starbench.tasks.apogee_giants import variants
from starbench.tasks.apogee_giants.clusters import groups, n_stars
from starbench.tasks.apogee_giants.variants import GiantsVariant
from starbench.tasks.arrays import Labels
from starbench.tasks.base import PAIRS, Split
from starbench.tasks.card import Card

SIZES = {
    "full": {"train": 25_000, "validation": n_stars(150), "test": n_stars(400), "pairs": 12_500},
    "mini": {"train": 2_500, "validation": n_stars(20), "test": n_stars(40), "pairs": 1_250},
    "tiny": {"train": 128, "validation": n_stars(4), "test": n_stars(4), "pairs": 64},
}
"""At full scale 400 clusters in a field of 8,000 stars in test, 150 in one of 3,000 in validation.

The training set has no siblings. The pairs, as many spectra, are for methods that need twins.
"""


class SurveyStars(GiantsVariant):
    """Red giants of a giant branch, in clusters and in the field, without noise.

    Members of a cluster share their composition to the last digit, as pairs do, and have nuisances
    of their own. Star ``i`` draws its nuisance from item ``i`` of the stream of labels, and its
    composition from the item of its group's first star. Clusters are in all splits but ``train``
    and ``pairs``.

    Parameters
    ----------
    name : str
        Of the task, and of its random streams.
    weights : pathlib.Path, optional
        Of the emulator that makes the spectra; those of the first generator, if not given.
    cache : pathlib.Path, optional
        As that of `GiantsVariant`.
    """

    def __init__(self, name: str, weights: Path | None = None, *, cache: Path | None = None):
        super().__init__(variants.BRANCH, name, family="reality", weights=weights, cache=cache)
        changes = (
            "takes one spectrum each of stars in clusters and in the field, whose Teff follows log "
            "g and [Fe/H] within 60 K"
        )
        self.card = Card(**{**dict(self.card), "survey": True, "sizes": SIZES, "changes": changes})

    def labels(self, split: str, start: int, stop: int) -> tuple[Labels, Labels]:
        """Draw the labels of any range of stars, or pairs."""
        if split == PAIRS:
            return super().labels(split, start, stop)
        group = self._groups(split, start, stop)
        variates = self.variates(split, group[0], stop)
        own, first = variates[start - group[0] :], variates[group - group[0]]
        n = variants.COMPOSITION_VARIATES
        return self.population.draw(np.hstack([own[:, :-n], first[:, -n:]]), 1)

    def make(self, split: str, start: int, stop: int) -> Split:
        """Make any range of stars, or pairs, with the sibling group of each star."""
        made = super().make(split, start, stop)
        if split == PAIRS:
            return made
        return Split(
            made.flux,
            made.nuisance,
            made.composition,
            made.noiseless_flux,
            group=self._groups(split, start, stop),
        )

    def groups(self, split: str, scale: str) -> npt.NDArray[np.int64] | None:
        """Return the sibling group of each star of a split."""
        n = self.sizes(scale)[split]
        return None if split == PAIRS else self._groups(split, 0, n)

    @staticmethod
    def _groups(split: str, start: int, stop: int) -> npt.NDArray[np.int64]:
        return np.arange(start, stop) if split == "train" else groups(start, stop)
