"""A small survey in memory: stars with errors, masks, groups and errors of the labels."""

from dataclasses import replace

import numpy as np

from starbench.tasks.base import PAIRS, Split, Task
from starbench.tasks.card import Card
from starbench.tasks.synthesis.wavelengths import aspcap_wavelengths

SIZES = {"train": 6, "validation": 3, "test": 6}


class ToySurvey(Task):
    """Field stars to train on; groups of three to validate and test."""

    chunk_pairs = 5
    wavelength = aspcap_wavelengths()
    card = Card(
        name="toy-survey",
        version=1,
        family="toy",
        reference="made for tests",
        licence="CC0-1.0",
        nuisance_names=("Teff", "logg"),
        nuisance_units=("K", "dex"),
        elements=("Fe/H", "Mg/Fe"),
        sizes={"tiny": SIZES},
        survey=True,
        changelog={1: "first"},
    )

    def make(self, split: str, start: int, stop: int) -> Split:
        rng = np.random.default_rng(len(split))
        n, n_pixels = SIZES[split], len(self.wavelength)
        error = rng.uniform(0.005, 0.03, (n, 1, n_pixels)).astype(np.float32)
        flux = (1 - 0.2 * rng.random((n, 1, n_pixels))).astype(np.float32)
        masked = rng.random((n, 1, n_pixels)) < 0.06
        error[masked], flux[masked] = np.inf, 1
        nuisance = np.stack([rng.uniform(4000, 5000, n), rng.uniform(1, 3, n)], axis=1)
        group = np.arange(n) if split == "train" else np.arange(n) // 3
        composition = rng.normal(0, 0.1, (n, 2)).astype(np.float32)
        rows = slice(start, stop)
        return Split(
            flux[rows],
            nuisance[rows, None].astype(np.float32),
            composition[rows],
            flux[rows],
            error=error[rows],
            group=group[rows].astype(np.int64),
            nuisance_error=np.broadcast_to(np.float32([50, 0.1]), (n, 1, 2))[rows],
        )

    def fingerprint(self, scale: str) -> str:
        return "0" * 16


class ToySurveyWithPairs(ToySurvey):
    """The same with pairs of a model to train on, whose labels have errors that the card states."""

    card = ToySurvey.card.derive(
        name="toy-survey-with-pairs",
        sizes={"tiny": SIZES | {PAIRS: 12}},
        elements=("Fe/H", "Si/Fe", "Mg/Fe"),
        nuisance_covariance=((6400.0, 4.8), (4.8, 0.0144)),
    )

    def make(self, split: str, start: int, stop: int) -> Split:
        if split != PAIRS:
            stars = super().make(split, start, stop)
            return replace(stars, composition=stars.composition[:, [0, 0, 1]])
        rng = np.random.default_rng(9)
        shape, rows = (12, 2, len(self.wavelength)), slice(start, stop)
        error = rng.uniform(0.005, 0.03, shape).astype(np.float32)
        flux = (1 - 0.2 * rng.random(shape)).astype(np.float32)
        masked = rng.random(shape) < 0.06
        error[masked], flux[masked] = np.inf, 1
        nuisance = rng.uniform([4000, 1], [5000, 3], (12, 2, 2)).astype(np.float32)
        composition = rng.normal(0, 0.1, (12, 3)).astype(np.float32)
        return Split(flux[rows], nuisance[rows], composition[rows], flux[rows], error=error[rows])
