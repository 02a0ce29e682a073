"""Checks of a row against its ranks, and against the metrics, task and method it names.

The schema of `starbench.results.schema` checks a row by itself.
"""

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path

import h5py
import numpy as np

from starbench.common.hdf5_guards import UNREADABLE, open_hdf5, read_numbers
from starbench.common.sources import is_own
from starbench.leaderboard.store.task import BoardTask, card_of
from starbench.methods.base import Method, SettingError
from starbench.methods.registry import hyperparameters_of
from starbench.metrics import metric, recovery_estimates, twin_ranks
from starbench.metrics.recovery import recovery_values
from starbench.results.ranks import Ranks, ranks_digest
from starbench.results.schema import RecordedEstimate, Row
from starbench.results.text import RowError, printable

_ROUNDING = 1e-9


def check_metrics(
    metrics: Mapping[str, RecordedEstimate], name: str, field: str = "metrics"
) -> None:
    """Refuse metrics, or metric versions, that this version of starbench does not have.

    Parameters
    ----------
    metrics : mapping of str to RecordedEstimate
    name, field : str
        How errors refer to the row, and to the metrics in it.

    Raises
    ------
    RowError
    """
    for key, estimate in metrics.items():
        try:
            newest = metric(key).version
        except KeyError:
            raise RowError(
                f"{name}: field `{field}.{key}` is not a metric of this version of starbench; "
                "remove it"
            ) from None
        if estimate.version > newest:
            raise RowError(
                f"{name}: field `{field}.{key}.version` is {estimate.version}, but this starbench "
                f"has versions up to {newest}; update starbench"
            )


def check_rank_metrics(row: Row, ranks: Ranks, name: str, *, intervals: bool = False) -> None:
    """Recompute the rank metrics of a row and refuse values that differ.

    Values of an older metric version cannot be recomputed and are not checked.

    Parameters
    ----------
    row : Row
    ranks : Ranks
    name : str
        How errors refer to the row.
    intervals : bool
        Whether to recompute the intervals as well, which takes most of the time.

    Raises
    ------
    RowError
    """
    if ranks_digest(ranks.rank) != row.ranks_sha256:
        raise RowError(
            f"{name}: field `ranks_sha256` is not the digest of the ranks beside the row; "
            "restore both files as the run wrote them"
        )
    check_rank_values(row.metrics, ranks, name, intervals=intervals)


def check_rank_values(
    metrics: Mapping[str, RecordedEstimate], ranks: Ranks, name: str, *, intervals: bool
) -> None:
    """Recompute rank metrics and refuse values that differ; see `check_rank_metrics`."""
    measured = ranks.measured()
    if intervals:
        estimates = recovery_estimates(measured)
        values = {key: expected.value for key, expected in estimates.items()}
    else:
        values = recovery_values(measured)
    for key, value in values.items():
        recorded = metrics.get(key)
        if recorded is None or recorded.version != metric(key).version:
            continue
        if abs(recorded.value - value) > _ROUNDING:
            raise RowError(
                f"{name}: field `metrics.{key}.value` is {recorded.value:.6g}, but the ranks give "
                f"{value:.6g}; restore the row as the run wrote it"
            )
        if intervals and (ends := interval_of(recorded)) is not None:
            (low, high), expected = ends, estimates[key]
            # Another version of NumPy may draw other resamples, which moves the ends a little.
            slack = _ROUNDING + 0.2 * (expected.high - expected.low)
            if max(abs(low - expected.low), abs(high - expected.high)) > slack:
                raise RowError(
                    f"{name}: field `metrics.{key}` has the interval {low:.6g} to {high:.6g}, but "
                    f"the ranks give {expected.low:.6g} to {expected.high:.6g}; restore the row as "
                    "the run wrote it"
                )


def interval_of(estimate: RecordedEstimate) -> tuple[float, float] | None:
    """Return the 95 % interval of a recorded estimate, None where it has none."""
    if estimate.low is None or estimate.high is None:
        return None
    return estimate.low, estimate.high


