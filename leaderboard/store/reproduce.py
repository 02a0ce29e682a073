"""Reproduction of a row: compare each metric with that of a repeated run.

On the same kind of machine with the same number of threads a run gives the same ranks for every
star, and metrics that follow from ranks must then be equal. On other machines sums are rounded
differently, and training amplifies that until the run differs like one of another seed. Metrics
then agree if they differ by at most the tolerance that the metric declares
(`starbench.metrics.METRICS`) or half the width of the 95 % interval, whichever is larger. Both are
computed from the repeated run, so that an untrusted row does not set its own tolerance.
"""

import dataclasses
import json
from collections.abc import Sequence
from dataclasses import dataclass

from tabulate import tabulate

from starbench.leaderboard.store.checks import (
    check_data,
    check_fields,
    check_metrics,
    interval_of,
)
from starbench.leaderboard.store.task import BoardTask
from starbench.methods.base import Method, SettingError
from starbench.methods.registry import make_hyperparameters
from starbench.metrics import METRICS, TwinRanks, family, metric, recovery_estimates
from starbench.results.ranks import Ranks
from starbench.results.schema import RecordedEstimate, Row
from starbench.results.text import RowError

_SAME = 1e-9  # tolerance of metrics that follow from the same ranks


def _tolerances() -> str:
    labels: dict[str, list[str]] = {}
    for each in METRICS.values():
        labels.setdefault(each.tolerance.meaning, []).append(each.label)
    declared = "; ".join(f"{meaning} ({', '.join(of)})" for meaning, of in labels.items())
    return (
        f"Tolerance: {_SAME:g} for metrics that follow from the same ranks, otherwise {declared}; "
        "or half the 95 % interval where that is wider."
    )


TOLERANCES = _tolerances()


@dataclass(frozen=True)
class Agreement:
    """A metric of a row and of the repeated run.

    Attributes
    ----------
    name : str
    row, again : RecordedEstimate or None
        None where one of the two lacks the metric.
    tolerance : float
    """

    name: str
    row: RecordedEstimate | None
    again: RecordedEstimate | None
    tolerance: float

    @property
    def agrees(self) -> bool:
        """Whether both have the metric and differ by no more than the tolerance."""
        if self.row is None or self.again is None:
            return False
        return abs(self.again.value - self.row.value) <= self.tolerance


def tolerance(name: str, estimate: RecordedEstimate) -> float:
    """Return by how much a row may differ from an estimate made on another machine."""
    low, high = interval_of(estimate) or (0.0, 0.0)
    return max(metric(name).tolerance.allowed(estimate.value), (high - low) / 2)


def agreements(row: Row, again: Row, ranks: Ranks | None = None) -> list[Agreement]:
    """Compare each metric of a row with that of the repeated run.

    Parameters
    ----------
    row, again : Row
        Both scored.
    ranks : Ranks, optional
        Of the repeated run; needed to know which metrics follow from them.

    Returns
    -------
    list of Agreement
        In the order of the metrics' definitions.
    """
    same = row.ranks_sha256 == again.ranks_sha256
    from_ranks = () if ranks is None or not same else recovery_estimates(TwinRanks(*ranks))
    order = {name: number for number, name in enumerate(METRICS)}
    names = sorted(
        {*row.metrics, *again.metrics},
        key=lambda name: (order.get(family(name)), name),
    )
    compared = []
    for name in names:
        estimate = again.metrics.get(name)
        if estimate is None:
            allowed = 0.0
        else:
            allowed = _SAME if name in from_ranks else tolerance(name, estimate)
        compared.append(Agreement(name, row.metrics.get(name), estimate, allowed))
    return compared


def check_reproducible(row: Row, name: str, method: type[Method], task: BoardTask) -> None:
    """Refuse a row that the installed method and task cannot reproduce.

    Parameters
    ----------
    row : Row
    name : str
        How errors refer to the row.
    method : type of Method
    task : BoardTask
        The row's task as installed here.

    Raises
    ------
    RowError
    """
    check_fields(
        row,
        name,
        {
            "method": method.name,
            "method_version": method.version,
            "label_access": method.label_access,
            "control": method.control,
        },
        f"the installed {method.name} has",
        "check out the row's commit",
    )
    check_data(row, None, name, task)
    check_metrics(row, name)
    for key, estimate in row.metrics.items():
        measured = metric(key).version
        if estimate.version != measured:
            raise RowError(
                f"{name}: field `metrics.{key}.version` is {estimate.version}, but this starbench "
                f"measures version {measured}; check out the row's commit"
            )


def check_source(row: Row, name: str) -> None:
    """Refuse a row of predictions, of own data, or of a failed run, which cannot be repeated here.

    Raises
    ------
    RowError
    """
    if row.predictions_sha256 is not None:
        raise RowError(
            f"{name}: field `predictions_sha256` is set: the row was scored from predictions, and "
            "starbench cannot train the model behind them; score them again with `starbench score`"
        )
    if row.scale == "own":
        raise RowError(
            f"{name}: field `scale` is own, so the row is of a user's own pairs; repeat it with "
            "`starbench run --data`"
        )
    if row.status == "failed":
        raise RowError(
            f"{name}: field `status` is failed, so the row has no metrics to reproduce; name a row "
            "whose run ended"
        )


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
    defaults = dataclasses.asdict(method.Hyperparameters())
    for key in sorted({*defaults, *row.hyperparameters}):
        if key not in defaults or key not in row.hyperparameters:
            which = "the row" if key in row.hyperparameters else f"the installed {method.name}"
            raise RowError(
                f"{name}: field `hyperparameters`: only {which} has {key!a}; check out the row's "
                "commit"
            )
    changed = [
        f"{key}={value if isinstance(value, str) else json.dumps(value)}"
        for key, value in row.hyperparameters.items()
        if value != _as_in_row(defaults[key])
    ]
    try:
        return make_hyperparameters(method, None, changed)
    except SettingError as error:
        raise RowError(f"{name}: field `hyperparameters`: {str(error).rstrip('.')}") from None


def agreement_table(compared: Sequence[Agreement]) -> str:
    """Return the comparison as a table for the terminal."""
    lines = [
        [
            each.name,
            *(
                "" if estimate is None else f"{estimate.value:.6g}"
                for estimate in (each.row, each.again)
            ),
            f"{each.tolerance:.2g}",
            "agrees" if each.agrees else "DIFFERS",
        ]
        for each in compared
    ]
    return tabulate(
        lines,
        headers=["Metric", "Row", "Repeated", "Tolerance", ""],
        colalign=["left", "right", "right", "right", "left"],
        disable_numparse=True,
    )


def _as_in_row(value: object) -> object:
    """Return a default as JSON holds it: tuples as lists."""
    return list(value) if isinstance(value, tuple) else value
