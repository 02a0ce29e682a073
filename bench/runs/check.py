"""Examining a method on small data for the contract of `starbench.methods.contract`."""

from collections.abc import Iterator
from typing import Any

from starbench.evaluation.views import view_split
from starbench.methods.base import Method
from starbench.methods.contract import Subject, check_method
from starbench.tasks.base import Task

SCALE = "tiny"
ENCODED = 64  # spectra the clauses on encode and decode look at


def check(
    task: Task, method_class: type[Method], hyperparameters: Any
) -> Iterator[tuple[str, str | None]]:
    """Run the contract on the tiny scale of a task.

    Parameters
    ----------
    task : Task
    method_class : type of Method
    hyperparameters : object
        Instance of the method's dataclass.

    Yields
    ------
    clause : str
    mend : str or None
        What to mend, None where the clause is kept.
    """
    task.prepare(SCALE, progress=False)
    train, validation, test = (
        view_split(task, split, SCALE, method_class.label_access, seed=0).view
        for split in ("train", "validation", "test")
    )
    flux, nuisance, composition = (
        None if labels is None else labels[:ENCODED]
        for labels in (test.flux, test.nuisance, test.composition)
    )
    subject = Subject(method_class, hyperparameters, train, validation, flux, nuisance, composition)
    yield from check_method(subject)
