"""The tasks by name."""

import difflib
from pathlib import Path

from starbench.tasks.apogee_giants import ApogeeGiants
from starbench.tasks.base import Task
from starbench.tasks.errors import DataError
from starbench.tasks.noise import SNRS, NoiseTrack
from starbench.tasks.own_data import OwnData

_DEFAULT = ApogeeGiants.name
_SNR = {f"{_DEFAULT}-snr{snr}": snr for snr in SNRS}


def task_names() -> list[str]:
    """Return the names of the standard tasks."""
    return [_DEFAULT, *_SNR]


def get_task(name: str | None = None, data: Path | None = None, cache: Path | None = None) -> Task:
    """Return a task.

    Parameters
    ----------
    name : str, optional
        One of `task_names`; ``apogee-giants`` if not given.
    data : pathlib.Path, optional
        A file of pairs of one's own, instead of a standard task.
    cache : pathlib.Path, optional
        Folder for the data of the standard tasks.

    Raises
    ------
    DataError
        If there is no such task, or the file cannot be used.
    """
    if data is not None:
        if name not in (None, _DEFAULT):  # the default of --task cannot be told from no --task
            raise DataError(f"Give either --task {name} or --data {data}, not both.")
        return OwnData(data)
    name = _DEFAULT if name is None else name
    if name not in task_names():
        near = difflib.get_close_matches(name, task_names(), n=3, cutoff=0.4) or task_names()
        raise DataError(f"There is no task {name!r}; the nearest names are {', '.join(near)}.")
    base = ApogeeGiants(cache)
    return NoiseTrack(base, _SNR[name]) if name in _SNR else base
