"""An example to copy: stars whose absorption lines follow abundance and temperature."""

import numpy as np

from starbench.tasks.base import Labels, Spectra
from starbench.tasks.card import Card
from starbench.tasks.drawn import DrawnTask
from starbench.tasks.streams import uniforms

ELEMENTS = ("Fe/H", "Mg/Fe", "Ti/Fe", "Ni/Fe")
LINES = 60


class MyTask(DrawnTask):
    """Each line belongs to an element, and grows or fades with temperature in its own way."""

    card = Card(
        name="my-task",
        version=1,  # raise it whenever the data change
        family="my-family",
        reference="You et al. (2026)",
        licence="CC-BY-4.0",
        nuisance_names=("Teff",),
        nuisance_units=("K",),
        elements=ELEMENTS,
        sizes={
            "full": {"train": 10_000, "validation": 5_000, "test": 5_000},
            "tiny": {"train": 128, "validation": 64, "test": 64},  # for tests; the same first pairs
        },
        medium="vacuum",
        changelog={1: "the first version"},
    )
    wavelength = np.linspace(15_000.0, 15_600.0, 400)

    def labels(self, split: str, start: int, stop: int) -> tuple[Labels, Labels]:
        # Item i of a stream belongs to pair i, so any range of pairs can be drawn alone.
        stream = f"{self.name}/{self.version}/{split}/labels"
        variates = uniforms(stream, start, stop, 2 + len(ELEMENTS))
        teff = 4000 + 1000 * variates[:, :2, None]  # [n, 2, 1]: one for each spectrum of a pair
        return teff, 0.6 * variates[:, 2:] - 0.3  # [n, 4]: both spectra share their composition

    def spectra(self, nuisance: Labels, composition: Labels) -> Spectra:
        # Of n stars: nuisance [n, 1] and composition [n, 4].
        element, excitation, place = uniforms(f"{self.name}/lines", 0, LINES, 3).T
        abundance = composition.copy()
        abundance[:, 1:] += composition[:, :1]  # [X/H] = [X/Fe] + [Fe/H]
        growth = 4 * (excitation - 0.5) * (1 - 4500 / nuisance)
        depth = 0.3 * 10 ** (abundance[:, (element * len(ELEMENTS)).astype(int)] + growth)
        centre = 15_000 + 600 * place
        profile = np.exp(-0.5 * ((self.wavelength - centre[:, None]) / 1.5) ** 2)
        flux: Spectra = np.exp(-depth @ profile).astype(np.float32)
        return flux
