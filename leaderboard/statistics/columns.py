"""The columns of the leaderboard's tables: what each shows of a run, and how it is formatted.

A metric's label, direction and unit come from its definition in `starbench.metrics`; a column adds
only the number format, and summaries over several metrics.
"""

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from functools import partial

from starbench.metrics import METRICS, Metric, family
from starbench.results.schema import Row


def percent(share: float, digits: int | None = None) -> str:
    """Write a share as a percentage, without the percent sign, and no minus sign before zero.

    Parameters
    ----------
    share : float
    digits : int, optional
        By default those of `share_digits`.

    Examples
    --------
    >>> percent(0.6071), percent(0.9998), percent(1.0), percent(-0.0002)
    ('60.7', '99.98', '100.0', '0.0')
    """
    return f"{100 * share:z.{share_digits(share) if digits is None else digits}f}"


def share_digits(share: float, *widths: float) -> int:
    """Return the number of decimals of a percentage: one, or more where needed.

    Parameters
    ----------
    share : float
        Only shares of 0 and 1 read as 0 and 100 %.
    *widths : float
        Widths of intervals, or deviations: two decimals where one is below half a point.

    Examples
    --------
    >>> share_digits(0.607), share_digits(0.607, 0.004), share_digits(0.99996)
    (1, 2, 3)
    """
    digits = 2 if any(0 < width < 0.005 for width in widths) else 1
    while 0 < share < 1 and digits < 6 and float(f"{100 * share:.{digits}f}") in (0, 100):
        digits += 1
    return digits


def scientific(value: float) -> str:
    """Write a number with two digits and a power of ten.

    Examples
    --------
    >>> scientific(2.24e-06)
    '2.2e-6'
    """
    digits, _, exponent = f"{value:.1e}".partition("e")
    return f"{digits}e{int(exponent)}"


def two_decimals(value: float) -> str:
    """Write a number with two decimals, and no minus sign before zero.

    Examples
    --------
    >>> two_decimals(-0.001)
    '0.00'
    """
    return f"{value:z.2f}"


def signed_points(difference: float, digits: int = 2) -> str:
    """Write a difference of shares in points of a percentage, with its sign; zero has a plus.

    Examples
    --------
    >>> signed_points(0.0123), signed_points(-0.5, digits=1), signed_points(-0.00001)
    ('+1.23', '-50.0', '+0.00')
    """
    return f"{100 * difference:+z.{digits}f}"


def one_decimal(value: float) -> str:
    """Write a number with one decimal, and no minus sign before zero."""
    return f"{value:z.1f}"


@dataclass(frozen=True)
class FormattedValue:
    """A value as text.

    Attributes
    ----------
    value, deviation, interval : str
        Empty where there is none; the interval without its brackets.
    """

    value: str
    deviation: str
    interval: str


@dataclass(frozen=True)
class Column:
    """A quantity of the leaderboard's tables.

    Attributes
    ----------
    key : str
        Metric name, or the name of a summary over several metrics.
    title : str
        With the unit of the numbers, if they have one.
    write : callable
        From a value to its text.
    higher_is_better : bool
    meaning : str
        What the column shows, in Markdown.
    later : bool
        Whether rows of the first release lack it.
    """

    key: str
    title: str
    write: Callable[[float], str]
    higher_is_better: bool
    meaning: str
    later: bool = False

    @property
    def heading(self) -> str:
        """The title on several lines, for the terminal."""
        return re.sub(" (?!%)", "\n", self.title)

    def formatted(
        self,
        value: float,
        deviation: float | None = None,
        interval: tuple[float, float] | None = None,
    ) -> FormattedValue:
        """Write a value, its deviation and its interval; shares to the same number of digits."""
        write = self.write
        if write is percent:
            widths = [] if deviation is None else [10 * deviation]
            widths += [] if interval is None else [interval[1] - interval[0]]
            write = partial(percent, digits=share_digits(value, *widths))
        return FormattedValue(
            write(value),
            "" if deviation is None else write(deviation),
            "" if interval is None else ", ".join(map(write, interval)),
        )


