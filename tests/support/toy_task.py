"""A task of a few spectra that are drawn on the spot."""

import zlib

import numpy as np

from starbench.tasks.base import SPLITS, Split, Task
from starbench.tasks.card import Card
from starbench.tasks.drawn import DrawnTask
from starbench.tasks.streams import uniforms


def seed_of(split):
    return SPLITS.index(split) if split in SPLITS else zlib.crc32(split.encode())


class ToyTask(Task):
    """Spectra that are linear in four abundances and the nuisance, with one product of the two."""

    chunk_pairs = 16

    def __init__(self, n_pixels=60, n_pairs=(40, 30, 20)):
        super().__init__()
        self.wavelength = np.linspace(15100.0, 16900.0, n_pixels)
        self.n_pairs = sizes = dict(zip(SPLITS, n_pairs, strict=True))
        self.card = Card(
            name="toy",
            version=1,
            family="tests",
            reference="tests",
            licence="BSD-3-Clause",
            nuisance_names=("Teff", "logg"),
            nuisance_units=("K", "dex"),
            elements=("Fe/H", "C/Fe", "N/Fe", "O/Fe"),
            sizes={"full": sizes, "mini": sizes, "tiny": sizes},
            changelog={1: "the first version"},
        )

    def make(self, split, start, stop):
        n = self.n_pairs[split.partition("@")[0]]
        rng = np.random.default_rng(seed_of(split))
        lines = np.random.default_rng(99).standard_normal((6, len(self.wavelength)))
        composition = rng.normal(size=(n, 4)).astype(np.float32)
        unit = rng.uniform(-1, 1, (n, 2, 2))
        nuisance = (unit * [500, 0.75] + [4500, 2.25]).astype(np.float32)
        both = np.repeat(composition[:, None], 2, axis=1)
        flux = np.concatenate([both, unit], axis=-1) @ lines * 0.02
        flux = (1 - flux + 0.002 * both[..., :1] * unit[..., :1]).astype(np.float32)
        part = slice(start, stop)
        return Split(flux[part], nuisance[part], composition[part], flux[part])

    def fingerprint(self, scale):
        return "toy-data-1"


class DrawnToyTask(DrawnTask):
    """Such spectra from random streams, so that fresh stars can be drawn."""

    wavelength = np.linspace(15100.0, 16900.0, 60)

    def __init__(self, n_pairs=(80, 60, 60), name="toy-drawn"):
        super().__init__()
        sizes = dict(zip(SPLITS, n_pairs, strict=True))
        self.card = ToyTask().card.derive(
            name=name, sizes={"full": sizes, "mini": sizes, "tiny": sizes}
        )

    def labels(self, split, start, stop):
        uniform = uniforms(f"{self.name}/{split}/labels", start, stop, 8)
        nuisance = uniform[:, :4].reshape(-1, 2, 2) * [1000, 1.5] + [4000, 1.5]
        return nuisance, uniform[:, 4:] - 0.5

    def spectra(self, nuisance, composition):
        lines = np.random.default_rng(99).standard_normal((6, len(self.wavelength)))
        unit = (nuisance - [4500, 2.25]) / [1000, 1.5]
        flux = 1 - 0.02 * np.concatenate([composition, unit], axis=1) @ lines
        noise = np.sin(1e5 * flux)  # of a fixed size, so that not all twins are found
        return (flux + 0.009 * noise).astype(np.float32)


class ToySurvey(ToyTask):
    """Such spectra of stars in groups, with errors, masks, and errors of the labels.

    The numbers of stars of the groups, after those of the field, are `sizes_of_groups`. Stars of a
    split ``test@VALUE`` can be drawn, too.
    """

    draws_any_split = True

    def __init__(self, n_pixels=60, n_stars=(80, 60, 60), sizes_of_groups=(2, 3, 5), errors=True):
        super().__init__(n_pixels, n_stars)
        self.errors = errors
        self.sizes_of_groups = sizes_of_groups
        self.card = self.card.derive(name="toy-survey", survey=True, base=None)

    def _groups(self, split):
        sizes = self.sizes_of_groups if split != "train" else ()
        n_field = self.n_pairs[split.partition("@")[0]] - sum(sizes)
        group = np.concatenate(
            [np.arange(n_field), np.repeat(10_000 + np.arange(len(sizes)), sizes)]
        )
        return np.random.default_rng(5).permutation(group)

    def make(self, split, start, stop):
        group = self._groups(split)
        pairs = super().make(split, 0, len(group))
        noise = np.random.default_rng(6 + seed_of(split))
        _, first = np.unique(group, return_index=True)
        member = first[np.searchsorted(group[first], group, sorter=np.argsort(group[first]))]
        composition = pairs.composition[member]
        lines = np.random.default_rng(99).standard_normal((6, len(self.wavelength)))
        unit = (pairs.nuisance[:, :1] - [4500, 2.25]) / [500, 0.75]
        truth = np.concatenate([composition[:, None], unit], axis=-1) @ lines * 0.02
        truth = (1 - truth).astype(np.float32)
        error = noise.uniform(0.002, 0.01, truth.shape).astype(np.float32)
        flux = truth + error * noise.standard_normal(truth.shape, dtype=np.float32)
        masked = noise.random(truth.shape) < 0.05
        flux[masked], error[masked] = 1, np.inf
        part = slice(start, stop)
        nuisance = pairs.nuisance[part, :1]
        return Split(
            flux[part],
            nuisance,
            composition[part],
            flux[part],
            error=error[part] if self.errors else None,
            group=group[part],
            nuisance_error=np.full_like(nuisance, 0.1) if self.errors else None,
        )
