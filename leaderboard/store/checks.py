"""What a row must satisfy beyond its schema: figures that follow from its ranks.

The schema of `starbench.results.schema` judges a row alone. Here it is held against what it speaks
of: the ranks beside it, the metrics and tasks of this version of starbench, the declaration of its
method.
"""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from starbench.metrics import TwinRanks, metric, recovery_estimates, resample_pairs, twin_ranks
from starbench.results.ranks import Ranks, ranks_digest
from starbench.results.schema import Row
from starbench.results.text import RowError, printable

_ROUNDING = 1e-9


def check_metrics(row: Row, name: str) -> None:
    """Refuse figures that this version of starbench does not know.

    Raises
    ------
    RowError
    """
    for key, figure in row.metrics.items():
        try:
            known = metric(key).version
        except KeyError:
            raise RowError(
                f"{name}: field `metrics.{key}` is not a metric of this starbench; remove it"
            ) from None
        if figure.version > known:
            raise RowError(
                f"{name}: field `metrics.{key}.version` is {figure.version}, but this starbench "
                f"knows versions up to {known}; update starbench"
            )


def check_figures(row: Row, ranks: Ranks, name: str, *, intervals: bool = False) -> None:
    """Recompute the rank figures of a row and refuse any that the ranks do not give.

    Figures of an older metric version cannot be recomputed and are left as they are.

    Parameters
    ----------
    row : Row
    ranks : Ranks
    name : str
        What an error calls the row.
    intervals : bool
        Whether to recompute the intervals as well, which takes about a second.

    Raises
    ------
    RowError
    """
    if ranks_digest(ranks.rank) != row.ranks_sha256:
        raise RowError(
            f"{name}: field `ranks_sha256` is not that of the ranks beside the row; "
            "restore both as the run wrote them"
        )
    # The values do not depend on the resamples, so one is enough where only they are compared.
    counts = None if intervals else resample_pairs(len(ranks.rank), 1)
    for key, found in recovery_estimates(TwinRanks(*ranks), counts=counts).items():
        given = row.metrics.get(key)
        if given is None or given.version != found.version:
            continue
        if abs(given.value - found.value) > _ROUNDING:
            raise RowError(
                f"{name}: field `metrics.{key}.value` is {given.value:.6g}, but the ranks give "
                f"{found.value:.6g}; restore the row as the run wrote it"
            )
        if intervals and given.low is not None:
            # Another version of NumPy may draw other resamples; their ends then move a little.
            slack = _ROUNDING + 0.2 * (found.high - found.low)
            if max(abs(given.low - found.low), abs(given.high - found.high)) > slack:
                raise RowError(
                    f"{name}: field `metrics.{key}` has the interval {given.low:.6g} to "
                    f"{given.high:.6g}, but the ranks give {found.low:.6g} to {found.high:.6g}; "
                    "restore the row as the run wrote it"
                )


def check_latents(ranks: Ranks, path: Path) -> None:
    """Rank the twins again from the latents of a run and refuse ranks that differ.

    Parameters
    ----------
    ranks : Ranks
    path : pathlib.Path
        HDF5 with the dataset ``latent`` [n_pairs, 2, d].

    Raises
    ------
    RowError
    """
    name = printable(path)
    if not path.is_file():
        raise RowError(f"{name}: there is no such file; give the folder of a run that has latents")
    try:
        with h5py.File(path, "r") as file:
            latent = file.get("latent")
            if not isinstance(latent, h5py.Dataset) or latent.dtype.kind != "f":
                raise RowError(f"{name}: dataset `latent` of floating-point numbers is missing")
            if latent.ndim != 3 or latent.shape[:2] != ranks.rank.shape:
                expected = f"[{len(ranks.rank)}, 2, d]"
                raise RowError(f"{name}: `latent` should be {expected}, not {list(latent.shape)}")
            found = twin_ranks(latent[()])
    except (OSError, RuntimeError):
        raise RowError(f"{name}: not a whole HDF5 file; run again") from None
    differing = int(np.count_nonzero(found.rank != ranks.rank))
    if differing:
        raise RowError(
            f"{name}: the latents give other ranks than the stored ones for {differing:,} of "
            f"{ranks.rank.size:,} stars"
        )


