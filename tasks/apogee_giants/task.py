"""The task ``apogee-giants``: pairs of red giants of one composition, from the emulator.

Any range of pairs can be made alone: the labels of pair ``i`` belong to item ``i`` of the random
stream ``apogee-giants/<version>/<split>/labels``, and the flux is the emulator's at those labels.
"""

import hashlib
import json
from functools import cached_property
from pathlib import Path
from typing import Protocol

import numpy as np

from starbench.common.progress import stage
from starbench.tasks.apogee_giants import population
from starbench.tasks.apogee_giants.manifest import Manifest
from starbench.tasks.arrays import Floats, Labels, Spectra
from starbench.tasks.card import Card
from starbench.tasks.drawn import DrawnTask
from starbench.tasks.errors import DataError
from starbench.tasks.forward import ForwardModel
from starbench.tasks.storage.cache import CachedPairs
from starbench.tasks.storage.chunks import Damaged
from starbench.tasks.streams import uniforms

CARD = Card(
    name="apogee-giants",
    version=1,
    family="ideal",
    breaks="Nothing. Spectra have no noise, labels have no errors, and Teff and log g are drawn "
    "independently of the composition. A method that removes what Teff and log g do to a spectrum "
    "finds every twin, so the track shows what a method can do when all its assumptions hold.",
    reference="Red giants as in de Mijolla et al. (2021), newly synthesised",
    licence="BSD-3-Clause",
    nuisance_names=population.NUISANCE_NAMES,
    nuisance_units=population.NUISANCE_UNITS,
    elements=population.COMPOSITION_NAMES,
    sizes={
        "full": {"train": 25_000, "validation": 12_500, "test": 12_500},
        "mini": {"train": 2_500, "validation": 1_250, "test": 1_250},
        "tiny": {"train": 128, "validation": 64, "test": 64},
    },
    medium="vacuum",
    wavelength_unit="Angstrom",
    changelog={1: "the first version"},
)
SCALES = CARD.sizes


class Emulator(Protocol):
    """What the task needs of an emulator."""

    wavelength: Floats
    sha256: str

    def flux(self, labels: Labels) -> Spectra:
        """Return flux [n, n_pixels], float32, at labels [n, 19]: Teff, log g, [Fe/H], [X/Fe]."""


class ApogeeGiants(DrawnTask):
    """Pairs of synthetic red giants in the wavelengths of APOGEE, without noise.

    Parameters
    ----------
    cache : pathlib.Path, optional
        Folder for the data; see `starbench.tasks.storage.cache.cache_folder`.
    emulator : Emulator, optional
        The shipped emulator, if not given; loaded when first needed.
    manifest : Manifest, optional
        The committed manifest, if not given; read when first needed.
    """

    card = CARD
    stored = True
    thread_safe = True
    remake_manifest = "python -m starbench.tasks.apogee_giants.make_manifest"

    def __init__(
        self,
        cache: Path | None = None,
        *,
        emulator: Emulator | None = None,
        manifest: Manifest | None = None,
    ):
        super().__init__(cache)
        if emulator is not None:
            self.emulator = emulator
        if manifest is not None:
            self.manifest = manifest

    @cached_property
    def emulator(self) -> Emulator:
        """The emulator that spectra are drawn from."""
        with stage("load emulator"):
            from starbench.tasks.apogee_giants.emulator import Emulator  # loads torch

            return Emulator.load()

    @cached_property
    def manifest(self) -> Manifest:
        """Digests and projections that the data must have."""
        return Manifest.read()

    @cached_property
    def wavelength(self) -> Floats:
        """Vacuum wavelength of each pixel [Angstrom]."""
        return self.emulator.wavelength

    def labels(self, split: str, start: int, stop: int) -> tuple[Labels, Labels]:
        """Draw the labels of any range of pairs.

        Returns
        -------
        nuisance : numpy.ndarray [n, 2, 2], float64
            Teff [K] and log g [dex, cgs].
        composition : numpy.ndarray [n, 17], float64
            [Fe/H] and [X/Fe] [dex].
        """
        stream = f"{self.name}/{self.version}/{split}/labels"
        return population.draw_pairs(uniforms(stream, start, stop, population.UNIFORMS_PER_PAIR))

    def spectra(self, nuisance: Labels, composition: Labels) -> Spectra:
        """Return the emulator's flux [n, n_pixels] of stars [n, 2] and [n, 17]."""
        return self.emulator.flux(np.hstack([nuisance, composition]))

    def source(self) -> dict[str, str | int]:
        """Return the digest of the emulator."""
        return {"emulator_sha256": self.emulator.sha256}

    def forward_model(self) -> ForwardModel | None:
        """Return the emulator with its derivatives; None for one that has none."""
        from starbench.tasks.apogee_giants import emulator, generator  # load torch

        if not isinstance(self.emulator, emulator.Emulator):
            return None
        return ForwardModel(generator.Generator(self.emulator))

    def drawn_labels(self, split: str, scale: str) -> tuple[Labels, Labels]:
        """Draw the labels of a whole split without building its data.

        Raises
        ------
        DataError
            If there is no such scale, or the labels drawn here differ from the manifest.
        """
        labels = super().drawn_labels(split, scale)
        try:
            self.check_labels(scale, split, *labels)
        except Damaged:
            raise DataError(
                f"This machine draws other labels of {split} than the manifest holds; install the "
                "library versions in constraints.txt."
            ) from None
        return labels

    def check_labels(self, scale: str, split: str, nuisance: Labels, composition: Labels) -> None:
        """Raise `Damaged` if the labels of a split are not exactly those of the manifest."""
        self.manifest.check_labels(scale, split, nuisance, composition)

    def check_flux(self, scale: str, split: str, start: int, flux: Spectra) -> None:
        """Raise `Damaged` if flux from pair `start` on differs from the manifest."""
        self.manifest.check_flux(scale, split, start, flux, self.sizes(scale)[split])

    def check_noise(self, track: str, split: str, noise: Spectra) -> None:
        """Raise `Damaged` if the noise of a track's first pairs differs from the manifest."""
        self.manifest.check_noise(track, split, noise)

    def cached(self, scale: str) -> CachedPairs:
        """Return the data set on disk of a scale, which may not be built yet."""
        self.sizes(scale)
        if self.emulator.sha256 != self.manifest.emulator_sha256:
            raise DataError(
                f"The manifest of {self.name} belongs to another emulator than the installed one; "
                f"regenerate it with `{self.remake_manifest}`."
            )
        return super().cached(scale)

    def fingerprint(self, scale: str) -> str:
        """Return a short digest of version, labels and emulator: the same on every machine."""
        self.sizes(scale)
        source = [
            self.name,
            self.version,
            scale,
            self.manifest.labels_sha256[scale],
            self.manifest.emulator_sha256,
        ]
        return hashlib.sha256(json.dumps(source, sort_keys=True).encode()).hexdigest()[:16]
