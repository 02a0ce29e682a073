"""Atomic writing of files."""

import io
import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import numpy as np


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a temporary path beside `path`, moved onto `path` only if nothing went wrong.

    Parameters
    ----------
    path : pathlib.Path
        Its folder is made if it does not exist.

    Yields
    ------
    pathlib.Path
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".tmp", dir=path.parent)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        # mkstemp makes files that only their owner can read; give the mode of any new file.
        mask = os.umask(0)
        os.umask(mask)
        temporary.chmod(0o666 & ~mask)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def write_json(path: Path, content: dict[str, Any]) -> None:
    """Write JSON with sorted keys."""
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(content, sort_keys=True, indent=2) + "\n", encoding="utf-8")


def write_hdf5(
    path: Path, arrays: dict[str, np.ndarray], attributes: dict[str, Any] | None = None
) -> None:
    """Write arrays and attributes of the root as HDF5.

    The file is laid out in memory and written by Python: on a full disk the HDF5 library itself
    prints tracebacks and may crash the process when it ends.
    """
    image = io.BytesIO()
    with h5py.File(image, "w") as file:
        for name, values in arrays.items():
            file.create_dataset(name, data=values, track_times=False)
        file.attrs.update(attributes or {})
    with replacing(path) as temporary:
        temporary.write_bytes(image.getbuffer())
