"""Opening HDF5 files, and guards for untrusted ones, which may name other files or false sizes."""

import logging
import math
import os
import signal
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from starbench.common.locks import BUSY, warn_of_no_locks

# HDF5 meets damage with any of these.
UNREADABLE = (OSError, RuntimeError, KeyError, ValueError, TypeError, MemoryError, IndexError)
MAX_TEXTS = 1000  # in one attribute
MAX_ATTRIBUTE_BYTES = 2**20
MAX_CHUNK_BYTES = 2**28  # HDF5 reads at least one chunk at a time
_HEADROOM = 2**29  # bytes that reading may take besides what is read
_MAX_RATIO = 1100  # of deflate it is 1032; no other filter makes spectra smaller
_SECONDS = 5  # of processor time that reading a file's structure may take
_SECONDS_OF_MANY = 0.1  # on average, where many files are read
_SLACK = 2**24  # bytes of a dataset that may be left unwritten

# Files that a child has read and ended.
_ended: ContextVar[frozenset[Path]] = ContextVar("_ended", default=frozenset())


class OpenElsewhere(Exception):
    """An HDF5 file that another program, such as a notebook, has open for writing."""


def open_hdf5(path: Path) -> h5py.File:
    """Open a file for reading, on a disk without file locks too.

    Raises
    ------
    OpenElsewhere
    OSError
        If it is not a readable HDF5 file.
    """
    if path.exists() and not path.is_file():  # a pipe would be waited for
        raise OSError("not a file")
    try:
        return h5py.File(path, "r")
    except OSError as error:
        if "unable to lock file" not in str(error):
            raise
        if error.errno in BUSY:
            raise OpenElsewhere(f"{path} is open in another program; close it there.") from error
    warn_of_no_locks(str(path))
    return h5py.File(path, "r", locking=False)


def require_end(read: Callable[[], object], path: Path | None = None) -> None:
    """Read the structure of a file in a child process first, which must end by itself.

    On damaged structure the HDF5 library may loop without end or crash, and nothing can stop it
    within a process. Where processes cannot be forked nothing is done.

    Parameters
    ----------
    read : callable
        Opens the file and reads its structure; what it raises or returns is ignored.
    path : pathlib.Path, optional
        The file, of which nothing is done within `ended_together` if that has read it.

    Raises
    ------
    OSError
        If the child was ended by a signal.
    """
    if not hasattr(os, "fork") or path in _ended.get():
        return
    if not _ends(read, _SECONDS):
        raise OSError("reading its structure crashes or never ends")


@contextmanager
def ended_together(reads: Mapping[Path, Callable[[], object]]) -> Iterator[None]:
    """Read the structures of many files in one child, and not again by `require_end` within.

    A child for each of a thousand files takes half a minute. If reading one of them does not end,
    `require_end` tries each file by itself.

    Parameters
    ----------
    reads : mapping of pathlib.Path to callable
        By file, as for `require_end`.
    """

    def read_all() -> None:
        for read in reads.values():
            with suppress(Exception):  # the parent will meet it too
                read()

    seconds = _SECONDS + round(_SECONDS_OF_MANY * len(reads))
    ended = hasattr(os, "fork") and _ends(read_all, seconds)
    before = _ended.set(frozenset(reads) if ended else frozenset())
    try:
        yield
    finally:
        _ended.reset(before)


def _ends(read: Callable[[], object], seconds: int) -> bool:
    """Return whether a child process that reads ends by itself within seconds of CPU time."""
    process = os.fork()
    if not process:
        try:
            # First of all, as a lock that another thread held would never be free.
            signal.signal(signal.SIGALRM, signal.SIG_DFL)
            signal.alarm(12 * seconds)
            import resource

            resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
            resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
            logging.disable()  # the parent will warn too
            read()
        except BaseException:
            os._exit(0)  # the parent will meet it too
        os._exit(0)
    return not os.WIFSIGNALED(os.waitpid(process, 0)[1])


