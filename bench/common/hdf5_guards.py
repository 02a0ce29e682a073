"""Opening HDF5 files, and guards for untrusted ones, which may point at other files."""

from pathlib import Path

import h5py

from starbench.common.locks import BUSY, warn_of_no_locks


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
