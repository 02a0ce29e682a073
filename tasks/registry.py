"""Finding tasks: by name, in an installed package, in a file, or in a user's own pairs."""

import inspect
from pathlib import Path

from starbench.common.paths import user_path
from starbench.common.plugins import Plugins, in_one_line
from starbench.tasks.base import Task
from starbench.tasks.card import Card
from starbench.tasks.errors import DataError

# Name: what makes the task, given its `cache`.
BUILT_IN = {
    "apogee-giants": "starbench.tasks.apogee_giants.task:ApogeeGiants",
    "apogee-giants-snr100": "starbench.tasks.apogee_giants.tracks:snr100",
    "apogee-giants-snr50": "starbench.tasks.apogee_giants.tracks:snr50",
    "apogee-giants-snr30": "starbench.tasks.apogee_giants.tracks:snr30",
    "apogee-giants-dense": "starbench.tasks.apogee_giants.tracks:dense",
    "apogee-giants-dense-snr200": "starbench.tasks.apogee_giants.tracks:dense_snr200",
    "apogee-giants-branch": "starbench.tasks.apogee_giants.tracks:branch",
    "apogee-giants-hidden": "starbench.tasks.apogee_giants.tracks:hidden",
    "apogee-giants-labels": "starbench.tasks.apogee_giants.tracks:labels",
    "apogee-giants-metallicity": "starbench.tasks.apogee_giants.tracks:metallicity",
    "apogee-giants-mismatch": "starbench.tasks.apogee_giants.tracks:mismatch",
    "apogee-giants-survey": "starbench.tasks.apogee_giants.tracks:survey",
}
DEFAULT = "apogee-giants"
ENTRY_POINT_GROUP = "starbench.tasks"

PLUGINS = Plugins("task", BUILT_IN, ENTRY_POINT_GROUP, DataError)


def task_names() -> list[str]:
    """Return the names of all tasks: the built-in ones and those of installed packages."""
    return list(PLUGINS.names())


def get_task(
    spec: str | None = None,
    data: Path | None = None,
    cache: Path | None = None,
    *,
    snr: float | None = None,
    max_dropped: float | None = None,
    progress: bool = True,
) -> Task:
    """Return a task.

    Parameters
    ----------
    spec : str, optional
        One of `task_names`, or ``my_task.py:MyTask``; ``apogee-giants`` if not given.
    data : pathlib.Path, optional
        A user's own pairs instead of a task by name: an HDF5 file, or what
        `starbench.tasks.own.hugging_face` reads.
    cache : pathlib.Path, optional
        Folder for the data of tasks, and for copies of `data`.
    snr : float, optional
        Signal-to-noise ratio per pixel of the noise in `data`; by default what they declare.
    max_dropped : float, optional
        Largest share of the pairs or stars of a split of `data` that may be left out because all
        pixels are masked; 0.1 by default.
    progress : bool
        Draw a progress bar while `data` are copied.

    Raises
    ------
    DataError
        If there is no such task, it is incomplete, or `data` cannot be used.

    Examples
    --------
    >>> get_task("apogee-giants-snr50").sizes("tiny")
    {'train': 128, 'validation': 64, 'test': 64}
    """
    cache = None if cache is None else user_path(cache)
    if data is not None:
        data = user_path(data)  # no shell expands the ~ of "~/pairs.h5" or --data=~/pairs.h5
        if spec not in (None, DEFAULT):  # without --task the CLI passes DEFAULT
            raise DataError(f"Give either --task {spec} or --data {data}, not both.")
        from starbench.tasks.own.hdf5 import MAX_DROPPED, OwnData
        from starbench.tasks.own.hugging_face import is_table, open_table

        if is_table(data):
            return open_table(data, cache, snr=snr, progress=progress)
        most = MAX_DROPPED if max_dropped is None else max_dropped
        return OwnData(data, cache=cache, snr=snr, max_dropped=most)
    if snr is not None:
        raise DataError("--snr declares the noise of --data; tasks state their own, so remove it.")
    if max_dropped is not None:
        raise DataError("--max-dropped is for --data; tasks leave out nothing, so remove it.")
    spec = DEFAULT if spec is None else spec
    make = PLUGINS.load(spec)
    if not callable(make):
        raise DataError(f"{spec} is neither a class nor a function that returns a task.")
    try:
        task = make(cache=cache)
    except DataError:
        raise
    except (Exception, SystemExit) as error:  # third-party code may raise anything
        raise DataError(f"{spec} could not be created: {in_one_line(error)}.") from error
    checked = _checked(task, spec)
    if inspect.isfunction(make):
        vars(checked)["made_in"] = make.__module__  # a class of others may be frozen
    checked.code_sha256  # noqa: B018 - is noted now, as the file may be edited while this runs
    return checked


def require_card(task: Task, name: str) -> None:
    """Refuse a task without a card; the sentence begins with `name`.

    Raises
    ------
    DataError
    """
    if not isinstance(getattr(task, "card", None), Card):
        raise DataError(f"{name} does not set `card` to a starbench.tasks.card.Card.")


def _checked(task: object, spec: str) -> Task:
    if not isinstance(task, Task):
        raise DataError(f"{spec} is not a subclass of starbench.tasks.base.Task.")
    require_card(task, spec)
    if task.name in BUILT_IN and spec != task.name:
        raise DataError(f"{spec} has the name of starbench's own task {task.name}; rename it.")
    if ".py:" not in spec and spec != task.name:
        raise DataError(
            f"The task registered as {spec} is named {task.name} on its card; rename one."
        )
    return task
