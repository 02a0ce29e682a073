"""The task ``apogee-giants``: pairs of red giants of one composition, from the emulator.

Any range of pairs can be made alone: the labels of pair ``i`` belong to item ``i`` of the random
stream ``apogee-giants/<version>/<split>/labels``, and the flux is the emulator's at those labels.
"""

import hashlib
import json
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Protocol

import numpy as np

from starbench.tasks.apogee_giants import population
from starbench.tasks.apogee_giants.manifest import Manifest
from starbench.tasks.base import Split, assemble
from starbench.tasks.errors import DataError
from starbench.tasks.storage.cache import CachedPairs, cache_folder
from starbench.tasks.storage.chunks import Damaged, Header
from starbench.tasks.streams import uniforms

SCALES = {
    "full": {"train": 25_000, "validation": 12_500, "test": 12_500},
    "mini": {"train": 2_500, "validation": 1_250, "test": 1_250},
    "tiny": {"train": 128, "validation": 64, "test": 64},
}
CHUNK_PAIRS = 625  # 36 MB of flux

# The emulator is always run on whole blocks of this many pairs that start at its multiples. The
# last bits of a matrix product depend on its shape, so a pair would otherwise depend on the range
# it is made in.
BLOCK_PAIRS = 125


class Spectra(Protocol):
    """What the task needs of an emulator."""

    wavelength: np.ndarray
    sha256: str

    def flux(self, labels: np.ndarray) -> np.ndarray:
        """Return flux [n, n_pixels], float32, at labels [n, 19]: Teff, log g, [Fe/H], [X/Fe]."""


class ApogeeGiants:
    """Pairs of synthetic red giants in the wavelengths of APOGEE, without noise.

    Parameters
    ----------
    cache : pathlib.Path, optional
        Folder for the data; see `starbench.tasks.storage.cache.cache_folder`.
    emulator : Spectra, optional
        The shipped emulator, if not given; loaded when first needed.
    manifest : Manifest, optional
        The committed manifest, if not given; read when first needed.
    """

    name = "apogee-giants"
    version = 1
    reference = "Red giants as in de Mijolla et al. (2021), synthesised anew"
    nuisance_names = population.NUISANCE_NAMES
    nuisance_units = population.NUISANCE_UNITS
    elements = population.COMPOSITION_NAMES
    snr = None

    def __init__(
        self,
        cache: Path | None = None,
        *,
        emulator: Spectra | None = None,
        manifest: Manifest | None = None,
    ):
        self._cache = cache
        if emulator is not None:
            self.emulator = emulator
        if manifest is not None:
            self.manifest = manifest

    @cached_property
    def emulator(self) -> Spectra:
        """The emulator that spectra are drawn from."""
        from starbench.tasks.apogee_giants.emulator import Emulator  # loads torch

        return Emulator.load()

    @cached_property
    def manifest(self) -> Manifest:
        """What the data must be."""
        return Manifest.read()

    @property
    def wavelength(self) -> np.ndarray:
        """Vacuum wavelength of each pixel [Angstrom]."""
        return self.emulator.wavelength

    def sizes(self, scale: str) -> dict[str, int]:
        """Return the number of pairs of each split at a scale.

        Raises
        ------
        DataError
            If there is no such scale.
        """
        if scale not in SCALES:
            raise DataError(f"--scale {scale} does not exist; choose one of {', '.join(SCALES)}.")
        return dict(SCALES[scale])

    def labels(self, split: str, start: int, stop: int) -> tuple[np.ndarray, np.ndarray]:
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

    def drawn_labels(self, split: str, scale: str) -> tuple[np.ndarray, np.ndarray]:
        """Draw the labels of a whole split: those of its data set, which need not be built.

        Raises
        ------
        DataError
            If there is no such scale, or this machine does not draw what the manifest says.
        """
        labels = self.labels(split, 0, self.sizes(scale)[split])
        try:
            self.manifest.check_labels(scale, split, *labels)
        except Damaged:
            raise DataError(
                f"This machine draws other labels of {split} than the manifest holds; install the "
                "versions in constraints.txt."
            ) from None
        return labels

    def make(self, split: str, start: int, stop: int) -> Split:
        """Make any range of pairs, each the same to the last bit in whatever range it is made."""
        first = start - start % BLOCK_PAIRS
        nuisance, composition = self.labels(split, first, stop + -stop % BLOCK_PAIRS)
        flux = np.empty((stop - start, 2, len(self.wavelength)), np.float32)
        for block in range(first, stop, BLOCK_PAIRS):
            of_block = slice(block - first, block - first + BLOCK_PAIRS)
            stars = np.concatenate(
                [nuisance[of_block], np.repeat(composition[of_block, None], 2, axis=1)], axis=2
            )
            made = self.emulator.flux(stars.reshape(2 * BLOCK_PAIRS, -1))
            low, high = max(block, start), min(block + BLOCK_PAIRS, stop)
            flux[low - start : high - start] = made.reshape(BLOCK_PAIRS, 2, -1)[
                low - block : high - block
            ]
        asked = slice(start - first, stop - first)
        return Split(
            flux,
            nuisance[asked].astype(np.float32),
            composition[asked].astype(np.float32),
            noiseless_flux=flux,
        )

    def cached(self, scale: str) -> CachedPairs:
        """Return the data set on disk of a scale, which may not be built yet."""
        sizes = self.sizes(scale)
        if self.emulator.sha256 != self.manifest.emulator_sha256:
            raise DataError(
                f"The manifest of {self.name} belongs to another emulator than the installed one; "
                "regenerate it with `python -m starbench.tasks.apogee_giants.make_manifest`."
            )
        header = Header(
            wavelength=self.wavelength,
            wavelength_unit="Angstrom",
            nuisance_names=self.nuisance_names,
            nuisance_units=self.nuisance_units,
            elements=self.elements,
            pairs=sizes,
            chunk_pairs=CHUNK_PAIRS,
            facts={
                "task": self.name,
                "version": self.version,
                "scale": scale,
                "emulator_sha256": self.emulator.sha256,
            },
        )
        return CachedPairs(
            cache_folder(self._cache) / f"{self.name}-{self.version}-{scale}.h5",
            header,
            self.make,
            lambda split, *labels: self.manifest.check_labels(scale, split, *labels),
            lambda split, start, flux: self.manifest.check_flux(
                scale, split, start, flux, sizes[split]
            ),
        )

    def prepare(self, scale: str, *, progress: bool = True) -> None:
        """Build the data set of a scale if it is missing, damaged as a whole, or out of date.

        Raises
        ------
        DataError
            If there is no such scale, or this machine does not make what the manifest says.
        OSError
            If the disk is full; nothing is left behind.
        """
        self.cached(scale).prepare(progress=progress)

    def problems(
        self, scale: str, *, progress: bool = True
    ) -> Iterator[tuple[str, tuple[str, int] | None]]:
        """Read everything; yield each fault and the chunk it lies in, None for the whole file."""
        return self.cached(scale).problems(progress=progress)

    def labels_on_disk(self, split: str, scale: str) -> tuple[np.ndarray, np.ndarray]:
        """Read nuisance and composition of a split without its flux."""
        return self.cached(scale).labels(split)

    def chunks(self, split: str, scale: str) -> Iterator[tuple[slice, Split]]:
        """Yield a split chunk by chunk, in order, each checked and if need be rebuilt."""
        return self.cached(scale).chunks(split)

    def load(self, split: str, scale: str) -> Split:
        """Return a split whole."""
        return assemble(self, split, scale)

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
