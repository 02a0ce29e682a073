"""Standard tracks that are compared with a manifest of their labels, spectra and noise.

The labels of every scale are compared exactly, by their SHA-256 as float32; the noiseless flux and
the noise of the first 50 spectra of each split through the projections of
`starbench.tasks.apogee_giants.manifest`, which tolerate the last bits of sums. All other spectra
are made by the same code on the same machine.

`starbench.tasks.apogee_giants.make_track_manifest` makes the committed manifest.
"""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from starbench.tasks.apogee_giants.manifest import GROUP_PAIRS, TOLERANCE, project
from starbench.tasks.arrays import Spectra
from starbench.tasks.base import ChunkId, Split, Task
from starbench.tasks.errors import DataError
from starbench.tasks.observation.observed import Observed

PATH = Path(__file__).resolve().parents[1] / "assets" / "tracks.json"
REMAKE = "python -m starbench.tasks.apogee_giants.make_track_manifest"
_DECIMALS = 6  # of a projection, far below the tolerance
_SURVEY_SNR = 300  # by which the rounding of flux may be larger in units of the errors of a survey


@dataclass(frozen=True)
class TrackDigests:
    """What the data of one version of a track must be.

    Attributes
    ----------
    version : int
    source : dict
        What the spectra are made from: the digest of each emulator.
    labels_sha256 : dict
        For each scale and split, of the nuisance and composition as methods get them.
    flux, noise : dict
        For each split, the projection of the first spectra's noiseless flux, and of their noise in
        units of its deviation.
    """

    version: int
    source: dict[str, str | int]
    labels_sha256: dict[str, dict[str, str]]
    flux: dict[str, float]
    noise: dict[str, float]

    @classmethod
    def of(cls, task: Task) -> "TrackDigests":
        """Compute the digests of a task."""
        flux, noise = {}, {}
        for split in task.sizes(task.default_scale):
            flux[split], noise[split] = _projections(task, split)
        return cls(
            task.version,
            task.source(),
            {scale: _labels_sha256(task, scale) for scale in task.card.sizes},
            flux,
            noise,
        )


def _labels_sha256(task: Task, scale: str) -> dict[str, str]:
    digests = {}
    for split in task.sizes(scale):
        digest = hashlib.sha256()
        for labels in task.labels_on_disk(split, scale):
            digest.update(np.ascontiguousarray(labels, "<f4").tobytes())
        digests[split] = digest.hexdigest()
    return digests


def _projections(task: Task, split: str) -> tuple[float, float]:
    some = task.make(split, 0, 2 * GROUP_PAIRS // task.card.spectra_each(split))
    shape = (GROUP_PAIRS, 2, len(task.wavelength))
    noise = some.flux - some.noiseless_flux
    if some.error is None:
        noise *= np.float32(task.snr or 0)
    else:
        noise = np.where(np.isinf(some.error), 0, noise / some.error)
    flux_number, noise_number = (
        round(float(project(values.reshape(shape))[0]), _DECIMALS)
        for values in (some.noiseless_flux, noise)
    )
    return flux_number, noise_number


def read_manifest(path: Path = PATH) -> dict[str, TrackDigests]:
    """Return the digests of each track."""
    stored = json.loads(path.read_text(encoding="utf-8"))
    return {name: TrackDigests(**digests) for name, digests in stored.items()}


class StandardTrack(Observed):
    """A task whose data are compared with the committed manifest before they are used.

    Parameters
    ----------
    base : Task
    digests : TrackDigests, optional
        Those of the committed manifest, if not given; read when first needed.
    """

    def __init__(self, base: Task, *, digests: TrackDigests | None = None):
        super().__init__(base, base.card)
        if digests is not None:
            self.digests = digests

    @cached_property
    def digests(self) -> TrackDigests:
        """What the data must be."""
        digests = read_manifest().get(self.name)
        if digests is None or digests.version != self.version:
            raise DataError(
                f"The manifest does not hold version {self.version} of {self.name}; regenerate it "
                f"with `{REMAKE}`."
            )
        return digests

    def observe(self, split: str, rows: slice, piece: Split) -> Split:
        """Return the base's pairs."""
        return piece

    def noiseless_flux(self, split: str, scale: str) -> Iterator[tuple[slice, Spectra]]:
        """Yield the base's flux."""
        return self.base.noiseless_flux(split, scale)

    def fingerprint(self, scale: str) -> str:
        """Return the base's fingerprint."""
        return self.base.fingerprint(scale)

    def prepare(self, scale: str, *, progress: bool = True) -> None:
        """Check that this machine makes the data of the manifest.

        Raises
        ------
        DataError
            If there is no such scale, or the data differ.
        """
        super().prepare(scale, progress=progress)
        for fault, _ in self._faults(scale):
            raise DataError(
                f"This machine makes other data of {self.name} than the manifest holds ({fault}); "
                "install the library versions in constraints.txt."
            )

    def problems(
        self, scale: str, *, progress: bool = True
    ) -> Iterator[tuple[str, ChunkId | None]]:
        """Yield each difference from the manifest."""
        yield from super().problems(scale, progress=progress)
        yield from self._faults(scale)

    def _faults(self, scale: str) -> Iterator[tuple[str, None]]:
        self.sizes(scale)
        if self.source() != self.digests.source:
            yield "the emulator is not that of the manifest", None
            return
        for split, digest in _labels_sha256(self.base, scale).items():
            if digest != self.digests.labels_sha256[scale][split]:
                yield f"labels of {split} are not those of the manifest", None
        for split in self.sizes(scale):
            flux, noise = _projections(self.base, split)
            if not abs(flux - self.digests.flux[split]) <= TOLERANCE:
                yield f"the flux of {split} is not that of the manifest", None
            snr = _SURVEY_SNR if self.card.survey else self.snr or 1
            if not abs(noise - self.digests.noise[split]) <= TOLERANCE * snr:
                yield f"the noise of {split} is not that of the manifest", None
