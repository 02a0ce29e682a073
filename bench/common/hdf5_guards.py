"""What an HDF5 file itself holds: a stranger's may point at other files of this machine."""

import h5py


def holds_itself(group: h5py.Group, name: str) -> bool:
    """Say whether a group holds something under a name, rather than a link to elsewhere."""
    return isinstance(group.get(name, getlink=True), h5py.HardLink)


def local_object(group: h5py.Group, name: str) -> h5py.Group | h5py.Dataset | None:
    """Return what a file itself holds under a name; None for what lies in another file.

    A link, external storage or a virtual dataset would read that other file.
    """
    if not holds_itself(group, name):
        return None
    found = group[name]
    elsewhere = isinstance(found, h5py.Dataset) and (found.external or found.is_virtual)
    return None if elsewhere else found
