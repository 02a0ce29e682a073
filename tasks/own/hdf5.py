"""Users' own pairs and surveys: HDF5 files of the layout of `starbench.tasks.storage.layout`."""

import hashlib
import json
import logging
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt

from starbench.common.files import atomic_path
from starbench.common.progress import bar
from starbench.common.text import listed
from starbench.tasks.arrays import Floats
from starbench.tasks.base import ChunkId, Labels, Split, Task
from starbench.tasks.card import Card, Scale, Sizes
from starbench.tasks.errors import DataError
from starbench.tasks.own.checks import (
    FIELDS,
    Content,
    NumberCheck,
    check_identifiers,
    check_noise,
    has_continuum_of_one,
    subset,
)
from starbench.tasks.storage.about import declared_snr
from starbench.tasks.storage.cache import cache_folder
from starbench.tasks.storage.pairs_file import PairsFile

log = logging.getLogger(__name__)

Rows = npt.NDArray[np.int64]

SCALE: Scale = "own"  # the only scale of users' own pairs
_NAME_LENGTH = 50  # characters of a file's name that become the task's
_CHECKS = 3  # raised when the checks change, so that files are checked again
MAX_DROPPED = 0.1  # share of a split
_CHUNK_BYTES = 2**25  # of flux that is held at once


