"""`starbench leaderboard compare` and `suite`: which method is better, and where."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from starbench.cli.commands import Command, option
from starbench.cli.leaderboard.shared import read_directory

if TYPE_CHECKING:
    from collections.abc import Sequence

    from starbench.leaderboard.statistics.suite_scores import SuiteScores
    from starbench.leaderboard.store.board import Entry


@click.command(
    cls=Command,
    loads="starbench.leaderboard.store.board",
    example="starbench leaderboard compare fader factordis\n"
    "starbench leaderboard compare fader hsic --task apogee-giants-snr50\n"
    "starbench leaderboard compare fader conditional-autoencoder --task giants-v1",
)
@click.argument("a", metavar="A")
@click.argument("b", metavar="B")
@option(
    "--task",
    default="apogee-giants",
    show_default=True,
    metavar="TASK",
    help="Task on which to compare them, or suite.",
)
@option(
    "--metric",
    type=click.Choice(["doppelganger_free", "doppelganger_0.1", "doppelganger_1"]),
    default="doppelganger_free",
    show_default=True,
    help="The share of stars to compare: twin nearest, within 0.1 %, or within 1 %.",
)
@read_directory
def compare(a: str, b: str, task: str, metric: str, directory: Path | None) -> None:
    """Compare two methods on the same stars.

    A and B are names of methods on the leaderboard. Prints the difference of their shares with its
    95 % interval, and the difference in five equal bins of each label; < marks the largest. On a
    suite, such as giants-v1, prints the difference of their suite scores, and the gap that each
    closes on every track.
    """
    from starbench.common.progress import stage
    from starbench.leaderboard.pages.comparison import comparison_text, suite_comparison_text
    from starbench.leaderboard.statistics.compare import choose
    from starbench.leaderboard.statistics.suite_remarks import choose_lines
    from starbench.leaderboard.store import board
    from starbench.leaderboard.store.task import installed_task
    from starbench.tasks.suites import SUITES

    folder = directory or board.readable_directory(Path.cwd())
    entries = board.load(folder, task=None if task in SUITES else task)
    with stage("compare"):
        if task in SUITES:
            scores = _scores(entries, task)
            text = suite_comparison_text(choose_lines(scores, a, b), scores)
        else:
            text = comparison_text(choose(entries, a, b, task), metric, installed_task(task))
    click.echo(text)


@click.command(
    cls=Command,
    loads="starbench.leaderboard.store.board",
    example="starbench leaderboard suite",
)
@click.argument("name", metavar="[SUITE]", default="giants-v1")
@read_directory
def suite(name: str, directory: Path | None) -> None:
    """Show the methods on all tracks of a suite.

    SUITE is giants-v1 by default. Prints each method's share of nearest twins on every track and,
    where it has them all, its score with the 95 % interval.
    """
    from starbench.common.progress import stage
    from starbench.leaderboard.pages.suite_table import suite_text
    from starbench.leaderboard.store import board

    entries = board.load(directory or board.readable_directory(Path.cwd()))
    with stage("score the suite"):
        text = suite_text(_scores(entries, name))
    click.echo(text)


def _scores(entries: "Sequence[Entry]", name: str) -> "SuiteScores":
    from starbench.leaderboard.statistics.aggregate import sections
    from starbench.leaderboard.statistics.suite import score_suite
    from starbench.tasks.suites import get_suite

    return score_suite(get_suite(name), sections(entries))
