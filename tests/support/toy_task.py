"""A task of a few spectra that are drawn on the spot."""

import numpy as np

from starbench.tasks.base import SPLITS, Split, Task
from starbench.tasks.card import Card
from starbench.tasks.drawn import DrawnTask
from starbench.tasks.streams import uniforms


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
        n = self.n_pairs[split]
        rng = np.random.default_rng(SPLITS.index(split))
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
