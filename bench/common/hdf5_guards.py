"""Guards against untrusted HDF5 files that link to other files of the machine."""

import h5py


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
