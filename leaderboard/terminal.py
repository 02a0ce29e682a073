"""The table that a run ends with: its row beside the leaderboard and the published figures."""

from collections.abc import Sequence
from pathlib import Path

from tabulate import tabulate

from starbench.leaderboard.aggregate import sections
from starbench.leaderboard.board import Entry, load
from starbench.leaderboard.columns import COLUMNS, Column, figures_of, figures_of_row
from starbench.leaderboard.published import published_figures
from starbench.leaderboard.render import seeds, spread
from starbench.metrics import METRICS
from starbench.results import Row, RowError


def table_for_run(row: Row, directory: Path | None = None) -> str:
    """Return a run's row as a table for the terminal, beside what there is to compare it with.

    Parameters
    ----------
    row : Row
    directory : pathlib.Path, optional
        The leaderboard; by default the one that lies with the installed package, if any.

    Returns
    -------
    str
    """
    try:
        entries = load(directory or Path(__file__).parent, checked=False)
        note = ""
    except RowError as error:  # a broken leaderboard should not cost the user the run's own figures
        entries, note = [], f"\nThe leaderboard's rows are left out: {error}."
    lines = [_line(f"> {row.method}", f"seed {row.seed}", figures_of_row(row), COLUMNS)]
    # The interval says how much of a difference to the lines below is chance.
    lines.append(_interval(row))
    lines += _standing(row, entries)
    for line in published_figures():
        if line.task == row.task:
            name = f"{line.method}; {line.source}"
            lines.append(_line(name, "published", figures_of(line.figures), COLUMNS))
    table = tabulate(
        lines,
        headers=["Method", "Seeds", *(column.title for column in COLUMNS)],
        colalign=["left", "left", *["right"] * len(COLUMNS)],
        maxcolwidths=[34, None, *[None] * len(COLUMNS)],
        disable_numparse=True,
    )
    scale = row.scale if row.scale == "own" else f"{row.scale} scale"
    return f"{row.task}, version {row.task_version}, {scale}\n\n{table}{note}"


def _line(
    name: str, described: str, figures: dict[str, float], columns: Sequence[Column]
) -> list[str]:
    cells = [
        column.write(figures[column.key]) if column.key in figures else "" for column in columns
    ]
    return [name, described, *cells]


def _interval(row: Row) -> list[str]:
    cells = ["  95 % interval", ""]
    for column in COLUMNS:
        figure = row.metrics.get(column.key) if column.key in METRICS else None
        known = figure is not None and figure.low is not None
        cells.append(f"{column.write(figure.low)}-{column.write(figure.high)}" if known else "")
    return cells


def _standing(row: Row, entries: Sequence[Entry]) -> list[list[str]]:
    """Return the lines of the leaderboard that were judged on the same data as the row."""
    # A small run is shown beside the full rows too: they say where its method should end up.
    found = [section for section in sections(entries) if section.task == row.task]
    same = [section for section in found if section.task_version == row.task_version]
    return [
        [
            group.label,
            seeds(group) + " on leaderboard",
            *(spread(group, column) for column in COLUMNS),
        ]
        for section in same[:1]
        for group in section.groups
    ]
