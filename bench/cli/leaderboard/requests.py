"""`starbench leaderboard submit` and `review`: pull requests with rows."""

from pathlib import Path

import click

from starbench.cli.commands import Command, UserPath, option
from starbench.cli.errors import Failure
from starbench.cli.leaderboard.shared import cached_tasks, installed_method


@click.command(
    cls=Command,
    loads="starbench.leaderboard.store.board",
    example="starbench leaderboard submit runs/apogee-giants/my-method/0-ced64dfee2 \\\n"
    "    --repository git@github.com:me/starbench.git",
)
@click.argument("runs", metavar="ROW...", nargs=-1, required=True, type=UserPath(path_type=Path))
@option(
    "--repository",
    metavar="URL",
    required=True,
    help="Git repository to which you may push, such as your fork of starbench.",
)
@option(
    "--base",
    default="main",
    show_default=True,
    metavar="BRANCH",
    help="Branch that the pull request asks to change.",
)
def submit(runs: tuple[Path, ...], repository: str, base: str) -> None:
    """Push a branch with rows, and print the text of its pull request.

    ROW is the folder of a run, or the file of a row with its ranks beside it. The branch is made in
    a clone of its own: the rows, checked as `add` checks them, and the generated files. Prints what
    else belongs to the pull request, such as where the method's code can be fetched.
    """
    from starbench.leaderboard.requests.submission import submit as push

    made = push(runs, repository, base, get_task=cached_tasks(), installed_method=installed_method)
    click.echo(f"Pushed {made.branch} to {repository}\n")
    click.echo(f"Open a pull request to {base} with this title and text:\n\n{made.title}\n")
    click.echo(made.text)
    for sentence in made.also:
        click.echo(f"Also belongs to it: {sentence}")


@click.command(
    cls=Command,
    loads="starbench.leaderboard.store.board",
    example="starbench leaderboard review main pull-request",
)
@click.argument("base", metavar="BASE")
@click.argument("head", metavar="HEAD")
@option(
    "--repository",
    type=UserPath(path_type=Path, exists=True, file_okay=False),
    default=Path(),
    show_default="the current folder",
    metavar="DIR",
    help="Clone of starbench at BASE, which has the commits of HEAD.",
)
def review(base: str, head: str, repository: Path) -> None:
    """Check a pull request with rows without running any of its code.

    BASE and HEAD are branches or commits. The files of HEAD are read from git, never checked out,
    and the installed starbench, which should be that of BASE, reads them as data. Exits with 1 if
    the pull request is refused.
    """
    from starbench.leaderboard.requests.review import review as check
    from starbench.results.text import printable

    found = check(
        repository.resolve(),
        base,
        head,
        get_task=cached_tasks(),
        installed_method=installed_method,
    )
    for sentence in found.flags:
        click.echo(f"flagged  {printable(sentence)}")
    for sentence in found.faults:
        click.echo(f"refused  {printable(sentence)}")
    if found.faults:
        raise Failure("The pull request is refused; see above.")
    rows = f"{len(found.rows)} row{'' if len(found.rows) == 1 else 's'}"
    click.echo(f"{rows} to add; a reader still has to look at the method's code.")
