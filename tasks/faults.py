"""Faults of tasks that are not starbench's own, found before a method is fitted to their data.

Where a run reads a task, what the task's code raises and what breaks the contract becomes a
`TaskFault` that names the task, as it would be taken for a fault of the method otherwise. Tasks of
starbench and users' own pairs are read as they are.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from starbench.common.hdf5_guards import OpenElsewhere
from starbench.common.plugins import in_one_line, place_of
from starbench.common.signals import Terminated
from starbench.tasks.base import Spectra, Split, Task
from starbench.tasks.contract import (
    Breach,
    covering,
    require_arrays,
    require_finite,
    require_group,
    require_wavelength,
)
from starbench.tasks.errors import DataError, TaskFault

Item = TypeVar("Item")


@contextmanager
def named_faults(task: Task) -> Iterator[None]:
    """Turn what the code of a task raises into a sentence that names the task.

    Errors of the user and of the machine, such as a missing file, pass unchanged.

    Raises
    ------
    TaskFault
    """
    try:
        yield
    except (DataError, OpenElsewhere, OSError, MemoryError, Terminated):
        raise
    except (Exception, SystemExit) as error:  # third-party code may raise anything
        if task.is_own:
            raise
        if isinstance(error, Breach):
            what = f"{error}; correct it"
        else:
            what = f"its code raised {in_one_line(error)} ({place_of(error, task.files)})"
        raise TaskFault(f"Task {task.name}: {what}.") from error


def with_named_faults(task: Task, items: Callable[[], Iterable[Item]]) -> Iterator[Item]:
    """Yield what a task yields, with `named_faults` of the task alone, not of who reads it."""
    with named_faults(task):
        iterator = iter(items())
    while True:
        with named_faults(task):
            try:
                item = next(iterator)
            except StopIteration:
                return
        yield item


def read_chunks(task: Task, split: str, scale: str) -> Iterator[tuple[slice, Split]]:
    """Yield the chunks of a split; those of a task of others are checked.

    Raises
    ------
    TaskFault
        If the task's code raises something, or an array has a wrong type or shape or is not finite.
    """
    if task.is_own:
        return task.chunks(split, scale)
    return with_named_faults(task, lambda: _checked(task, split, scale))


def read_noiseless_flux(task: Task, split: str, scale: str) -> Iterator[tuple[slice, Spectra]]:
    """Yield what reconstructions are compared with, as `starbench.tasks.base.Task` does.

    Raises
    ------
    TaskFault
        If the task's code raises something.
    """
    return with_named_faults(task, lambda: task.noiseless_flux(split, scale))


def _checked(task: Task, split: str, scale: str) -> Iterator[tuple[slice, Split]]:
    chunks = covering(task.chunks(split, scale), split, task.sizes(scale)[split])
    for rows, piece in chunks:
        require_arrays(task, piece, split, len(piece), exact=False)
        require_group(task, piece, split)
        require_finite(piece, split)
        yield rows, piece


def check_beginning(task: Task, scale: str, split: str) -> None:
    """Check the wavelengths and the first chunk of a split of a task of others.

    Raises
    ------
    TaskFault
    """
    if task.is_own:
        return
    with named_faults(task):
        require_wavelength(task, exact=False)
    next(read_chunks(task, split, scale), None)