def _format(metric: Metric) -> tuple[str, Callable[[float], str]]:
    """Return the unit in a column's title, and how its numbers are formatted."""
    match metric.unit:
        case "share of stars" | "share of pairs":
            return " [%]", percent
        case "flux^2":
            return "", scientific
    return "", two_decimals


def _metric_column(key: str) -> Column:
    metric = METRICS[key]
    unit, write = _format(metric)
    meaning, title = f"`{key}`.", metric.label + unit
    return Column(key, title, write, metric.higher_is_better, meaning, metric.later)


def _summary_column(key: str, family: str, summary: str) -> Column:
    metric = METRICS[family]
    unit, write = _format(metric)
    meaning, title = f"`{family}`, {summary}.", metric.label + unit
    return Column(key, title, write, metric.higher_is_better, meaning, metric.later)


LEAKAGE, RECOVERY = "nuisance_leakage.mlp", "composition_recovery.mlp"
CONDITIONAL = "conditional_leakage.mlp"

COLUMNS = (
    _metric_column("doppelganger_free"),
    _metric_column("doppelganger_0.1"),
    _metric_column("doppelganger_1"),
    _metric_column("alike_field_pairs"),
    _metric_column("reconstruction_mse"),
    _metric_column("swapped_reconstruction_mse"),
    _summary_column("leakage", LEAKAGE, "the largest over the nuisance factors"),
    _summary_column("conditional_leakage", CONDITIONAL, "the largest over the nuisance factors"),
    _metric_column("explained_twin_distance"),
    _summary_column("recovery", RECOVERY, "the mean over the abundances"),
    Column(
        "minutes",
        "Minutes",
        one_decimal,
        False,
        "wall time of fitting and scoring; machines differ between rows.",
    ),
)


def column_values(values: Mapping[str, float]) -> dict[str, float]:
    """Return the value of each column that metrics give, by column key.

    Parameters
    ----------
    values : mapping of str to float
        Metric values by name.

    Examples
    --------
    >>> column_values({"nuisance_leakage.mlp.Teff": 0.25, "nuisance_leakage.mlp.log g": 0.5})
    {'leakage': 0.5}

    Stars too few for the network probe:

    >>> column_values({"nuisance_leakage.ridge.Teff": 0.125})
    {'leakage': 0.125}
    """
    by_column = {column.key: values[column.key] for column in COLUMNS if column.key in values}
    for key, network in (("leakage", LEAKAGE), ("conditional_leakage", CONDITIONAL)):
        if leakage := _of_probes(values, network):
            by_column[key] = max(leakage)
    if recovery := _of_probes(values, RECOVERY):
        # Sorted, so that the last digit of the sum does not depend on the order in the file.
        by_column["recovery"] = sum(sorted(recovery)) / len(recovery)
    return by_column


def _of_probes(values: Mapping[str, float], network: str) -> list[float]:
    """Return what the network probe gives, or ridge regression where stars are too few for it."""
    for probe in (network, network.replace(".mlp", ".ridge")):
        found = [value for name, value in values.items() if name.startswith(f"{probe}.")]
        if found:
            return found
    return []


def by_ridge_alone(names: Collection[str]) -> bool:
    """Return whether the columns of the probes show ridge regression, by the metrics' names."""
    families = {family(name) for name in names}
    return "nuisance_leakage.ridge" in families and LEAKAGE not in families


def column_values_of_row(row: Row) -> dict[str, float]:
    """Return the value of each column that a row gives, by column key."""
    by_column = column_values({name: estimate.value for name, estimate in row.metrics.items()})
    if row.status == "ok":
        parts = [row.seconds[part] for part in ("fit", "score") if part in row.seconds]
        if parts or "total" in row.seconds:
            by_column["minutes"] = (sum(parts) if parts else row.seconds["total"]) / 60
    return by_column
