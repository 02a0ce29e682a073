"""Reading files out of the source archives that tables are built from."""

import tarfile


def read_member(archive: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    """Return the content of a file in an archive.

    Raises
    ------
    ValueError
        If it is a folder or a link.
    """
    file = archive.extractfile(member)
    if file is None:
        raise ValueError(f"{member.name} in the archive is not a file")
    with file:
        return file.read()
