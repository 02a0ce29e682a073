"""Whether a row can be made again: the same run, and each figure beside that of the row.

On the same kind of machine with the same number of threads a run gives the same ranks, star by
star; then every figure that follows from them must be equal. Elsewhere sums are rounded otherwise,
which training amplifies until the run is as good as one of another seed. So figures then agree if
they differ by no more than the tolerance that each metric declares (`starbench.metrics.METRICS`),
or by no more than half the width of the figure's 95 % interval, where that is larger. Value and
interval are those of the run made again: a stranger's row does not set its own tolerance.
"""

import dataclasses
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tabulate import tabulate

from starbench.leaderboard.store.checks import check_data, check_fields, check_metrics
from starbench.methods.base import Method, SettingError
from starbench.methods.registry import make_hyperparameters
from starbench.metrics import METRICS, TwinRanks, family, metric, recovery_estimates
from starbench.results.ranks import Ranks
from starbench.results.schema import RecordedEstimate, Row
from starbench.results.text import RowError

_SAME = 1e-9  # of figures that follow from the same ranks

TOLERANCES = (
    f"Tolerance: with the same ranks {_SAME:g} for what follows from them; otherwise "
    + "; ".join(
        f"{METRICS[name].tolerance.meaning} for {kind}"
        for name, kind in (
            ("doppelganger_free", "shares and ranks"),
            ("reconstruction_mse", "squared errors"),
            ("nuisance_leakage.mlp", "R^2"),
        )
    )
    + "; or half the 95 % interval where that is wider."
)


@dataclass(frozen=True)
class Agreement:
    """One figure of a row and of the run made again.

    Attributes
    ----------
    name : str
    row, again : RecordedEstimate or None
        None where one of the two lacks it.
    tolerance : float
    """

    name: str
    row: RecordedEstimate | None
    again: RecordedEstimate | None
    tolerance: float

    @property
    def agrees(self) -> bool:
        """Whether both have the figure and differ by no more than the tolerance."""
        if self.row is None or self.again is None:
            return False
        return abs(self.again.value - self.row.value) <= self.tolerance


def tolerance(name: str, figure: RecordedEstimate) -> float:
    """Return by how much a row may differ from a figure that was measured on another machine."""
    allowed = metric(name).tolerance.allowed(figure.value)
    half = 0.0 if figure.low is None else (figure.high - figure.low) / 2
    return max(allowed, half)


def agreements(row: Row, again: Row, ranks: Ranks | None = None) -> list[Agreement]:
    """Compare each figure of a row with that of the run made again.

    Parameters
    ----------
    row, again : Row
        Both scored.
    ranks : Ranks, optional
        Of the run made again; which figures follow from ranks is theirs to say.

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
    found = []
    for name in names:
        figure = again.metrics.get(name)
        if figure is None:
            allowed = 0.0
        else:
            allowed = _SAME if name in from_ranks else tolerance(name, figure)
        found.append(Agreement(name, row.metrics.get(name), figure, allowed))
    return found


def check_reproducible(row: Row, name: str, method: type[Method], task: Any) -> None:
    """Refuse a row that cannot be made again here.

    Parameters
    ----------
    row : Row
    name : str
        What an error calls the row.
    method : type of Method
    task : Task
        The row's task as this version of starbench has it.

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
        f"{method.name} here has",
        "check out the row's commit",
    )
    check_data(row, None, name, task)
    check_metrics(row, name)
    for key, figure in row.metrics.items():
        known = metric(key)
        if figure.version != known.version:
            raise RowError(
                f"{name}: field `metrics.{key}.version` is {figure.version}, but this starbench "
                f"measures version {known.version}; check out the row's commit"
            )


def check_source(row: Row, name: str) -> None:
    """Refuse a row that no method made, or whose data or run cannot be had again.

    Raises
    ------
    RowError
    """
    if row.predictions_sha256 is not None:
        raise RowError(
            f"{name}: field `predictions_sha256` is set: the row was scored from predictions, and "
            "starbench cannot train what made them; score them again with `starbench score`"
        )
    if row.scale == "own":
        raise RowError(
            f"{name}: field `scale` is own: the row is of pairs that are not starbench's; run it "
            "again with --data"
        )
    if row.status == "failed":
        raise RowError(f"{name}: field `status` is failed, so there is nothing to reproduce")


def settings_of(row: Row, name: str, method: type[Method]) -> Any:
    """Return the hyperparameters of a row, each checked as if it were given by hand.

    Parameters
    ----------
    row : Row
    name : str
        What an error calls the row.
    method : type of Method

    Raises
    ------
    RowError
        If the method has other settings by now, or one is out of its range.
    """
    defaults = dataclasses.asdict(method.Hyperparameters())
    for key in sorted({*defaults, *row.hyperparameters}):
        if key not in defaults or key not in row.hyperparameters:
            which = "the row" if key in row.hyperparameters else f"{method.name} here"
            raise RowError(
                f"{name}: field `hyperparameters`: only {which} has {key!a}; check out the row's "
                "commit"
            )
    changed = [
        f"{key}={value if isinstance(value, str) else json.dumps(value)}"
        for key, value in row.hyperparameters.items()
        if value != _plain(defaults[key])
    ]
    try:
        return make_hyperparameters(method, None, changed)
    except SettingError as error:
        raise RowError(f"{name}: field `hyperparameters`: {str(error).rstrip('.')}") from None


def agreement_table(found: Sequence[Agreement]) -> str:
    """Return the figures as a table for the terminal."""
    lines = [
        [
            each.name,
            *("" if figure is None else f"{figure.value:.6g}" for figure in (each.row, each.again)),
            f"{each.tolerance:.2g}",
            "agrees" if each.agrees else "DIFFERS",
        ]
        for each in found
    ]
    return tabulate(
        lines,
        headers=["Figure", "Row", "Again", "Tolerance", ""],
        colalign=["left", "right", "right", "right", "left"],
        disable_numparse=True,
    )


def _plain(value: Any) -> Any:
    """Return a default as a row holds it: tuples as lists."""
    return list(value) if isinstance(value, tuple) else value
