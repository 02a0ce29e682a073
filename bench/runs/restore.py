"""Restoring the fitted method of a finished run from its files."""

from collections.abc import Mapping

import torch

from starbench.common import checkpoint
from starbench.methods.base import Method, SettingError
from starbench.methods.registry import get_method, hyperparameters_of, make_method
from starbench.results.schema import Row, read_row
from starbench.runs.run_folder import RunFolder
from starbench.tasks.base import Task


def finished_row(folder: RunFolder) -> Row:
    """Return the row of a finished run.

    Raises
    ------
    SettingError
        If there is none.
    """
    if not folder.row.exists():
        raise SettingError(f"{folder.path} holds no finished run; give the folder of one.")
    return read_row(folder.row)


def restored(
    row: Row,
    state: Mapping[str, torch.Tensor],
    method_class: type[Method],
    device: str = "cpu",
    task: Task | None = None,
) -> Method:
    """Return the method of a row in some state.

    Parameters
    ----------
    row : Row
        Its hyperparameters and its seed make the method.
    state : mapping of str to torch.Tensor
        As the method's `state` returned it.
    method_class : type of Method
    device : str
    task : Task, optional
        Which oracle controls need, as they know how its spectra are made.

    Raises
    ------
    SettingError
        If the installed method has other hyperparameters, or a value is out of its range.
    """
    hyperparameters = hyperparameters_of(method_class, row.hyperparameters)
    method = make_method(method_class, hyperparameters, task, seed=row.seed, device=device)
    method.load_state(dict(state))
    return method


def restore(
    folder: RunFolder, method_class: type[Method] | None = None, device: str = "cpu"
) -> tuple[Method, Row]:
    """Return the scored state of a run's method, and the run's row.

    Parameters
    ----------
    folder : RunFolder
    method_class : type of Method, optional
        By default the method that has the row's name.
    device : str

    Raises
    ------
    SettingError
        If the folder does not hold a finished run of status ``ok``, or its method has changed.
    """
    row = finished_row(folder)
    if row.status != "ok" or not folder.best.exists():
        raise SettingError(
            f"{folder.path} holds no fitted method (status {row.status}); give another run."
        )
    method_class = get_method(row.method) if method_class is None else method_class
    if method_class.name != row.method:
        raise SettingError(f"{folder.path} is a run of {row.method}, not of {method_class.name}.")
    if method_class.version != row.method_version:
        raise SettingError(
            f"{folder.path} was made by version {row.method_version} of {row.method}, but version "
            f"{method_class.version} is installed; run it again."
        )
    return restored(row, checkpoint.load(folder.best)[0], method_class, device), row
