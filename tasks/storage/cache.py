"""Pairs kept on disk: built when missing, resumed when interrupted, repaired where damaged."""

import logging
import os
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import platformdirs

from starbench.common.locks import try_lock
from starbench.common.parallel import map_ahead, one_thread
from starbench.common.paths import user_path
from starbench.common.progress import bar, stage
from starbench.common.threads import default_threads
from starbench.tasks.base import SPLITS, ChunkId, Spectra, Split
from starbench.tasks.errors import DataError
from starbench.tasks.storage.chunks import Damaged, Header, Store
from starbench.tasks.storage.files import report_full_disk

log = logging.getLogger(__name__)

ENVIRONMENT = "STARBENCH_CACHE"


def cache_folder(chosen: Path | None = None) -> Path:
    """Return the folder that data sets are kept in.

    Parameters
    ----------
    chosen : pathlib.Path, optional
        The user's choice; without it the environment variable ``STARBENCH_CACHE``, and without that
        the operating system's folder for caches.

    Raises
    ------
    DataError
        If that folder lies in a home folder and the user has none.
    """
    folder = chosen or os.environ.get(ENVIRONMENT) or _user_cache()
    return user_path(folder)


def _user_cache() -> Path:
    no_home = DataError(
        f"You have no home folder to keep data in; name a folder with --cache or {ENVIRONMENT}."
    )
    try:
        folder = Path(platformdirs.user_cache_dir("starbench", appauthor=False))
    except RuntimeError as error:
        raise no_home from error
    if not user_path(folder).is_absolute():  # what older versions of platformdirs return
        raise no_home
    return folder


