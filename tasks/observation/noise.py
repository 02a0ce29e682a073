"""Noise tracks: a task's spectra, each with one fixed realisation of Gaussian noise.

The noise takes no disk: the vector of spectrum ``h`` (0 or 1) of pair ``i`` is item ``2 i + h`` of
the random stream ``<track>/<version>/<split>/noise``, drawn again whenever the spectrum is read.
That of star ``i`` of the split ``stars`` is item ``i``.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np

from starbench.common.parallel import in_parts
from starbench.tasks.base import SPLITS, ChunkId, Spectra, Split, Task
from starbench.tasks.card import Card
from starbench.tasks.errors import DataError
from starbench.tasks.observation.observed import Observed
from starbench.tasks.storage.chunks import Damaged
from starbench.tasks.streams import normals

CHECKED_PAIRS = 25  # pairs of each split whose noise is compared with the manifest

_PART = 64  # vectors of noise that are worth a thread

Check = Callable[[str, str, Spectra], None]
"""Takes track, split and the noise of the first pairs; raises `Damaged` if it is wrong."""


class NoiseTrack(Observed):
    """A task with noise of standard deviation 1/SNR in every pixel.

    Parameters
    ----------
    base : Task
        The task without noise.
    snr : float
        Signal-to-noise ratio per pixel.
    card : Card, optional
        By default the base's, with the SNR in its name and family ``noise``.
    check : callable, optional
        Compares the noise with a manifest, since numpy may change how it draws normal variates.
    """

    def __init__(
        self, base: Task, snr: float, *, card: Card | None = None, check: Check | None = None
    ):
        super().__init__(
            base,
            card
            or base.card.derive(
                name=f"{base.name}-snr{snr:g}",
                family="noise",
                changes=f"adds Gaussian noise of SNR {snr:g} per pixel",
                breaks=f"Each pixel has Gaussian noise of 1/{snr:g} of the continuum. Elements "
                "with few and weak lines drown in it, so that stars of similar composition cannot "
                "all be told apart. A latent has to weight what it holds by its signal to noise, "
                "and to hold as little of the noise as it can.",
                reference=f"{base.reference}, at SNR {snr:g} per pixel",
                snr=float(snr),
            ),
        )
        self._deviation = np.float32(1 / snr)
        self._check = check

    def noise(self, split: str, start: int, stop: int) -> Spectra:
        """Draw the noise [stop - start, 2, n_pixels] of any range of pairs, of unit deviation."""
        stream, each = f"{self.name}/{self.version}/{split}/noise", self.card.spectra_each(split)
        noise = np.empty((each * (stop - start), len(self.wavelength)), np.float32)

        def draw(rows: range) -> None:
            for i in rows:
                normals(stream, each * start + i, noise.shape[1], out=noise[i])

        in_parts(draw, len(noise), _PART)
        return noise.reshape(stop - start, each, -1)

    def observe(self, split: str, rows: slice, piece: Split) -> Split:
        """Return pairs with noise; `noiseless_flux` is the flux without it."""
        flux = self.noise(split, rows.start, rows.stop)
        flux *= self._deviation
        flux += piece.flux
        return replace(piece, flux=flux, noiseless_flux=piece.flux)

    def noiseless_flux(self, split: str, scale: str) -> Iterator[tuple[slice, Spectra]]:
        """Yield the base's flux, for which no noise is drawn."""
        for rows, piece in self.base.chunks(split, scale):
            yield rows, piece.flux

    def check_noise(self) -> None:
        """Check that this machine draws the same noise as the manifest holds.

        Raises
        ------
        DataError
            If the noise differs.
        """
        if self._check is None:
            return
        try:
            for split in SPLITS:
                self._check(self.name, split, self.noise(split, 0, CHECKED_PAIRS))
        except Damaged as damage:
            raise DataError(
                f"With numpy {np.__version__} {damage}; install the numpy of constraints.txt."
            ) from damage

    def prepare(self, scale: str, *, progress: bool = True) -> None:
        """Build the data set without noise if need be, and check the noise."""
        super().prepare(scale, progress=progress)
        self.check_noise()

    def problems(
        self, scale: str, *, progress: bool = True
    ) -> Iterator[tuple[str, ChunkId | None]]:
        """Yield each fault of the data set without noise, and of the noise."""
        yield from super().problems(scale, progress=progress)
        try:
            self.check_noise()
        except DataError as error:
            yield str(error).rstrip("."), None
