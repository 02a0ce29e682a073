"""Checks of disk space, one-sentence errors for full disks, and text of HDF5 attributes."""

import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

import numpy as np

from starbench.common.files import NO_ROOM, atomic_path

_ANOTHER_CACHE = "choose another folder with --cache or STARBENCH_CACHE"


@contextmanager
def report_full_disk(
    path: Path,
    n_bytes: int,
    remove: Path | None,
    alternative: str = _ANOTHER_CACHE,
) -> Iterator[None]:
    """Report a full disk in one sentence, and leave nothing half-written behind.

    Parameters
    ----------
    path : pathlib.Path
        File named in the sentence.
    n_bytes : int
        Size of the file, for the sentence.
    remove : pathlib.Path or None
        Unfinished file to remove when the disk is full.
    alternative : str
        What the user can do instead of freeing space.

    Raises
    ------
    OSError
        With ``errno.ENOSPC``, the sentence as its text, and `path` as its file name.
    """
    try:
        yield
    except (OSError, RuntimeError) as error:  # HDF5 raises either when it cannot write
        if not _is_full_disk(error):
            raise
        if remove is not None:
            remove.unlink(missing_ok=True)
        sentence = (
            f"no room left on the disk for {n_bytes / 1e6:,.0f} MB; "
            f"free some space, or {alternative}"
        )
        raise OSError(errno.ENOSPC, sentence, str(path)) from error


@contextmanager
def large_file(
    path: Path, n_bytes: int, alternative: str = _ANOTHER_CACHE, *, copies: int = 1
) -> Iterator[Path]:
    """Yield a temporary path that replaces `path`, once it is known that the disk has room.

    Parameters
    ----------
    path : pathlib.Path
        File or folder; see `starbench.common.files.atomic_path`.
    n_bytes : int
        Its size.
    alternative : str
        See `report_full_disk`.
    copies : int
        How many of that size lie on the disk while it is written.

    Raises
    ------
    OSError
        See `report_full_disk`.
    """
    with report_full_disk(path, n_bytes, None, alternative), atomic_path(path) as new:
        require_disk_space(new, n_bytes * copies)
        _check_folder(path, alternative)
        yield new


def _check_folder(path: Path, alternative: str) -> None:
    """Raise an error that names `path` if its folder takes no files, as /proc; HDF5 hides which."""
    try:
        with TemporaryFile(dir=path.parent):
            pass
    except OSError as error:
        raise OSError(error.errno, f"{error.strerror}; {alternative}", str(path)) from error


def reserve_space(path: Path, n_bytes: int) -> None:
    """Create a file and reserve its space, so that a full disk is noticed before any work.

    HDF5 must not be the first to notice a full disk: when it cannot close a file, it later crashes
    the process.
    """
    with path.open("wb") as file:
        if hasattr(os, "posix_fallocate"):
            os.posix_fallocate(file.fileno(), 0, n_bytes)
        else:
            require_disk_space(path, n_bytes)


def require_disk_space(path: Path, n_bytes: int) -> None:
    """Raise the error of a full disk if a file or folder of that size does not fit at `path`.

    HDF5 must not be the first to notice a full disk: see `reserve_space`. A file system that has no
    size, such as /proc, says nothing of its room; writing to it shows whether it takes files.
    """
    disk = shutil.disk_usage(path.parent)
    if disk.total and disk.free < n_bytes:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))


def _is_full_disk(error: OSError | RuntimeError) -> bool:
    if getattr(error, "errno", None) in NO_ROOM:
        return True
    # HDF5 reports the system's error only in the text of its own error.
    return any(os.strerror(number) in str(error) for number in NO_ROOM)


def text_list(value: Any) -> tuple[str, ...]:
    """Read an HDF5 attribute that holds one or several texts, however they were stored.

    Bytes that are not UTF-8 become surrogates, which are not printable, as h5py makes them.
    """
    items = np.atleast_1d(value).ravel().tolist()
    return tuple(
        x.decode(errors="surrogateescape") if isinstance(x, bytes) else str(x) for x in items
    )
