"""The text at the end of a run: its figures, and the rows of the same label access and scale."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from textwrap import fill

from tabulate import tabulate

from starbench.leaderboard.statistics.aggregate import sections
from starbench.leaderboard.statistics.columns import (
    COLUMNS,
    by_ridge_alone,
    column_values,
    column_values_of_row,
)
from starbench.leaderboard.store.board import Entry, load, shipped_directory
from starbench.leaderboard.store.checks import interval_of
from starbench.leaderboard.store.published import published_results
from starbench.metrics import METRICS
from starbench.metrics.probes import LEAST_PAIRS_OF_NETWORK
from starbench.results.schema import Row
from starbench.results.text import RowError

# What is compared, so that a line has at most `WIDTH` characters.
_COMPARED = (
    "doppelganger_free",
    "doppelganger_0.1",
    "doppelganger_1",
    "swapped_reconstruction_mse",
    "leakage",
)
_NAME_WIDTH = 28
WIDTH = 80
_BOARD = "leaderboard/LEADERBOARD.md, or `starbench leaderboard site`"
_SMALL = {
    "mini": "The scale mini is for trying a command or a new method in a minute or two",
    "tiny": "The scale tiny is for tests",
}


def table_for_run(row: Row, directory: Path | None = None) -> str:
    """Return a run's figures for the terminal, and the rows of its label access and scale.

    Parameters
    ----------
    row : Row
    directory : pathlib.Path, optional
        The leaderboard's folder; by default the one that ships with starbench.

    Returns
    -------
    str
        Lines of at most `WIDTH` characters, but for errors.
    """
    scale = row.scale if row.scale == "own" else f"{row.scale} scale"
    parts = [
        f"{row.method} on {row.task}, version {row.task_version}, {scale}, seed {row.seed}",
        _figures(row),
    ]
    if by_ridge_alone(row.metrics):
        parts.append(
            fill(
                "Leakage and recovery are those of ridge regression; the network probe gave none "
                f"(it needs {2 * LEAST_PAIRS_OF_NETWORK} training spectra).",
                WIDTH,
            )
        )
    if row.scale in _SMALL:
        parts.append(
            fill(
                f"{_SMALL[row.scale]}. Compare its figures only with others of the same scale: "
                "among fewer stars a twin is found more easily, and networks learn from fewer "
                f"spectra. Rows at full scale: {_BOARD}.",
                WIDTH,
            )
        )
    elif row.scale == "full":
        parts.append(_compared(row, directory))
    return "\n\n".join(part for part in parts if part)


def _figures(row: Row) -> str:
    """Return every column of the leaderboard for the row, one a line, with its interval."""
    values = column_values_of_row(row)
    lines = []
    for column in COLUMNS:
        if column.key not in values:
            continue
        # Summaries over several metrics have no interval.
        interval = interval_of(row.metrics[column.key]) if column.key in METRICS else None
        shown = column.formatted(values[column.key], interval=interval)
        lines.append([column.title, shown.value, shown.interval.replace(", ", " to ")])
    return tabulate(
        lines,
        headers=["", "value", "95 % interval"],
        colalign=["left", "right", "left"],
        disable_numparse=True,
    )


def _compared(row: Row, directory: Path | None) -> str:
    """Return the newest rows of the same task, scale and label access, as means over seeds."""
    try:
        entries = load(directory or shipped_directory(), checked=False, task=row.task)
        note = ""
    except RowError as error:  # a broken leaderboard must not hide the run's own results
        entries, note = [], f"\n\nThe leaderboard's rows are omitted: {error}."
    others = _leaderboard_lines(row, entries)
    for line in published_results():
        if (line.task, line.label_access) == (row.task, row.label_access):
            name = f"{line.method} (published: {line.source})"
            others.append(_line(name, "", column_values(line.values)))
    if not others:
        return note.strip()
    lines = [
        ["Method", "Seeds", *(column.heading for column in COLUMNS if column.key in _COMPARED)],
        _line(f"> {row.method}, this run", "1", column_values_of_row(row)),
        *others,
    ]
    # The headings are a row: tabulate would widen the columns of its own.
    table = tabulate(
        lines,
        tablefmt="plain",
        colalign=["left", "right", *["right"] * len(_COMPARED)],
        maxcolwidths=[_NAME_WIDTH, None, *[None] * len(_COMPARED)],
        disable_numparse=True,
    )
    return (
        f"Label access {row.label_access}, means over seeds; other label access and intervals:\n"
        f"{_BOARD}\n\n{table}{note}"
    )


def _line(name: str, seeds: str, values: Mapping[str, float]) -> list[str]:
    shown = [column for column in COLUMNS if column.key in _COMPARED]
    cells = [column.write(values[column.key]) if column.key in values else "" for column in shown]
    return [name, seeds, *cells]


def _leaderboard_lines(row: Row, entries: Sequence[Entry]) -> list[list[str]]:
    """Return the lines of the newest section of the row's task and scale."""
    of_task = [
        section
        for section in sections(entries)
        if (section.task, section.task_version, section.scale)
        == (row.task, row.task_version, row.scale)
    ]
    return [
        _line(f"{group.label}, {group.level}", str(len(group.entries)), group.mean)
        for section in of_task[:1]
        for group in section.groups
        if group.row.label_access == row.label_access and not section.superseded(group)
    ]
