"""Run the contract of `starbench.methods.contract` on a method and the tiny scale of a task."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from starbench.evaluation.views import view_split
from starbench.methods.base import Method
from starbench.methods.contract import Subject, check_method
from starbench.tasks.base import Task

SCALE = "tiny"
ENCODED = 64  # spectra that the clauses on encode and decode use


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
    fault : str or None
        What to change; None if the method fulfils the clause.
    """
    task.prepare(SCALE, progress=False)
    train, validation, test = (
        view_split(task, split, SCALE, method_class.label_access, seed=0).view
        for split in (task.training_split(method_class.label_access), "validation", "test")
    )
    yield from check_method(
        Subject(
            method_class,
            hyperparameters,
            train,
            validation,
            flux=test.flux[:ENCODED],
            nuisance=_first(test.nuisance),
            composition=_first(test.composition),
            unseen=_first(test.unseen),
            forward=task.forward_model(),
            error=_first(test.error),
        )
    )


def _first(labels: np.ndarray | None) -> np.ndarray | None:
    return None if labels is None else labels[:ENCODED]
