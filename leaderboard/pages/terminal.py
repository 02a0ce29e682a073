"""The table at the end of a run: its row next to the leaderboard and published values."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from tabulate import tabulate

from starbench.leaderboard.statistics.aggregate import sections
from starbench.leaderboard.statistics.columns import (
    COLUMNS,
    by_ridge_alone,
    column_values,
    column_values_of_row,
)
from starbench.leaderboard.store.board import Entry, load, shipped_directory
from starbench.leaderboard.store.published import published_results
from starbench.metrics import METRICS
from starbench.metrics.probes import LEAST_PAIRS_OF_NETWORK
from starbench.results.schema import Row
from starbench.results.text import RowError

SMALL = ("mini", "tiny")


def table_for_run(row: Row, directory: Path | None = None) -> str:
    """Return a run's row as a table for the terminal, beside the rows to compare it with.

    Parameters
    ----------
    row : Row
    directory : pathlib.Path, optional
        The leaderboard's folder; by default the one that ships with starbench.

    Returns
    -------
    str
    """
    try:
        entries = load(directory or shipped_directory(), checked=False)
        note = ""
    except RowError as error:  # a broken leaderboard must not hide the run's own results
        entries, note = [], f"\nThe leaderboard's rows are omitted: {error}."
    own = [
        _line(f"> {row.method}", f"seed {row.seed}", column_values_of_row(row)),
        # The interval says which differences to the lines below are significant.
        _interval_end("> 95 % interval from", row, "low"),
        _interval_end(">              to", row, "high"),
    ]
    lines = own + _leaderboard_lines(row, entries)
    for line in published_results():
        if line.task == row.task:
            name = f"{line.method}; {line.source}"
            lines.append(_line(name, "published", column_values(line.values)))
    table = tabulate(
        lines,
        headers=["Method", "Seeds", *(column.heading for column in COLUMNS)],
        colalign=["left", "left", *["right"] * len(COLUMNS)],
        maxcolwidths=[30, None, *[None] * len(COLUMNS)],
        disable_numparse=True,
    )
    scale = row.scale if row.scale == "own" else f"{row.scale} scale"
    if row.scale in SMALL and len(lines) > len(own):
        note += (
            f"\nAt {row.scale} scale twins are easier to find, among fewer stars; the other lines "
            "are at full scale."
        )
    if by_ridge_alone(row.metrics):
        note += (
            "\nLeakage and recovery are those of ridge regression; the network probe gave none "
            f"(it needs {LEAST_PAIRS_OF_NETWORK} training pairs)."
        )
    return f"{row.task}, version {row.task_version}, {scale}\n\n{table}{note}"


def _line(name: str, described: str, values: Mapping[str, float]) -> list[str]:
    cells = [column.write(values[column.key]) if column.key in values else "" for column in COLUMNS]
    return [name, described, *cells]


def _interval_end(name: str, row: Row, end: str) -> list[str]:
    """Return the line of one end of the intervals; summaries of several metrics have none."""
    ends = {key: getattr(estimate, end) for key, estimate in row.metrics.items() if key in METRICS}
    return _line(name, "", {key: value for key, value in ends.items() if value is not None})


def _leaderboard_lines(row: Row, entries: Sequence[Entry]) -> list[list[str]]:
    """Return the lines of the newest section of the row's task: means over seeds."""
    # Small runs are also shown next to the full-scale rows, as a reference.
    of_task = [
        section
        for section in sections(entries)
        if (section.task, section.task_version) == (row.task, row.task_version)
    ]
    return [
        _line(group.label, _seeds(len(group.entries)), group.mean)
        for section in of_task[:1]
        for group in section.groups
        if not section.superseded(group)
    ]


def _seeds(count: int) -> str:
    return f"{count} seed" if count == 1 else f"{count} seeds"
