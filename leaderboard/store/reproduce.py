"""Reproduction of a row: compare its ranks and metrics with those of a repeated run.

On equal hardware, with equal libraries and as many threads, a run gives the same rank for every
star and the same metrics, and anything else is not a reproduction. Elsewhere sums are rounded
differently, and training amplifies that until the run differs like one of another seed. Metrics
then agree if they differ by at most the tolerance that the metric declares
(`starbench.metrics.METRICS`) or half the width of the 95 % interval, whichever is larger. Both are
computed from the repeated run, so that an untrusted row does not set its own tolerance. Within it,
the stars that differ must not favour the row by more than chance allows
(`starbench.leaderboard.store.rank_changes`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from tabulate import tabulate

from starbench.leaderboard.store.checks import (
    check_data,
    check_fields,
    check_metrics,
    interval_of,
)
from starbench.leaderboard.store.rank_changes import LARGEST_EXCESS, RankChanges, rank_changes
from starbench.leaderboard.store.task import BoardTask
from starbench.methods.base import Method
from starbench.methods.registry import get_method
from starbench.metrics import METRICS, family, metric, recovery_estimates
from starbench.results.ranks import Ranks
from starbench.results.schema import Hardware, RecordedEstimate, Row
from starbench.results.text import RowError, printable
from starbench.runs.origin import method_code

_SAME = 1e-9  # tolerance of metrics that follow from the same ranks
_EQUAL = 1e-6  # relative tolerance of all others on equal hardware


def _tolerances() -> str:
    labels: dict[str, list[str]] = {}
    for each in METRICS.values():
        labels.setdefault(each.tolerance.meaning, []).append(each.label)
    declared = "; ".join(f"{meaning} ({', '.join(of)})" for meaning, of in labels.items())
    return (
        f"Tolerance: {_SAME:g} for metrics that follow from the same ranks; on equal hardware a "
        f"relative {_EQUAL:g}; otherwise {declared}; or half the 95 % interval where that is wider."
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

    @property
    def direction(self) -> str:
        """``"better"`` or ``"worse"`` as the row compares with the repeated run, or empty."""
        if self.row is None or self.again is None or self.row.value == self.again.value:
            return ""
        higher = self.row.value > self.again.value
        return "better" if higher == metric(self.name).higher_is_better else "worse"


@dataclass(frozen=True)
class Reproduction:
    """The comparison of a row with the repeated run.

    Attributes
    ----------
    metrics : list of Agreement
    ranks : RankChanges
    conditions : list of str
        What differs between the two runs and may change ranks; empty if they must be equal.
    """

    metrics: list[Agreement]
    ranks: RankChanges
    conditions: list[str]

    @property
    def fault(self) -> str | None:
        """Why the row is not reproduced, in a sentence; None if it is."""
        if not self.conditions and self.ranks.differing:
            return (
                f"The ranks of {self.ranks.differing:,} stars differ, although hardware, libraries "
                "and threads equal those of the row."
            )
        differing = [each.name for each in self.metrics if not each.agrees]
        if differing:
            return f"{len(differing)} of {len(self.metrics)} metrics differ: {differing[0]}."
        if self.ranks.excess > LARGEST_EXCESS:
            return (
                f"The row finds more twins than the repeated run by {self.ranks.excess:.1f} "
                f"standard errors, and chance allows {LARGEST_EXCESS:g}; repeat it on hardware "
                "that equals the row's."
            )
        return None


def compare(row: Row, ranks: Ranks, again: Row, ranks_again: Ranks) -> Reproduction:
    """Compare a row and its ranks with those of the repeated run."""
    conditions = differing_conditions(row, again)
    return Reproduction(
        agreements(row, again, ranks_again, equal=not conditions),
        rank_changes(ranks, ranks_again),
        conditions,
    )


class Made(Protocol):
    """A row, or another record of a machine and its libraries."""

    @property
    def hardware(self) -> Hardware:
        """The machine."""

    @property
    def libraries(self) -> dict[str, str]:
        """Versions by name."""


def differing_conditions(row: Made, again: Made) -> list[str]:
    """Return what differs between two runs of one setting and may change their rounding."""
    ours, theirs = row.hardware, again.hardware
    if not (ours.instruction_sets and ours.linear_algebra):
        return ["the row does not say which instruction sets made it"]
    if ours.device != "cpu" or theirs.device != "cpu":
        return ["accelerators do not add in a fixed order"]
    conditions = [
        f"{name.replace('_', ' ')}: {getattr(ours, name)} in the row, {getattr(theirs, name)} here"
        for name in ("processor", "processor_model", "instruction_sets", "linear_algebra",
                     "threads", "system")
        if getattr(ours, name) != getattr(theirs, name)
    ]  # fmt: skip
    for name in sorted({*row.libraries, *again.libraries}):
        before, now = row.libraries.get(name), again.libraries.get(name)
        if before != now:
            conditions.append(f"{name}: {before} in the row, {now} here")
    return conditions


def tolerance(name: str, estimate: RecordedEstimate) -> float:
    """Return by how much a row may differ from an estimate made on another machine."""
    low, high = interval_of(estimate) or (0.0, 0.0)
    return max(metric(name).tolerance.allowed(estimate.value), (high - low) / 2)


def agreements(
    row: Row, again: Row, ranks: Ranks | None = None, *, equal: bool = False
) -> list[Agreement]:
    """Compare each metric of a row with that of the repeated run.

    Parameters
    ----------
    row, again : Row
        Both scored.
    ranks : Ranks, optional
        Of the repeated run; needed to know which metrics follow from them.
    equal : bool
        Whether both were made on equal hardware, where metrics must be equal.

    Returns
    -------
    list of Agreement
        In the order of the metrics' definitions. Later metrics, of which a row of an older release
        has none, are left out.
    """
    same = row.ranks_sha256 == again.ranks_sha256
    from_ranks = () if ranks is None or not same else recovery_estimates(ranks.measured())
    order = {name: number for number, name in enumerate(METRICS)}
    older = not any(metric(name).later for name in row.metrics)
    names = sorted(
        {*row.metrics, *(name for name in again.metrics if not (older and metric(name).later))},
        key=lambda name: (order.get(family(name)), name),
    )
    compared = []
    for name in names:
        estimate = again.metrics.get(name)
        if estimate is None:
            allowed = 0.0
        elif name in from_ranks:
            allowed = _SAME
        else:
            allowed = _EQUAL * abs(estimate.value) if equal else tolerance(name, estimate)
        compared.append(Agreement(name, row.metrics.get(name), estimate, allowed))
    return compared


def method_to_run(row: Row, method: str | None) -> type[Method]:
    """Return the class with which a row is checked.

    Parameters
    ----------
    row : Row
    method : str or None
        What the user names, such as ``PATH.py:CLASS``; None for the installed method of the row.

    Raises
    ------
    RowError
        If the row's method was given as a file: a row may not choose what code runs.
    SettingError
        If there is no such method.
    """
    if method is None and row.given.method is not None:
        fetch = "" if row.declared.code is None else f" Its code: {printable(row.declared.code)}."
        raise RowError(
            f"The row's method was given as {printable(row.given.method)}; give that file with "
            f"--method.{fetch}"
        )
    return get_method(method or row.method)


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
    code = method_code(method)
    if row.code is not None and (code is None or code.sha256 != row.code.sha256):
        here = "is starbench's own" if code is None else f"has {code.sha256}"
        raise RowError(
            f"{name}: field `code.sha256` is {row.code.sha256}, but the {method.name} given "
            f"{here}; restore the code that made the row"
        )
    check_data(row, None, name, task)
    check_metrics(row.metrics, name)
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
            f"`{printable(row.command)}`"
        )
    if row.status == "failed":
        raise RowError(
            f"{name}: field `status` is failed, so the row has no metrics to reproduce; name a row "
            "whose run ended"
        )


def agreement_table(compared: Sequence[Agreement]) -> str:
    """Return the comparison as a table for the terminal."""
    lines = [
        [
            each.name,
            *(
                "" if estimate is None else f"{estimate.value:.6g}"
                for estimate in (each.row, each.again)
            ),
            each.direction,
            f"{each.tolerance:.2g}",
            "agrees" if each.agrees else "DIFFERS",
        ]
        for each in compared
    ]
    return tabulate(
        lines,
        headers=["Metric", "Row", "Repeated", "The row is", "Tolerance", ""],
        colalign=["left", "right", "right", "left", "right", "left"],
        disable_numparse=True,
    )
