"""Atomic writing of files and folders."""

import ctypes
import errno
import hashlib
import io
import json
import os
import platform
import re
import secrets
import shutil
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import h5py
import numpy as np

# Disks are shared: only processes of this machine can be asked whether they still run.
_HOST = hashlib.sha256(platform.node().encode()).hexdigest()[:6]


# A quota or a limit on the size of files ends a write as a full disk does, with the same remedy.
NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Yield a temporary path; what the caller writes there replaces `path` if no error occurs.

    The caller creates a file or a folder at the temporary path, which lies beside `path` and
    carries the machine and the process id in its name. Its content reaches the disk before it is
    renamed, so that `path` holds the old or the new content even after a power failure. What killed
    processes of this machine left of earlier attempts at `path` is removed.

    Parameters
    ----------
    path : pathlib.Path
        Its parent folder is created if it does not exist. A symlink is replaced, not followed.

    Yields
    ------
    pathlib.Path
        Nothing exists there yet.

    Raises
    ------
    OSError
        If there is no room on the disk; it names `path`.

    Examples
    --------
    >>> folder = getfixture("tmp_path")
    >>> with atomic_path(folder / "notes.txt") as temporary:
    ...     _ = temporary.write_text("complete")
    >>> [file.name for file in folder.iterdir()]
    ['notes.txt']
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    _sweep(path)
    temporary = _beside(path)
    try:
        yield temporary
        _flush(temporary)
        _put_in_place(temporary, path)
    except OSError as error:
        if error.filename is None and error.errno in NO_ROOM:  # Python names no file here
            raise OSError(error.errno, error.strerror, str(path)) from error
        raise
    finally:
        _remove(temporary)


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write JSON atomically, with sorted keys."""
    with atomic_path(path) as temporary:
        temporary.write_text(json.dumps(content, sort_keys=True, indent=2) + "\n", encoding="utf-8")


def write_hdf5(
    path: Path, arrays: Mapping[str, np.ndarray], attributes: Mapping[str, Any] | None = None
) -> None:
    """Write arrays, and attributes of the root group, as HDF5, atomically.

    The file is composed in memory and written by Python: on a full disk the HDF5 library itself
    prints tracebacks and may crash the process when it exits.
    """
    image = io.BytesIO()
    with h5py.File(image, "w") as file:
        for name, values in arrays.items():
            file.create_dataset(name, data=values, track_times=False)
        file.attrs.update(attributes or {})
    with atomic_path(path) as temporary:
        temporary.write_bytes(image.getbuffer())


class NewHdf5(h5py.File):  # type: ignore[misc]  # h5py has no types
    """An HDF5 file in the making; see `new_hdf5`."""

    output: "_Output"

    def check(self) -> None:
        """Raise the error of a write that failed, which HDF5 knows nothing of."""
        if self.output.failed is not None:
            raise self.output.failed


@contextmanager
def new_hdf5(path: Path) -> Iterator[NewHdf5]:
    """Create an HDF5 file that is written piece by piece; the caller moves it to its place.

    When a write fails, as on a full disk, the HDF5 library itself prints tracebacks and may crash
    the process when it exits. It therefore never learns of one: the error is raised here at the
    end, and by `NewHdf5.check`, which the caller calls after each large piece.

    Parameters
    ----------
    path : pathlib.Path
        Replaced if it exists.

    Raises
    ------
    OSError
        If a write failed.
    """
    with _Output(path, "wb+") as output:
        try:
            with NewHdf5(output, "w") as file:
                file.output = output
                yield file
        except (OSError, RuntimeError) as error:  # of what could not be read again
            if output.failed is None or error is output.failed:
                raise
            raise output.failed from error
        if output.failed is not None:
            raise output.failed


class _Output(io.FileIO):
    """A file of which writes after one that failed do nothing."""

    failed: OSError | None = None

    def write(self, data: Any) -> int:
        """Write all of it; a disk that is almost full takes a part at first."""
        left = memoryview(data).cast("B")
        size = len(left)
        try:
            while self.failed is None and len(left):
                left = left[super().write(left) :]
        except OSError as error:
            self.failed = error
        return size

    def truncate(self, size: int | None = None) -> int:
        """Set the size of the file."""
        try:
            if self.failed is None:
                return super().truncate(size)
        except OSError as error:
            self.failed = error
        return size or 0


def _beside(path: Path) -> Path:
    """Return an unused hidden name in the folder of `path`."""
    return path.with_name(f".{path.name}.{_HOST}-{os.getpid()}-{secrets.token_hex(4)}.tmp")


def _flush(path: Path) -> None:
    """Write a file, or every file of a folder, through to the disk."""
    for file in path.rglob("*") if path.is_dir() else [path]:
        if file.is_file():
            with file.open("rb+") as stream:
                os.fsync(stream.fileno())


def _put_in_place(temporary: Path, path: Path) -> None:
    """Rename a file or folder to `path`, replacing what is there."""
    if not path.is_dir():
        temporary.replace(path)
    elif not _exchange(temporary, path):  # which leaves the old folder for the caller to remove
        replaced = _beside(path)  # a folder that is not empty cannot be replaced in one step
        path.rename(replaced)
        try:
            temporary.rename(path)
        except BaseException:
            replaced.rename(path)
            raise
        _remove(replaced)


def _exchange(one: Path, other: Path) -> bool:
    """Swap two names in one step; return False where the system or the disk cannot."""
    if sys.platform != "linux":
        return False
    rename = getattr(ctypes.CDLL(None), "renameat2", None)  # glibc 2.28
    if rename is None:
        return False
    here, swap = -100, 2  # AT_FDCWD, RENAME_EXCHANGE
    return bool(rename(here, os.fsencode(one), here, os.fsencode(other), swap) == 0)


def _sweep(path: Path) -> None:
    """Remove temporary files and folders of `path` whose process no longer runs."""
    pattern = re.compile(rf"\.{re.escape(path.name)}\.{_HOST}-(\d+)-[0-9a-f]{{8}}\.tmp(\..*)?")
    for file in path.parent.iterdir():
        named = pattern.fullmatch(file.name)
        if named and not _runs(int(named[1])):
            with suppress(OSError):  # another process may be removing it too
                _remove(file)


def _runs(process: int) -> bool:
    """Return whether a process runs on this machine; True where that cannot be asked."""
    if sys.platform == "win32":  # where asking would end it
        return True
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        return True
    return True


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
