"""Users' own pairs from an HDF5 file of the layout of `starbench.tasks.storage.layout`."""

import hashlib
import json
import logging
import re
from collections.abc import Iterator
from pathlib import Path

from starbench.common.files import atomic_path
from starbench.common.progress import bar
from starbench.common.text import listed
from starbench.tasks.arrays import Floats
from starbench.tasks.base import ChunkId, Labels, Split, Task
from starbench.tasks.card import Card, Scale
from starbench.tasks.own.checks import FIELDS, Content, NumberCheck, check_noise
from starbench.tasks.storage.about import declared_snr
from starbench.tasks.storage.cache import cache_folder
from starbench.tasks.storage.layout import PairsFile

log = logging.getLogger(__name__)

SCALE: Scale = "own"  # the only scale of users' own pairs
_NAME_LENGTH = 50  # characters of a file's name that become the task's
_CHECKS = 2  # raised when the checks change, so that files are checked again
_CHUNK_BYTES = 2**25  # of flux that is held at once


class OwnData(Task):
    """A task made of a file of pairs.

    Parameters
    ----------
    path : pathlib.Path
    source : pathlib.Path, optional
        What the file is a copy of: named in place of it.
    reference : str, optional
        What the card says of where the pairs come from.
    cache : pathlib.Path, optional
        Folder that remembers which files have been checked.
    snr : float, optional
        Signal-to-noise ratio per pixel of the noise in the flux, whose continuum is 1; by default
        the attribute of the file. Methods that take noise into account then do.

    Raises
    ------
    DataError
        If the file cannot be opened or its structure is wrong; its numbers are checked by
        `prepare`.
    """

    wavelength: Floats

    def __init__(
        self,
        path: Path,
        source: Path | None = None,
        reference: str | None = None,
        cache: Path | None = None,
        snr: float | None = None,
    ):
        super().__init__(cache)
        self.path = Path(path)
        self._source = self.path if source is None else source
        self._file = PairsFile(self.path, str(self._source))
        self._content: Content | None = None
        self._is_stamped = False
        about = self._file.about
        self.wavelength = about.wavelength
        self.chunk_pairs = max(1, _CHUNK_BYTES // (8 * len(self.wavelength)))
        stem = self.path.stem if source is None else source.name
        words = re.sub(r"[^a-z0-9]+", "-", stem.lower()).strip("-")
        self.card = Card(
            name="own-data-" + (words[:_NAME_LENGTH].strip("-") or "set"),
            version=1,
            family="own",
            reference=reference or f"pairs in {self._source.name}",
            licence="that of the file",
            nuisance_names=about.nuisance_names,
            nuisance_units=about.nuisance_units,
            elements=about.elements,
            sizes={SCALE: self._file.sizes},
            snr=about.snr if snr is None else declared_snr(snr, "--snr"),
            medium=about.wavelength_medium,
            wavelength_unit=about.wavelength_unit,
            changelog={1: "the file as it is; its fingerprint tells files apart"},
        )

    def prepare(self, scale: str, *, progress: bool = True) -> None:
        """Read everything once: check the numbers and take the digest of the content.

        The cache folder remembers the check of a file until its size or time changes.

        Raises
        ------
        DataError
            If the numbers cannot be used; see `starbench.tasks.own.checks`.
        """
        self.sizes(scale)
        if self._content is not None and not self._file.changed:
            return
        self._warn_of_unread()
        stamp = self._stamp()
        content = _stamped(stamp)
        self._is_stamped = content is not None
        if content is None:
            content = self._read_all(scale, progress)
            _write_stamp(stamp, content)
        if self.snr is not None:
            check_noise(str(self._source), self.snr, content)
        self._content = content

    def problems(
        self, scale: str, *, progress: bool = True
    ) -> Iterator[tuple[str, ChunkId | None]]:
        """Read everything again if it was read in an earlier process; errors are raised."""
        self.prepare(scale, progress=progress)
        if self._is_stamped:
            self._content = self._read_all(scale, progress)
            self._is_stamped = False
        return iter(())

    def _read_all(self, scale: str, progress: bool) -> Content:
        """Check all numbers and return what there is to remember of them."""
        sizes = self.sizes(scale)
        header = [self.wavelength.tolist(), self.nuisance_names, self.nuisance_units, self.elements]
        digest = hashlib.sha256(json.dumps([header, sizes]).encode())
        check = NumberCheck(str(self._source), self.nuisance_names, self.elements)
        n_pairs = sum(sizes.values())
        with bar(label="check data", total=n_pairs, unit="pair", quiet=not progress) as pairs:
            for split in sizes:
                for rows, piece in super().chunks(split, scale):
                    check.add(split, rows.start, piece)
                    for field in FIELDS:
                        values = getattr(piece, field)
                        if values is not None:
                            digest.update(values.data.cast("B"))
                    pairs.update(len(piece))
            level, spread = check.finish()
        return Content(digest.hexdigest()[:16], level, spread)

    def _warn_of_unread(self) -> None:
        if self._file.unread:
            log.warning("%s: nothing reads %s.", self._source, listed(self._file.unread))

    def _stamp(self) -> Path:
        """Return the file that remembers the check of this file as it is now."""
        stat = self.path.stat()
        key = [str(self.path.resolve()), stat.st_size, stat.st_mtime_ns, _CHECKS]
        name = hashlib.sha256(json.dumps(key).encode()).hexdigest()[:32]
        return cache_folder(self._cache) / "checked" / f"{name}.txt"

    def data_file(self, scale: str) -> Path:
        """Return the file of pairs."""
        return self.path

    def make(self, split: str, start: int, stop: int) -> Split:
        """Read any range of pairs."""
        return self._file.read(split, slice(start, stop))

    def chunks(self, split: str, scale: str) -> Iterator[tuple[slice, Split]]:
        """Yield a split piece by piece, in order."""
        self.prepare(scale, progress=False)
        return super().chunks(split, scale)

    def labels_on_disk(self, split: str, scale: str) -> tuple[Labels, Labels | None]:
        """Read nuisance and composition of a split without its flux."""
        self.sizes(scale)
        return self._file.labels(split)

    def fingerprint(self, scale: str) -> str:
        """Return a short digest of all that the file holds, as float32, and of declared noise."""
        self.prepare(scale, progress=False)
        assert self._content is not None  # which `prepare` has set
        digest = self._content.digest
        if self.snr is None:
            return digest
        return hashlib.sha256(f"{digest}/snr {self.snr!r}".encode()).hexdigest()[:16]


def _stamped(stamp: Path) -> Content | None:
    """Return what an earlier check left, if there is something."""
    try:
        found = re.fullmatch(r"([0-9a-f]{16}) (\S+) (\S+)", stamp.read_text(errors="replace"))
        return None if found is None else Content(found[1], float(found[2]), float(found[3]))
    except (OSError, ValueError):
        return None


def _write_stamp(stamp: Path, content: Content) -> None:
    """Remember a check; where that cannot be done the next run checks again."""
    try:
        stamp.parent.mkdir(parents=True, exist_ok=True)
        with atomic_path(stamp) as new:
            new.write_text(f"{content.digest} {content.level!r} {content.spread!r}")
    except OSError:
        log.debug("cannot remember the check in %s", stamp, exc_info=True)
