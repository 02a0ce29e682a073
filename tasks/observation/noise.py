"""Noise tracks: a task's spectra, each with one fixed realisation of Gaussian noise.

The noise takes no disk: the vector of half ``h`` of pair ``i`` is item ``2 i + h`` of the stream
``<track>/<version>/<split>/noise``, made anew whenever the spectrum is read.
"""

import hashlib
from collections.abc import Iterator

import numpy as np

from starbench.tasks.apogee_giants.manifest import GROUP_PAIRS
from starbench.tasks.apogee_giants.task import ApogeeGiants
from starbench.tasks.base import Split, assemble
from starbench.tasks.errors import DataError
from starbench.tasks.storage.cache import CachedPairs
from starbench.tasks.storage.chunks import Damaged
from starbench.tasks.streams import normals

SNRS = (100, 50, 30)


class NoiseTrack:
    """A task with noise of standard deviation 1/SNR in every pixel.

    Parameters
    ----------
    base : ApogeeGiants
        The task without noise.
    snr : int
        Signal-to-noise ratio a pixel.
    """

    def __init__(self, base: ApogeeGiants, snr: int):
        self.base = base
        self.snr = float(snr)
        self.name = f"{base.name}-snr{snr}"
        self.version = base.version
        self.reference = f"{base.reference}, at SNR {snr} a pixel"
        self.nuisance_names = base.nuisance_names
        self.nuisance_units = base.nuisance_units
        self.elements = base.elements

    @property
    def wavelength(self) -> np.ndarray:
        """Vacuum wavelength of each pixel [Angstrom]."""
        return self.base.wavelength

    def sizes(self, scale: str) -> dict[str, int]:
        """Return the number of pairs of each split at a scale."""
        return self.base.sizes(scale)

    def cached(self, scale: str) -> CachedPairs:
        """Return the data set on disk, which is the one without noise."""
        return self.base.cached(scale)

    def noise(self, split: str, start: int, stop: int) -> np.ndarray:
        """Make the noise [stop - start, 2, n_pixels] of any range of pairs, of unit deviation."""
        stream = f"{self.name}/{self.version}/{split}/noise"
        noise = np.empty((2 * (stop - start), len(self.wavelength)), np.float32)
        for i, item in enumerate(range(2 * start, 2 * stop)):
            noise[i] = normals(stream, item, noise.shape[1])
        return noise.reshape(stop - start, 2, -1)

    def check_noise(self) -> None:
        """Check that this machine draws the noise of the manifest.

        Raises
        ------
        DataError
            If it does not: numpy may change in a new version how it draws normal variates.
        """
        try:
            for split in self.base.manifest.noise[self.name]:
                self.base.manifest.check_noise(self.name, split, self.noise(split, 0, GROUP_PAIRS))
        except Damaged as damage:
            raise DataError(
                f"With numpy {np.__version__} {damage}; install the numpy of constraints.txt."
            ) from damage

    def prepare(self, scale: str, *, progress: bool = True) -> None:
        """Build the data set without noise if need be, and check the noise."""
        self.base.prepare(scale, progress=progress)
        self.check_noise()

    def problems(
        self, scale: str, *, progress: bool = True
    ) -> Iterator[tuple[str, tuple[str, int] | None]]:
        """Yield each fault of the data set without noise, and of the noise."""
        yield from self.base.problems(scale, progress=progress)
        try:
            self.check_noise()
        except DataError as error:
            yield str(error).rstrip("."), None

    def labels_on_disk(self, split: str, scale: str) -> tuple[np.ndarray, np.ndarray]:
        """Read nuisance and composition of a split without its flux."""
        return self.base.labels_on_disk(split, scale)

    def drawn_labels(self, split: str, scale: str) -> tuple[np.ndarray, np.ndarray]:
        """Draw the labels of a whole split: those of the data set without noise."""
        return self.base.drawn_labels(split, scale)

    def chunks(self, split: str, scale: str) -> Iterator[tuple[slice, Split]]:
        """Yield a split by pieces, in order; `noiseless_flux` is the flux without the noise."""
        for rows, piece in self.base.chunks(split, scale):
            flux = self.noise(split, rows.start, rows.stop)
            flux *= np.float32(1 / self.snr)
            flux += piece.flux
            yield rows, Split(flux, piece.nuisance, piece.composition, noiseless_flux=piece.flux)

    def load(self, split: str, scale: str) -> Split:
        """Return a split whole."""
        return assemble(self, split, scale)

    def fingerprint(self, scale: str) -> str:
        """Return a short digest of the data: the same on every machine."""
        source = f"{self.base.fingerprint(scale)}/{self.name}/{self.version}"
        return hashlib.sha256(source.encode()).hexdigest()[:16]
