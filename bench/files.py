"""Writing the files of a run, whole or not at all."""

import io
import json
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from starbench.results import replacing


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
