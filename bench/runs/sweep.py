"""Sweeps: lists of runs from options, and a table of their results."""

import itertools
from collections.abc import Iterable
from typing import NamedTuple

from tabulate import tabulate

from starbench.common.settings import SettingError, split_setting
from starbench.metrics import METRICS
from starbench.results.schema import Row

MAX_RUNS = 1000
# Metrics of the table, and how each is formatted.
_COLUMNS = {
    "doppelganger_free": ".1%",
    "doppelganger_1": ".1%",
    "swapped_reconstruction_mse": ".2e",
}


class Job(NamedTuple):
    """One run of a sweep."""

    task_name: str
    settings: tuple[str, ...]
    seed: int


def parse_seeds(text: str) -> tuple[int, ...]:
    """Return the seeds of a list such as ``0-4`` or ``0,3,7-9``.

    Raises
    ------
    SettingError
        If `text` is not such a list, or a range has too many seeds.

    Examples
    --------
    >>> parse_seeds("0,3,7-9")
    (0, 3, 7, 8, 9)
    """
    seeds: dict[int, None] = {}
    for part in text.split(","):
        low, dash, high = part.strip().partition("-")
        if not low.isdecimal() or (dash and not high.isdecimal()):
            raise SettingError(f"--seeds must be a list such as 0-4 or 0,3,7, but got '{text}'.")
        last = int(high) if dash else int(low)
        if not 0 <= last - int(low) < MAX_RUNS:
            raise SettingError(
                f"--seeds must list increasing ranges of at most {MAX_RUNS} seeds, not '{part}'."
            )
        seeds |= dict.fromkeys(range(int(low), last + 1))
    return tuple(seeds)


def _split_values(text: str) -> list[str]:
    """Split at the commas outside brackets, so that a tuple stays one value."""
    values, depth = [""], 0
    for character in text:
        depth += (character in "([") - (character in ")]")
        if character == "," and depth == 0:
            values.append("")
        else:
            values[-1] += character
    return values


def combinations(
    task_names: Iterable[str], settings: Iterable[str], seeds: Iterable[int]
) -> list[Job]:
    """Return a job for every task, combination of listed values, and seed.

    Examples
    --------
    >>> [job.settings for job in combinations(["a"], ["epochs=2,3", "widths=(8,4)"], [0])]
    [('epochs=2', 'widths=(8,4)'), ('epochs=3', 'widths=(8,4)')]
    """
    choices = []
    for setting in settings:
        key, values = split_setting(setting)
        choices.append([f"{key}={value}" for value in _split_values(values)])
    return [
        Job(task, chosen, seed)
        for task, chosen, seed in itertools.product(task_names, itertools.product(*choices), seeds)
    ]


def summary_table(results: list[tuple[Job, Row]]) -> str:
    """Return a table of the main metrics, one line per run."""
    lines = []
    for job, row in results:
        line = {
            "task": row.task,
            "settings": " ".join(job.settings) or "defaults",
            "seed": job.seed,
            "status": row.status,
        }
        for name, form in _COLUMNS.items():
            estimate = row.metrics.get(name)
            line[METRICS[name].label] = "" if estimate is None else f"{estimate.value:{form}}"
        line["fit [s]"] = f"{row.seconds.get('fit', 0):.0f}"
        lines.append(line)
    return tabulate(lines, headers="keys", disable_numparse=True)