def check_latents(ranks: Ranks, path: Path) -> None:
    """Rank the twins again from the latents of a run and refuse ranks that differ.

    Those of a survey are not ranked again, as the groups of its stars are not beside the latents.

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
        raise RowError(f"{name}: no such file; give the folder of a run that has latents")
    try:
        with open_hdf5(path) as file:
            latent = file.get("latent")
            if not isinstance(latent, h5py.Dataset) or latent.dtype.kind != "f":
                raise RowError(f"{name}: dataset `latent` of floating-point numbers is missing")
            if ranks.n_stars is not None:
                if latent.ndim != 3 or latent.shape[:2] != (ranks.n_stars, 1):
                    expected = f"[{ranks.n_stars}, 1, d]"
                    raise RowError(
                        f"{name}: `latent` should be {expected}, not {list(latent.shape)}"
                    )
                return
            if latent.ndim != 3 or latent.shape[:2] != ranks.rank.shape:
                expected = f"[{len(ranks.rank)}, 2, d]"
                raise RowError(f"{name}: `latent` should be {expected}, not {list(latent.shape)}")
            recomputed = twin_ranks(read_numbers(latent))
    except RowError:
        raise
    except UNREADABLE:
        raise RowError(f"{name}: not a complete HDF5 file; run again") from None
    differing = int(np.count_nonzero(recomputed.rank != ranks.rank))
    if differing:
        raise RowError(
            f"{name}: the ranks of {differing:,} of {ranks.rank.size:,} stars differ from those "
            "recomputed from the latents; restore the ranks as the run wrote them"
        )


def check_eligible(row: Row, name: str) -> None:
    """Refuse rows that the leaderboard never accepts: of other scales, or of failed runs.

    Raises
    ------
    RowError
    """
    if row.scale != "full":
        raise RowError(
            f"{name}: field `scale` is {row.scale}, but the leaderboard accepts only full-scale "
            "rows; run with --scale full"
        )
    if row.status == "failed":
        raise RowError(
            f"{name}: field `status` is failed, and a crash is not a result; fix what `message` "
            "says and run again"
        )


def check_acceptable(
    row: Row, name: str, *, allow_dirty: bool = False, alternative: str = ""
) -> None:
    """Refuse rows that may not be added, whatever their figures and data; see `check_entry`.

    `alternative` is what else the caller's command offers where a checkout had changes.

    Raises
    ------
    RowError
    """
    check_eligible(row, name)
    if row.dirty and not allow_dirty:
        raise RowError(
            f"{name}: field `dirty` is true, so the run cannot be repeated from a commit; "
            f"commit the changes and run again{alternative}"
        )


def check_fields(
    row: Row, name: str, expected: Mapping[str, object], source: str, remedy: str
) -> None:
    """Refuse a row whose fields differ from the expected values.

    Parameters
    ----------
    row : Row
    name : str
        How errors refer to the row.
    expected : mapping of str to object
        Expected values by field.
    source, remedy : str
        Parts of the error: where the expected value comes from, and what to do.

    Raises
    ------
    RowError
    """
    for field, value in expected.items():
        recorded = getattr(row, field)
        if recorded != value:
            raise RowError(f"{name}: field `{field}` is {recorded}, but {source} {value}; {remedy}")


def check_data(row: Row, ranks: Ranks | None, name: str, task: BoardTask) -> None:
    """Refuse a row whose data are not those of the installed task.

    Parameters
    ----------
    row : Row
    ranks : Ranks or None
        None for a row that is not ``ok``.
    name : str
        How errors refer to the row.
    task : BoardTask
        The row's task as installed here.

    Raises
    ------
    RowError
    """
    check_fields(
        row,
        name,
        {"task_version": task.version, "data_fingerprint": task.fingerprint(row.scale)},
        f"the installed {row.task} has",
        "run again on its data",
    )
    _check_names(row, name, task)
    n_pairs = task.sizes(row.scale)["test"]
    if ranks is None:
        return
    card = card_of(row.task)
    if card is not None and card.survey != (ranks.n_stars is not None):
        kind = "a survey's siblings" if card.survey else "pairs"
        raise RowError(
            f"{name}: the ranks are not of {kind}, as those of {row.task} are; run again"
        )
    n_ranked, what = len(ranks.rank), "pairs"
    if ranks.n_stars is not None:
        n_ranked, what = ranks.n_stars, "stars"
    if n_ranked != n_pairs:
        raise RowError(
            f"{name}: the ranks are of {n_ranked:,} {what}, but the test split of "
            f"{row.task} has {n_pairs:,}; run with --scale {row.scale}"
        )


def _check_names(row: Row, name: str, task: BoardTask) -> None:
    """Refuse metrics of elements or nuisance factors that a task does not have."""
    names = {
        "composition_recovery": task.elements,
        "nuisance_leakage": task.nuisance_names,
        "conditional_leakage": task.nuisance_names,
    }
    for field in ("metrics", "validation_metrics"):
        for key in getattr(row, field):
            family, _, rest = key.partition(".")  # FAMILY.PROBE.NAME
            if family in names and rest.partition(".")[2] not in names[family]:
                raise RowError(
                    f"{name}: field `{field}.{key}` is of nothing that {row.task} has; restore the "
                    "row as the run wrote it"
                )


def check_declared(row: Row, name: str, method: type[Method] | None) -> None:
    """Refuse a row that the installed method could not have produced.

    Parameters
    ----------
    row : Row
    name : str
        How errors refer to the row.
    method : type of Method or None
        None where it is not installed here; then nothing is checked.

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
    if not 1 <= row.method_version <= method.version:
        raise RowError(
            f"{name}: field `method_version` is {row.method_version}, but the installed "
            f"{row.method} has version {method.version}; restore the row, or update starbench"
        )
    if is_own(method.__module__) and row.predictions_sha256 is not None:
        raise RowError(
            f"{name}: predictions may not take the name of a method that ships with starbench; "
            "score them under another name"
        )
    declared = {field.name for field in dataclasses.fields(method.Hyperparameters)}
    if row.method_version == method.version and set(row.hyperparameters) != declared:
        other = sorted(declared.symmetric_difference(row.hyperparameters))[0]
        raise RowError(
            f"{name}: field `hyperparameters` and those of {row.method} differ in `{other}`; "
            "restore the row as the run wrote it"
        )
    if row.method_version == method.version:
        settings_of(row, name, method)  # refuses values out of range


