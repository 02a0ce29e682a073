"""The tasks by name."""

import difflib
from pathlib import Path

from starbench.tasks.apogee_giants.task import ApogeeGiants
from starbench.tasks.base import Task
from starbench.tasks.errors import DataError
from starbench.tasks.observation.noise import SNRS, NoiseTrack
from starbench.tasks.own.hdf5 import OwnData
from starbench.tasks.own.hugging_face import is_rows, open_rows

_DEFAULT = ApogeeGiants.name
_SNR = {f"{_DEFAULT}-snr{snr}": snr for snr in SNRS}


def task_names() -> list[str]:
    """Return the names of the standard tasks."""
    return [_DEFAULT, *_SNR]


def get_task(
    name: str | None = None,
    data: Path | None = None,
    cache: Path | None = None,
    *,
    progress: bool = True,
) -> Task:
    """Return a task.

    Parameters
    ----------
    name : str, optional
        One of `task_names`; ``apogee-giants`` if not given.
    data : pathlib.Path, optional
        Pairs of one's own, instead of a standard task: an HDF5 file, or what
        `starbench.tasks.own.hugging_face` reads.
    cache : pathlib.Path, optional
        Folder for the data of the standard tasks, and for copies of `data`.
    progress : bool
        Draw a progress bar while `data` are copied.

    Raises
    ------
    DataError
        If there is no such task, or `data` cannot be used.
    """
    if data is not None:
        if name not in (None, _DEFAULT):  # the default of --task cannot be told from no --task
            raise DataError(f"Give either --task {name} or --data {data}, not both.")
        if is_rows(data):
            return open_rows(data, cache, progress=progress)
        return OwnData(data)
    name = _DEFAULT if name is None else name
    if name not in task_names():
        near = difflib.get_close_matches(name, task_names(), n=3, cutoff=0.4) or task_names()
        raise DataError(f"There is no task {name!r}; the nearest names are {', '.join(near)}.")
    base = ApogeeGiants(cache)
    return NoiseTrack(base, _SNR[name]) if name in _SNR else base
