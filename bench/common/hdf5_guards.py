"""Opening HDF5 files, and guards for untrusted ones, which may name other files or false sizes."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from starbench.common.locks import BUSY, warn_of_no_locks

MAX_TEXTS = 1000  # in one attribute
MAX_ATTRIBUTE_BYTES = 2**20
MAX_CHUNK_BYTES = 2**28  # HDF5 reads at least one chunk at a time
_HEADROOM = 2**29  # bytes that reading an attribute may take


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
    try:
        return h5py.File(path, "r")
    except OSError as error:
        if "unable to lock file" not in str(error):
            raise
        if error.errno in BUSY:
            raise OpenElsewhere(f"{path} is open in another program; close it there.") from error
    warn_of_no_locks(str(path))
    return h5py.File(path, "r", locking=False)


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