def settings_of(row: Row, name: str, method: type[Method]) -> object:
    """Return a row's hyperparameters as the method's dataclass, checked like `--set` options.

    Parameters
    ----------
    row : Row
    name : str
        How errors refer to the row.
    method : type of Method

    Raises
    ------
    RowError
        If the installed method has other hyperparameters, or a value is out of its range.
    """
    try:
        return hyperparameters_of(method, row.hyperparameters)
    except SettingError as error:
        raise RowError(f"{name}: field `hyperparameters`: {str(error).rstrip('.')}") from None


def check_entry(
    row: Row,
    ranks: Ranks | None,
    name: str,
    *,
    task: BoardTask,
    installed_method: Callable[[str], type[Method] | None],
    allow_dirty: bool = False,
) -> None:
    """Refuse a row that may not be added to the leaderboard.

    Parameters
    ----------
    row : Row
    ranks : Ranks or None
        None for a row that is not ``ok``.
    name : str
        How errors refer to the row.
    task : BoardTask
        The row's task as installed here.
    installed_method : callable
        From a method's name to its class, or None where it is not installed here.
    allow_dirty : bool
        Whether to accept a row whose code had uncommitted changes, and so cannot be repeated.

    Raises
    ------
    RowError
    """
    check_acceptable(row, name, allow_dirty=allow_dirty, alternative=", or give --allow-dirty")
    check_metrics(row.metrics, name)
    check_metrics(row.validation_metrics, name, "validation_metrics")
    check_data(row, ranks, name, task)
    check_declared(row, name, installed_method(row.method))
    if ranks is not None:
        check_rank_metrics(row, ranks, name, intervals=True)