class OwnData(Task):
    """A task made of a file of pairs or of a survey.

    Pairs and stars of which a spectrum has no pixel that is not masked are left out, and counted;
    `sizes` counts them until `prepare` has read the file.

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
    max_dropped : float
        Largest share of the pairs or stars of a split that may be left out.

    Attributes
    ----------
    dropped : dict of str to int
        Number of pairs or stars left out of each split; empty where none are.

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
        max_dropped: float = MAX_DROPPED,
    ):
        super().__init__(cache)
        try:
            is_share = 0 <= max_dropped <= 1
        except TypeError:  # a text
            is_share = False
        if not is_share:
            raise DataError(f"--max-dropped is {max_dropped!r}; give a share from 0 to 1.")
        self._max_dropped = max_dropped
        self.path = Path(path)
        self._source = self.path if source is None else source
        self._file = PairsFile(self.path, str(self._source))
        self._content: Content | None = None
        self._is_stamped = False
        about = self._file.structure.about
        if self._file.structure.with_errors and snr is not None:
            raise DataError(
                f"{self._source} holds errors, which say how large the noise is; remove --snr."
            )
        self._kept: dict[str, Rows] = {}
        self.dropped: dict[str, int] = {}
        self.wavelength = about.wavelength
        self.chunk_pairs = max(1, _CHUNK_BYTES // (8 * len(self.wavelength)))
        stem = self.path.stem if source is None else source.name
        words = re.sub(r"[^a-z0-9]+", "-", stem.lower()).strip("-")
        self.card = Card(
            name="own-data-" + (words[:_NAME_LENGTH].strip("-") or "set"),
            version=1,
            family="own",
            reference=reference or f"{self._file.structure.items('train')} in {self._source.name}",
            licence="that of the file",
            nuisance_names=about.nuisance_names,
            nuisance_units=about.nuisance_units,
            elements=about.elements,
            sizes={SCALE: self._file.structure.sizes},
            snr=about.snr if snr is None else declared_snr(snr, "--snr"),
            survey=about.survey,
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
            content = self._read_all(progress)
            _write_stamp(stamp, content)
        self._leave_out(content.dropped)
        if self._file.structure.survey and not self._has_siblings():
            raise DataError(
                f"{self._source}: no star of test has a sibling, so that nothing can be ranked; "
                "give at least one group of two stars in test."
            )
        if self.snr is not None:
            check_noise(str(self._source), self.snr, content)
        elif not has_continuum_of_one(content):
            log.warning(
                "%s: the mean flux of train is %.3g, so that brightness tells stars apart; divide "
                "the flux by its continuum.",
                self._source,
                content.level,
            )
        self._content = content

    def problems(
        self, scale: str, *, progress: bool = True
    ) -> Iterator[tuple[str, ChunkId | None]]:
        """Read everything again if it was read in an earlier process; errors are raised."""
        self.prepare(scale, progress=progress)
        if self._is_stamped:
            self._content = self._read_all(progress)
            self._is_stamped = False
        return iter(())

    @property
    def has_errors(self) -> bool:
        """Whether the file holds an error for each pixel."""
        return self._file.structure.with_errors

    def _leave_out(self, dropped: dict[str, list[int]]) -> None:
        """Leave out what cannot be used, unless it is too much."""
        for split, rows in dropped.items():
            items = self._file.structure.items(split)
            n = self._file.structure.sizes[split]
            names = self._file.identifiers(split)
            first = f"{items[:-1]} {rows[0]}"
            first += "" if names is None else f" ({listed([names[rows[0]]])})"
            found = (
                f"{self._source}: all pixels are masked of {len(rows)} of the {n} {items} of "
                f"{split}, the first of which is {first}"
            )
            if len(rows) > self._max_dropped * n or len(rows) == n:
                raise DataError(
                    f"{found}; correct their errors, or allow a larger share with --max-dropped."
                )
            log.warning("%s; they are left out.", found)
            kept = np.ones(n, bool)
            kept[rows] = False
            self._kept[split] = np.flatnonzero(kept)
            self.dropped[split] = len(rows)
        sizes: Sizes = {
            split: n - len(dropped.get(split, ()))
            for split, n in self._file.structure.sizes.items()
        }
        self.card = self.card.model_copy(update={"sizes": {SCALE: sizes}})

    def _has_siblings(self) -> bool:
        group = self.groups("test", SCALE)
        return group is None or len(np.unique(group)) < len(group)

    def groups(self, split: str, scale: str) -> Rows | None:
        """Read the sibling groups of a survey's split."""
        self.sizes(scale)
        if not self._file.structure.about.holds_stars(split):
            return None
        group = self._file.groups(split)
        return group[self._kept[split]] if split in self._kept else group

    def identifiers(self, split: str, scale: str) -> list[str] | None:
        """Read the names of a split's pairs or stars, as far as they are kept."""
        self.sizes(scale)
        names = self._file.identifiers(split)
        if names is None or split not in self._kept:
            return names
        return [names[row] for row in self._kept[split]]

    def _read_all(self, progress: bool) -> Content:
        """Check all numbers and return what there is to remember of them."""
        sizes = self._file.structure.sizes
        header = [self.wavelength.tolist(), self.nuisance_names, self.nuisance_units, self.elements]
        digest = hashlib.sha256(json.dumps([header, sizes]).encode())
        read = {split: self._file.identifiers(split) for split in sizes}
        identifiers = {split: names for split, names in read.items() if names is not None}
        about = self._file.structure.about
        groups = {split: self._file.groups(split) for split in sizes if about.holds_stars(split)}
        check_identifiers(str(self._source), identifiers, groups)
        check = NumberCheck(
            str(self._source),
            self.nuisance_names,
            self.elements,
            survey=self._file.structure.survey,
            identifiers=identifiers,
        )
        with bar(
            label="check data",
            total=sum(sizes.values()),
            unit=self._file.structure.items("train")[:-1],
            quiet=not progress,
        ) as counted:
            for split, n in sizes.items():
                for start in range(0, n, self.chunk_pairs):
                    rows = slice(start, min(start + self.chunk_pairs, n))
                    piece = check.add(split, start, self._file.read(split, rows))
                    for field in FIELDS:
                        values = getattr(piece, field)
                        if values is not None:
                            digest.update(values.data.cast("B"))
                    counted.update(rows.stop - rows.start)
            level, spread = check.finish()
        return Content(digest.hexdigest()[:16], level, spread, check.dropped)

    def _warn_of_unread(self) -> None:
        if self._file.structure.unread:
            log.warning("%s: nothing reads %s.", self._source, listed(self._file.structure.unread))

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
        if split not in self._kept:
            return self._file.read(split, slice(start, stop))
        rows = self._kept[split][start:stop]
        first, last = int(rows[0]), int(rows[-1])
        kept = np.zeros(last + 1 - first, bool)
        kept[rows - first] = True
        return subset(self._file.read(split, slice(first, last + 1)), kept)

    def chunks(self, split: str, scale: str) -> Iterator[tuple[slice, Split]]:
        """Yield a split piece by piece, in order."""
        self.prepare(scale, progress=False)
        return super().chunks(split, scale)

    def labels_on_disk(self, split: str, scale: str) -> tuple[Labels, Labels | None]:
        """Read nuisance and composition of a split without its flux."""
        self.sizes(scale)
        nuisance, composition = self._file.labels(split)
        if split in self._kept:
            rows = self._kept[split]
            return nuisance[rows], None if composition is None else composition[rows]
        return nuisance, composition

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
        found = re.fullmatch(
            r"([0-9a-f]{16}) (\S+) (\S+)(?: (.+))?", stamp.read_text(errors="replace")
        )
        if found is None:
            return None
        dropped = json.loads(found[4]) if found[4] else {}
        return Content(found[1], float(found[2]), float(found[3]), dropped)
    except (OSError, ValueError):
        return None


def _write_stamp(stamp: Path, content: Content) -> None:
    """Remember a check; where that cannot be done the next run checks again."""
    text = f"{content.digest} {content.level!r} {content.spread!r}"
    if content.dropped:
        text += f" {json.dumps(content.dropped)}"
    try:
        stamp.parent.mkdir(parents=True, exist_ok=True)
        with atomic_path(stamp) as new:
            new.write_text(text)
    except OSError:
        log.debug("cannot remember the check in %s", stamp, exc_info=True)