def holds_itself(group: h5py.Group, name: str) -> bool:
    """Return whether a group holds an object under a name, rather than a link to another file."""
    return isinstance(group.get(name, getlink=True), h5py.HardLink)


def local_object(group: h5py.Group, name: str) -> h5py.Group | h5py.Dataset | None:
    """Return the object that a file itself holds under a name.

    None if there is none, or if reading it would read another file: links, external storage and
    virtual datasets are refused.
    """
    if not holds_itself(group, name):
        return None
    item = group[name]
    elsewhere = isinstance(item, h5py.Dataset) and (item.external or item.is_virtual)
    return None if elsewhere else item


def has_name(group: h5py.Group, name: str) -> bool:
    """Return whether a group lists a name, be it of an object or of a link that leads nowhere."""
    return group.get(name, getlink=True) is not None


def oversized(dataset: h5py.Dataset) -> bool:
    """Return whether a single read of a dataset would take an unreasonable amount of memory."""
    n_bytes: int = dataset.dtype.itemsize * math.prod(dataset.chunks or ())
    return n_bytes > MAX_CHUNK_BYTES


def mostly_unwritten(dataset: h5py.Dataset) -> bool:
    """Return whether a file holds far fewer bytes than a dataset declares, however compressed."""
    declared: int = dataset.dtype.itemsize * math.prod(dataset.shape)
    stored: int = dataset.id.get_storage_size()
    return declared > _MAX_RATIO * stored + _SLACK


def read_numbers(dataset: h5py.Dataset, rows: slice | None = None) -> Any:
    """Return a dataset or a range of its rows, in no more memory than its shape and chunks imply.

    A few kilobytes of compressed data can unpack to gigabytes, whatever size the file declares.
    """
    n_rows = None if rows is None else len(range(*rows.indices(len(dataset))))
    shape = dataset.shape if n_rows is None else (n_rows, *dataset.shape[1:])
    sizes = math.prod(shape), 2 * math.prod(dataset.chunks or ())
    with bounded_memory(_HEADROOM + dataset.dtype.itemsize * sum(sizes)):
        return dataset[()] if rows is None else dataset[rows]


def read_attribute(owner: h5py.Group | h5py.Dataset, name: str) -> Any:
    """Return an attribute after a look at its shape and type.

    Raises
    ------
    ValueError
        If it is not text, or is larger than `MAX_TEXTS` texts or `MAX_ATTRIBUTE_BYTES`.
    """
    attribute = owner.attrs.get_id(name)
    size = 0 if attribute.shape is None else math.prod(attribute.shape)
    if not size:
        return []
    is_text = h5py.check_string_dtype(attribute.dtype) is not None
    if not is_text or size > MAX_TEXTS or size * attribute.dtype.itemsize > MAX_ATTRIBUTE_BYTES:
        raise ValueError(f"it is not a list of at most {MAX_TEXTS} texts")
    with bounded_memory():
        return owner.attrs[name]


def read_number(owner: h5py.Group | h5py.Dataset, name: str) -> float:
    """Return an attribute that is one number.

    Raises
    ------
    ValueError
        If it is something else.
    """
    attribute = owner.attrs.get_id(name)
    if attribute.dtype.kind not in "iuf" or attribute.shape not in ((), (1,)):
        raise ValueError("it is not one number")
    return float(np.ravel(owner.attrs[name])[0])


@contextmanager
def bounded_memory(headroom: int = _HEADROOM) -> Iterator[None]:
    """Let the process take at most `headroom` bytes more, where the system can limit it.

    The length of a text of an attribute stands in the file, where one damaged byte makes HDF5
    allocate gigabytes before it notices. Nothing tells this length before it is read.
    """
    try:
        import resource

        pages = int(Path("/proc/self/statm").read_text().split()[0])
        soft, hard = resource.getrlimit(resource.RLIMIT_AS)
        limit = pages * resource.getpagesize() + headroom
    except (ImportError, OSError):
        yield
        return
    bounds = [x for x in (soft, hard) if x != resource.RLIM_INFINITY]
    resource.setrlimit(resource.RLIMIT_AS, (min([limit, *bounds]), hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