def check_standing(row: Row, name: str) -> None:
    """Refuse what never stands on the leaderboard: other scales, and runs that broke.

    Raises
    ------
    RowError
    """
    if row.scale != "full":
        raise RowError(
            f"{name}: field `scale` is {row.scale}, and only full rows enter the leaderboard; "
            "run with --scale full"
        )
    if row.status == "failed":
        raise RowError(
            f"{name}: field `status` is failed, and a crash is no result; mend what `message` says "
            "and run again"
        )


def check_fields(row: Row, name: str, expected: dict[str, Any], whose: str, mend: str) -> None:
    """Refuse a row that says something else than what holds here.

    Parameters
    ----------
    row : Row
    name : str
        What an error calls the row.
    expected : dict of str to object
        What its fields should be.
    whose, mend : str
        Of the sentence: who says otherwise, and what to do.

    Raises
    ------
    RowError
    """
    for field, here in expected.items():
        if getattr(row, field) != here:
            raise RowError(
                f"{name}: field `{field}` is {getattr(row, field)}, but {whose} {here}; {mend}"
            )


def check_data(row: Row, ranks: Ranks | None, name: str, task: Any) -> None:
    """Refuse a row of other data than those of its task here.

    Parameters
    ----------
    row : Row
    ranks : Ranks or None
        None for a row that is not ``ok``.
    name : str
        What an error calls the row.
    task : Task
        The row's task as this version of starbench has it.

    Raises
    ------
    RowError
    """
    check_fields(
        row,
        name,
        {"task_version": task.version, "data_fingerprint": task.fingerprint(row.scale)},
        f"{row.task} here has",
        "run again on these data",
    )
    n_pairs = task.sizes(row.scale)["test"]
    if ranks is not None and len(ranks.rank) != n_pairs:
        raise RowError(
            f"{name}: the ranks are of {len(ranks.rank):,} pairs, but the test split of "
            f"{row.task} has {n_pairs:,}; run with --scale {row.scale}"
        )


def check_declared(row: Row, name: str, method: Any | None) -> None:
    """Refuse a row that its method, as installed here, could not have made.

    Parameters
    ----------
    row : Row
    name : str
        What an error calls the row.
    method : type of Method or None
        None where it is not installed here: of its row nothing is known.

    Raises
    ------
    RowError
    """
    if method is None:
        return
    check_fields(
        row,
        name,
        {"label_access": method.label_access, "control": method.control},
        f"{row.method} declares",
        "restore the row as the run wrote it",
    )
    if row.method_version > method.version:
        raise RowError(
            f"{name}: field `method_version` is {row.method_version}, but {row.method} is of "
            f"version {method.version} here; restore the row, or bring starbench up to date"
        )
    if method.__module__.startswith("starbench.") and row.predictions_sha256 is not None:
        raise RowError(
            f"{name}: predictions may not have the name of a method of starbench's own; score "
            "them under another"
        )
    known = {field.name for field in dataclasses.fields(method.Hyperparameters)}
    if row.method_version == method.version and set(row.hyperparameters) != known:
        other = sorted(known.symmetric_difference(row.hyperparameters))[0]
        raise RowError(
            f"{name}: field `hyperparameters` and those of {row.method} differ in `{other}`; "
            "restore the row as the run wrote it"
        )


def check_entry(
    row: Row,
    ranks: Ranks | None,
    name: str,
    *,
    task: Any,
    declared: Callable[[str], Any | None],
    allow_dirty: bool = False,
) -> None:
    """Refuse a row that may not enter the leaderboard.

    Parameters
    ----------
    row : Row
    ranks : Ranks or None
        None for a row that is not ``ok``.
    name : str
        What an error calls the row.
    task : Task
        The row's task as this version of starbench has it.
    declared : callable
        From a method's name to its class, or None where it is not installed here.
    allow_dirty : bool
        Whether to take a row whose code was changed since its commit, and so cannot be repeated.

    Raises
    ------
    RowError
    """
    check_standing(row, name)
    check_metrics(row, name)
    if row.dirty and not allow_dirty:
        raise RowError(
            f"{name}: field `dirty` is true: the code differed from its commit, so nobody can "
            "repeat the run; commit and run again, or give --allow-dirty"
        )
    check_data(row, ranks, name, task)
    check_declared(row, name, declared(row.method))
    if ranks is not None:
        check_figures(row, ranks, name, intervals=True)
