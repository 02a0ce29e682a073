"""Atomic writing of files and folders."""

import io
import json
import os
import secrets
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import numpy as np


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Yield a temporary path; what the caller writes there replaces `path` if no error occurs.

    The caller creates a file or a folder at the temporary path, which lies beside `path` and
    carries the process id in its name. Its content reaches the disk before it is renamed, so that
    `path` holds the old or the new content even after a power failure.

    Parameters
    ----------
    path : pathlib.Path
        Its parent folder is created if it does not exist. A symlink is replaced, not followed.

    Yields
    ------
    pathlib.Path
        Nothing exists there yet.

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
    temporary = _beside(path)
    try:
        yield temporary
        _flush(temporary)
        _put_in_place(temporary, path)
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


def _beside(path: Path) -> Path:
    """Return an unused hidden name in the folder of `path`."""
    return path.with_name(f".{path.name}.{os.getpid()}-{secrets.token_hex(4)}.tmp")


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
        return
    replaced = _beside(path)  # a rename cannot replace a folder that is not empty
    path.rename(replaced)
    try:
        temporary.rename(path)
    except BaseException:
        replaced.rename(path)
        raise
    _remove(replaced)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
