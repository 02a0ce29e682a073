"""`starbench leaderboard`: the board's rows and pages, comparisons, checks and pull requests."""

import click

from starbench.cli.commands import Group
from starbench.cli.leaderboard.board import add, build, site
from starbench.cli.leaderboard.checks import confirm, reproduce, verify
from starbench.cli.leaderboard.comparison import compare, suite
from starbench.cli.leaderboard.requests import review, submit


@click.group(cls=Group, example="starbench leaderboard compare fader factordis")
def leaderboard() -> None:
    """Add, verify and compare rows; generate the pages."""


for command in (add, build, site, compare, suite, verify, reproduce, confirm, submit, review):
    leaderboard.add_command(command)
