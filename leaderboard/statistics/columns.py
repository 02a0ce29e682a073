"""The columns of every leaderboard table: what each shows of a run, and how it is written."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

from starbench.results.schema import Row


def percent(share: float, digits: int | None = None) -> str:
    """Write a share as a percentage, without the sign.

    Parameters
    ----------
    share : float
    digits : int, optional
        By default those of `share_digits`.

    Examples
    --------
    >>> percent(0.6071), percent(0.9998), percent(1.0)
    ('60.7', '99.98', '100.0')
    """
    return f"{100 * share:.{share_digits(share) if digits is None else digits}f}"


def share_digits(share: float, *widths: float) -> int:
    """Return how many digits a percentage takes: one, or more where it would not say enough.

    Parameters
    ----------
    share : float
        Only none and all of the stars may read as 0 or 100 %.
    *widths : float
        Of an interval, or deviations: two digits where one is below half a point.

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
    return f"{round(value, 2) + 0.0:.2f}"


def one_decimal(value: float) -> str:
    """Write a number with one decimal."""
    return f"{value:.1f}"


@dataclass(frozen=True)
class Column:
    """A quantity of a leaderboard table.

    Attributes
    ----------
    key : str
        Metric name, or a name of the column's own where it sums up several.
    title : str
    heading : str
        The title where there is little room, in lines.
    write : callable
        From a value to its text.
    meaning : str
        For columns that are no metric of their own: what they sum up.
    """

    key: str
    title: str
    heading: str
    write: Callable[[float], str]
    meaning: str = ""

    def written(
        self,
        value: float,
        deviation: float | None = None,
        interval: tuple[float, float] | None = None,
    ) -> "Written":
        """Write a figure with its spread: a share, its deviation and interval to the same digit."""
        write = self.write
        if write is percent:
            spread = () if deviation is None else (10 * deviation,)
            spread += () if interval is None else (interval[1] - interval[0],)
            write = partial(percent, digits=share_digits(value, *spread))
        return Written(
            write(value),
            "" if deviation is None else write(deviation),
            "" if interval is None else ", ".join(map(write, interval)),
        )


@dataclass(frozen=True)
class Written:
    """A figure as text.

    Attributes
    ----------
    value, deviation, interval : str
        Empty where there is none; the interval without its brackets.
    """

    value: str
    deviation: str
    interval: str


COLUMNS = (
    Column("doppelganger_free", "Nearest [%]", "Nearest\n[%]", percent),
    Column("doppelganger_0.1", "Within 0.1 % [%]", "0.1 %\n[%]", percent),
    Column("doppelganger_1", "Within 1 % [%]", "1 %\n[%]", percent),
    Column("reconstruction_mse", "MSE", "MSE", scientific),
    Column("swapped_reconstruction_mse", "Swapped MSE", "Swapped\nMSE", scientific),
    Column(
        "leakage",
        "Nuisance leakage",
        "Nuisance\nleakage",
        two_decimals,
        "`nuisance_leakage.mlp`, the largest over the nuisance factors; lower is better.",
    ),
    Column(
        "recovery",
        "Composition recovery",
        "Compos.\nrecovery",
        two_decimals,
        "`composition_recovery.mlp`, the mean over the abundances; higher is better.",
    ),
    Column(
        "minutes",
        "Minutes",
        "Minutes",
        one_decimal,
        "Wall time of fitting and scoring on the machine of the run, which differs between rows.",
    ),
)


def figures_of(values: Mapping[str, float]) -> dict[str, float]:
    """Return the figures of the columns that metrics allow, by column key.

    Parameters
    ----------
    values : mapping of str to float
        Metric values by name.

    Examples
    --------
    >>> figures_of({"nuisance_leakage.mlp.Teff": 0.25, "nuisance_leakage.mlp.log g": 0.5})
    {'leakage': 0.5}
    """
    figures = {column.key: values[column.key] for column in COLUMNS if column.key in values}
    leakage = [value for name, value in values.items() if name.startswith("nuisance_leakage.mlp.")]
    recovery = [
        value for name, value in values.items() if name.startswith("composition_recovery.mlp.")
    ]
    if leakage:
        figures["leakage"] = max(leakage)
    if recovery:
        # Summed in one order, so that the mean's last digit does not hang on the order of the file.
        figures["recovery"] = sum(sorted(recovery)) / len(recovery)
    return figures


def figures_of_row(row: Row) -> dict[str, float]:
    """Return the figures of a row by column key; what the row does not have is absent."""
    figures = figures_of({name: figure.value for name, figure in row.metrics.items()})
    if row.status == "ok":
        parts = [row.seconds[part] for part in ("fit", "score") if part in row.seconds]
        if parts or "total" in row.seconds:
            figures["minutes"] = (sum(parts) if parts else row.seconds["total"]) / 60
    return figures
