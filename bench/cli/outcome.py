"""What the commands that make a row say of it."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from starbench.results.schema import Row


def say_outcome(row: "Row", folder: Path) -> None:
    """Print a row as a table, with its remarks, its files and how it gets on the leaderboard."""
    from starbench.leaderboard.pages.names import remarks
    from starbench.leaderboard.pages.terminal import table_for_run
    from starbench.tasks.registry import BUILT_IN

    click.echo(table_for_run(row))
    if row.message:
        click.echo(f"\nRemark       {row.message}")
    if said := remarks(row):
        click.echo(f"\nIn the row   {'; '.join(said)}")
    click.echo(f"\nFiles        {folder}")
    if row.seconds:  # none of predictions, whose fit was elsewhere
        click.echo(f"Wall time    {_wall_time(row)}")
    if row.scale == "full" and row.task in BUILT_IN:
        click.echo(f"Leaderboard  starbench leaderboard add {folder}")
    else:
        click.echo("Leaderboard  accepts only standard tasks at --scale full")


def _wall_time(row: "Row") -> str:
    """Return how long a run took, its memory, and how many others slowed it down."""
    said = ", ".join(f"{name} {row.seconds[name]:.0f} s" for name in ("data", "fit", "score"))
    if row.peak_memory_mb is not None:
        said += f"; peak memory {row.peak_memory_mb / 1e3:.1f} GB"
    others = 0 if row.load is None else row.load.runs_at_once - 1
    if others:
        said += f"; {others} other run{'s' if others > 1 else ''} on the machine"
    return said
