"""Tasks whose spectra are a function of labels that are drawn from random streams."""

import hashlib
import json
from abc import abstractmethod
from collections.abc import Iterator
from functools import cached_property
from typing import ClassVar

import numpy as np

from starbench.common.parallel import map_ahead, one_thread
from starbench.common.threads import default_threads
from starbench.tasks.base import PAIRS, SPLITS, STARS, ChunkId, Labels, Spectra, Split, Task
from starbench.tasks.errors import TaskFault
from starbench.tasks.storage.cache import CachedPairs, cache_folder
from starbench.tasks.storage.chunks import Damaged, Header

# `spectra` is always called with whole blocks of this many pairs that start at its multiples. The
# last bits of a matrix product depend on its shape, so a pair would otherwise depend on the range
# it is made in.
BLOCK_PAIRS = 125


class DrawnTask(Task):
    """A task that draws labels and turns them into spectra.

    An author sets `card` and `wavelength` and writes `labels` and `spectra`. With ``stored = True``
    the spectra are kept in a file in the cache, which is worth its disk where they take longer to
    make than to read; otherwise they are made whenever they are read. What `source` returns is part
    of the fingerprint and of the header of a stored file.

    ``starbench.tasks.example`` is a task to copy.

    Attributes
    ----------
    thread_safe : bool
        Whether several threads may call `labels`, `spectra` and `check_flux` at once; data are then
        made on all cores, with torch and linear algebra on one thread in each.
    remake_manifest : str or None
        The command that makes the manifest again, of a task whose `check_flux` compares with one.
    """

    thread_safe: bool = False
    draws_any_split = True
    remake_manifest: ClassVar[str | None] = None

    @abstractmethod
    def labels(self, split: str, start: int, stop: int) -> tuple[Labels, Labels]:
        """Draw the labels of any range of pairs of a split.

        `starbench.tasks.streams.uniforms` draws any range of a stream alone.

        Returns
        -------
        nuisance : numpy.ndarray [stop - start, 2, n_nuisance]
            [stop - start, 1, n_nuisance] in the split ``stars``, if the card has it.
        composition : numpy.ndarray [stop - start, n_elements]
        """

    @abstractmethod
    def spectra(self, nuisance: Labels, composition: Labels) -> Spectra:
        """Return the spectra of some stars.

        Parameters
        ----------
        nuisance : numpy.ndarray [n, n_nuisance]
        composition : numpy.ndarray [n, n_elements]

        Returns
        -------
        numpy.ndarray [n, n_pixels], float32
        """

    def check_labels(self, scale: str, split: str, nuisance: Labels, composition: Labels) -> None:
        """Raise `Damaged` if stored labels of a split are not those that are drawn."""
        drawn = self.labels(split, 0, self.sizes(scale)[split])
        for stored, expected in zip((nuisance, composition), drawn, strict=True):
            if not np.array_equal(stored, np.asarray(expected, np.float32)):
                raise Damaged(f"holds labels of {split} that are not those of {self.name}")

    def check_flux(self, scale: str, split: str, start: int, flux: Spectra) -> None:
        """Raise `Damaged` if stored flux from pair `start` on is wrong; by default accept it."""

    def make(self, split: str, start: int, stop: int) -> Split:
        """Make any range of pairs, each the same to the last bit whatever the range."""
        first, each = start - start % BLOCK_PAIRS, self.card.spectra_each(split)
        nuisance, composition = self.labels(split, first, stop + -stop % BLOCK_PAIRS)
        n = stop + -stop % BLOCK_PAIRS - first
        self._require_shape("labels", nuisance, (n, each, len(self.nuisance_names)))
        self._require_shape("labels", composition, (n, len(self.elements)))
        flux = np.empty((stop - start, each, len(self.wavelength)), np.float32)
        for block in range(first, stop, BLOCK_PAIRS):
            rows = slice(block - first, block - first + BLOCK_PAIRS)
            made = self.spectra(
                nuisance[rows].reshape(each * BLOCK_PAIRS, -1),
                np.repeat(composition[rows], each, axis=0),
            )
            self._require_shape("spectra", made, (each * BLOCK_PAIRS, len(self.wavelength)))
            low, high = max(block, start), min(block + BLOCK_PAIRS, stop)
            flux[low - start : high - start] = made.reshape(BLOCK_PAIRS, each, -1)[
                low - block : high - block
            ]
        asked = slice(start - first, stop - first)
        return Split(
            flux,
            nuisance[asked].astype(np.float32),
            composition[asked].astype(np.float32),
            noiseless_flux=flux,
        )

    def _require_shape(self, function: str, array: Labels, shape: tuple[int, ...]) -> None:
        """Refuse an array of another shape, which NumPy may broadcast or refuse without a name."""
        if np.shape(array) != shape:
            raise TaskFault(
                f"Task {self.name}: {function} must return {list(shape)} where it returns "
                f"{list(np.shape(array))}; correct it."
            )

    @cached_property
    def _fingerprints(self) -> dict[str, str]:
        return {}

    def fingerprint(self, scale: str) -> str:
        """Return a short digest of name, version, scale, source and labels as float32."""
        if scale not in self._fingerprints:  # all labels are drawn, in tenths of a second
            self._fingerprints[scale] = self._digest_labels(scale)
        return self._fingerprints[scale]

    def _digest_labels(self, scale: str) -> str:
        facts = [self.name, self.version, scale, self.source()]
        digest = hashlib.sha256(json.dumps(facts, sort_keys=True).encode())
        sizes = self.sizes(scale)
        for split in (split for split in (*SPLITS, STARS, PAIRS) if split in sizes):
            for labels in self.labels(split, 0, sizes[split]):
                digest.update(np.ascontiguousarray(labels, "<f4").tobytes())
        return digest.hexdigest()[:16]

    def drawn_labels(self, split: str, scale: str) -> tuple[Labels, Labels]:
        """Draw the labels of a whole split without building its data."""
        return self.labels(split, 0, self.sizes(scale)[split])

    def labels_on_disk(self, split: str, scale: str) -> tuple[Labels, Labels]:
        """Return nuisance and composition of a split as float32, without its flux."""
        if self.stored:
            return self.cached(scale).labels(split)
        nuisance, composition = self.drawn_labels(split, scale)
        return nuisance.astype(np.float32), composition.astype(np.float32)

    def cached(self, scale: str) -> CachedPairs:
        """Return the data set on disk, which may not be built yet."""
        if not self.stored:
            return super().cached(scale)
        header = Header(
            wavelength=self.wavelength,
            wavelength_unit=self.wavelength_unit,
            wavelength_medium=self.card.medium,
            nuisance_names=self.nuisance_names,
            nuisance_units=self.nuisance_units,
            elements=self.elements,
            pairs=self.sizes(scale),
            chunk_pairs=self.chunk_pairs,
            facts={
                "task": self.name,
                "version": self.version,
                "scale": scale,
                **self.source(),
                **({} if self.code_sha256 is None else {"code_sha256": self.code_sha256}),
            },
        )
        return CachedPairs(
            cache_folder(self._cache) / f"{self.name}-{self.version}-{scale}.h5",
            header,
            self.make,
            lambda split, *labels: self.check_labels(scale, split, *labels),
            lambda split, start, flux: self.check_flux(scale, split, start, flux),
            remake_manifest=self.remake_manifest,
            thread_safe=self.thread_safe,
        )

    def prepare(self, scale: str, *, progress: bool = True) -> None:
        """Build the stored data set if it is missing, truncated, or out of date.

        Raises
        ------
        DataError
            If there is no such scale, or the data made here differ from the manifest.
        OSError
            If the disk is full; nothing is left behind.
        """
        self.sizes(scale)
        if self.stored:
            self.cached(scale).prepare(progress=progress)

    def problems(
        self, scale: str, *, progress: bool = True
    ) -> Iterator[tuple[str, ChunkId | None]]:
        """Read all stored data; yield each fault with its chunk, or None for the whole set."""
        if self.stored:
            return self.cached(scale).problems(progress=progress)
        return super().problems(scale, progress=progress)

    def chunks(self, split: str, scale: str) -> Iterator[tuple[slice, Split]]:
        """Yield a split in pieces, in order; stored ones are checked and rebuilt if damaged."""
        if self.stored:
            return self.cached(scale).chunks(split)
        if self.thread_safe:
            return self._chunks_of_threads(split, scale)
        return super().chunks(split, scale)

    def _chunks_of_threads(self, split: str, scale: str) -> Iterator[tuple[slice, Split]]:
        ranges = self._ranges(split, scale)
        with one_thread():
            made = map_ahead(
                lambda rows: self.make(split, rows.start, rows.stop), ranges, default_threads()
            )
            yield from zip(ranges, made, strict=True)
