"""Find a task or a method."""

from pathlib import Path
from typing import TYPE_CHECKING

from starbench.common.paths import user_path

if TYPE_CHECKING:
    from starbench.methods.base import Method
    from starbench.tasks.base import Task


def load_task(
    task: "str | Task | None" = None,
    *,
    data: str | Path | None = None,
    snr: float | None = None,
    max_dropped: float | None = None,
    cache: str | Path | None = None,
    quiet: bool = False,
) -> "Task":
    """Return a task, which provides pairs of spectra and their labels.

    Nothing is read or built until its methods are called: ``task.prepare("mini")`` builds the data
    set of a scale, ``task.load("test", "mini")`` returns a split.

    Parameters
    ----------
    task : str or Task, optional
        A name listed by ``starbench tasks``, or ``"PATH.py:CLASS"``; ``"apogee-giants"`` by
        default. A task is returned unchanged; no other argument applies to it.
    data : str or pathlib.Path, optional
        Your own pairs, or a survey, in place of a task: an HDF5 file, a folder written by
        ``starbench data export`` or ``DatasetDict.save_to_disk``, or a Hugging Face data set
        ``"user/name"``.
    snr : float, optional
        Signal-to-noise ratio per pixel of the noise in `data`, for methods that take noise into
        account; by default what the data declare.
    max_dropped : float, optional
        Largest share of the pairs or stars of a split of `data` that may be left out because all
        pixels are masked; 0.1 by default.
    cache : str or pathlib.Path, optional
        Folder in which data sets are kept; your cache folder by default.
    quiet : bool
        Draw no progress bar while `data` are copied.

    Returns
    -------
    Task

    Raises
    ------
    DataError
        If there is no such task, or `data` cannot be used.

    Examples
    --------
    >>> import starbench as sb
    >>> task = sb.load_task("apogee-giants-snr50")
    >>> task.snr, task.nuisance_names, task.sizes("mini")["test"], len(task.wavelength)
    (50.0, ('Teff', 'logg'), 1250, 7214)
    """
    from starbench.tasks.base import Task
    from starbench.tasks.errors import DataError
    from starbench.tasks.registry import get_task, require_card

    if task is not None and not isinstance(task, str):
        if not isinstance(task, Task):
            raise DataError(
                f"task is {task!r}; give a name, 'PATH.py:CLASS' or a Task, not a class."
            )
        require_card(task, f"The task {type(task).__name__}")
        if data is not None:
            raise DataError(f"Give either task {task.name} or data {data}, not both.")
        for name, value in (("snr", snr), ("max_dropped", max_dropped)):
            if value is not None:
                raise DataError(f"{name} is for data; the task {task.name} states its own.")
        if cache is not None:
            raise DataError(
                f"cache is for a task by name; make the task {task.name} with its cache, and leave "
                "cache out here."
            )
        return task
    return get_task(
        task,
        data=None if data is None else user_path(data),
        cache=None if cache is None else user_path(cache),
        snr=snr,
        max_dropped=max_dropped,
        progress=not quiet,
    )


def load_method(method: "str | type[Method]") -> "type[Method]":
    """Return the class of a method.

    Parameters
    ----------
    method : str or type of Method
        A name listed by ``starbench methods``, or ``"PATH.py:CLASS"``; a class is checked and
        returned.

    Returns
    -------
    type of Method

    Raises
    ------
    SettingError
        If there is no such method, or the class is not one.

    Examples
    --------
    >>> import starbench as sb
    >>> fader = sb.load_method("fader")
    >>> fader.label_access, fader.Hyperparameters().latent
    ('nuisance', 20)
    """
    from starbench.methods.registry import get_method

    return get_method(method)
