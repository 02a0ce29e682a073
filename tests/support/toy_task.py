"""A task of a few spectra that are made on the spot."""

import numpy as np

from starbench.tasks.base import SPLITS, Split, assemble


class ToyTask:
    """Spectra that are linear in four abundances and the nuisance, with one product of the two."""

    name = "toy"
    version = 1
    reference = "tests"
    nuisance_names = ("Teff", "logg")
    nuisance_units = ("K", "dex")
    elements = ("Fe/H", "C/Fe", "N/Fe", "O/Fe")
    snr = None

    def __init__(self, n_pixels=60, n_pairs=(40, 30, 20)):
        self.wavelength = np.linspace(15100.0, 16900.0, n_pixels)
        self._sizes = dict(zip(SPLITS, n_pairs, strict=True))

    def sizes(self, scale):
        return self._sizes

    def prepare(self, scale, *, progress=True):
        pass

    def chunks(self, split, scale):
        n = self._sizes[split]
        rng = np.random.default_rng(SPLITS.index(split))
        lines = np.random.default_rng(99).standard_normal((6, len(self.wavelength)))
        composition = rng.normal(size=(n, 4)).astype(np.float32)
        unit = rng.uniform(-1, 1, (n, 2, 2))
        nuisance = (unit * [500, 0.75] + [4500, 2.25]).astype(np.float32)
        both = np.repeat(composition[:, None], 2, axis=1)
        flux = np.concatenate([both, unit], axis=-1) @ lines * 0.02
        flux = (1 - flux + 0.002 * both[..., :1] * unit[..., :1]).astype(np.float32)
        for start in range(0, n, 16):
            part = slice(start, min(start + 16, n))
            yield part, Split(flux[part], nuisance[part], composition[part], flux[part])

    def load(self, split, scale):
        return assemble(self, split, scale)

    def labels_on_disk(self, split, scale):
        whole = self.load(split, scale)
        return whole.nuisance, whole.composition

    def fingerprint(self, scale):
        return "toy-data-1"