class CachedPairs:
    """One data set on disk.

    Parameters
    ----------
    path : pathlib.Path
        The finished file. While it is being built it has the suffix ``.partial``.
    header : Header
        The expected header of the file.
    make : callable (split, start, stop) -> Split
        Makes any range of pairs.
    check_labels : callable (split, nuisance, composition) -> None
        Raises `Damaged` if the labels of a split are wrong; cheap.
    check_flux : callable (split, start, flux) -> None
        Raises `Damaged` if the flux of the pairs from `start` on is wrong.
    remake_manifest : str or None
        The command that makes the task's manifest again, for the error about other data.
    thread_safe : bool
        Whether several threads may call `make` and `check_flux` at once.
    """

    def __init__(
        self,
        path: Path,
        header: Header,
        make: Callable[[str, int, int], Split],
        check_labels: Callable[[str, Spectra, Spectra], None],
        check_flux: Callable[[str, int, Spectra], None],
        *,
        remake_manifest: str | None = None,
        thread_safe: bool = False,
    ):
        self.path = Path(path)
        self.header = header
        self._make = make
        self._check_labels = check_labels
        self._check_flux = check_flux
        self._remedy = (
            f", or, if you changed the data, regenerate the manifest with `{remake_manifest}`"
            if remake_manifest
            else ""
        )
        self._thread_safe = thread_safe
        self._store = Store(self.path, header)
        self._partial = Store(self.path.with_name(self.path.name + ".partial"), header)

    def prepare(self, *, progress: bool = True) -> None:
        """Build the file if it is missing, truncated, or of other data; reads no flux.

        An interrupted build resumes where it stopped. If several processes ask for the file, one
        builds it while the others wait.

        Raises
        ------
        OSError
            If the disk is full; nothing is left behind.
        DataError
            If the data that this machine makes are not those of the manifest.
        """
        if self.fault() is None:
            return
        with self._locked():
            fault = self.fault()  # another process may have built it while this one waited
            if fault is None:
                return
            if self.path.exists():
                log.warning("%s %s; it is rebuilt", self.path, fault)
            self._build(progress)

    def fault(self) -> str | None:
        """Return what is wrong with the finished file, None if nothing is; reads no flux."""
        try:
            self._store.check()
            for split in stage("check labels", SPLITS, unit="split"):
                self._check_labels(split, *self._store.labels(split))
        except Damaged as damage:
            return str(damage)
        return None

    def chunks(self, split: str) -> Iterator[tuple[slice, Split]]:
        """Yield a split by chunks, each checked; a damaged one is named in the log and rebuilt."""
        self.prepare(progress=False)

        def read(chunk: int) -> Split | None:
            try:
                return self._store.read(split, chunk)
            except Damaged:
                return None

        numbers = self._numbers(split)
        for chunk, piece in zip(numbers, map_ahead(read, numbers), strict=True):
            whole = self._repair(split, chunk) if piece is None else piece
            yield self.header.rows(split, chunk), whole

    def labels(self, split: str) -> tuple[Spectra, Spectra]:
        """Read nuisance and composition of a split without its flux."""
        self.prepare(progress=False)
        return self._store.labels(split)

    def rebuild(self, split: str, chunk: int) -> None:
        """Build one chunk again, in the finished file or, if there is none, in the unfinished one.

        Raises
        ------
        DataError
            If there is no such chunk.
        """
        if split not in SPLITS:
            raise DataError(f"--split {split} does not exist; choose one of {', '.join(SPLITS)}.")
        numbers = self._numbers(split)
        if chunk not in numbers:
            raise DataError(
                f"--chunk {chunk} does not exist; {split} has the chunks 0 to {numbers[-1]} "
                f"of {self.header.chunk_pairs} pairs each."
            )
        with self._locked():
            store = self._store if self.fault() is None else self._unfinished()
            with self._room(store):
                store.write(split, chunk, self._make_checked(split, chunk))
            if store is self._partial:
                self._finish()

    def problems(self, *, progress: bool = True) -> Iterator[tuple[str, ChunkId | None]]:
        """Read all data; yield each fault with its chunk, or None if it concerns the whole file."""
        fault = self.fault()
        if fault is not None:
            yield f"{self.path} {fault}", None
            return
        places = self.header.chunks
        for split, chunk in bar(places, label="verify", unit="chunk", quiet=not progress):
            try:
                piece = self._store.read(split, chunk)
                self._check_flux(split, self.header.rows(split, chunk).start, piece.flux)
            except Damaged as damage:
                yield f"{self.path}: {damage}", (split, chunk)

    def _numbers(self, split: str) -> range:
        return range(self.header.shape(split, "digest")[0])

    def _build(self, progress: bool) -> None:
        store = self._unfinished()
        todo = [place for place in self.header.chunks if not store.is_written(*place)]
        total = len(self.header.chunks)
        places = bar(
            todo,
            label=f"build {self.path.stem}",
            total=total, initial=total - len(todo), unit="chunk", quiet=not progress,
        )  # fmt: skip
        with self._room(store), self._made(todo) as pieces:
            for place, piece in zip(places, pieces, strict=True):
                store.write(*place, piece)
        self._finish()

    @contextmanager
    def _made(self, places: list[ChunkId]) -> Iterator[Iterator[Split]]:
        """Make chunks, by one thread for each core where they may be made by several."""

        def make(place: ChunkId) -> Split:
            return self._make_checked(*place)

        threads = default_threads()
        if threads == 1 or not self._thread_safe:
            yield map(make, places)
            return
        with one_thread():
            yield map_ahead(make, places, threads)

    def _unfinished(self) -> Store:
        """Return the unfinished file: the one that an interrupted build left, or a new one."""
        try:
            self._partial.check()
        except Damaged:
            with self._room(self._partial):
                self._partial.create()
                self._partial.check()
        return self._partial

    def _finish(self) -> None:
        """Rename the unfinished file once it holds all chunks."""
        if all(self._partial.is_written(*place) for place in self.header.chunks):
            # Not flushed to the disk first: if the power fails before the system does that, the
            # digests will show it.
            self._partial.path.replace(self.path)

    def _make_checked(self, split: str, chunk: int) -> Split:
        rows = self.header.rows(split, chunk)
        piece = self._make(split, rows.start, rows.stop)
        try:
            self._check_flux(split, rows.start, piece.flux)
        except Damaged as damage:
            raise DataError(
                f"The data made on this machine differ from what the task expects: {damage}; "
                f"install the library versions in constraints.txt{self._remedy}."
            ) from damage
        return piece

    def _repair(self, split: str, chunk: int) -> Split:
        with self._locked():
            try:
                return self._store.read(split, chunk)  # another process may have repaired it
            except Damaged as damage:
                log.warning("%s: %s; it is rebuilt", self.path, damage)
            piece = self._make_checked(split, chunk)
            with self._room(self._store):
                self._store.write(split, chunk, piece)
        return piece

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Lock the file; the operating system releases it however the process ends."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.with_name(self.path.name + ".lock").open("a") as file:
            if not try_lock(file):
                log.warning("waiting for another process that uses %s", self.path)
                while not try_lock(file):
                    time.sleep(0.2)
            yield

    def _room(self, store: Store) -> AbstractContextManager[None]:
        # A finished file is kept: a chunk that could not be written is marked as missing in it.
        unfinished = self._partial.path if store is self._partial else None
        return report_full_disk(self.path, self.header.n_bytes, remove=unfinished)
