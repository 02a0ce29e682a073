"""`starbench leaderboard add`, `build` and `site`: rows on the board, and its pages."""

from functools import partial
from pathlib import Path

import click

from starbench.cli.commands import Command, UserPath, option
from starbench.cli.errors import Failure
from starbench.cli.leaderboard.shared import (
    cached_tasks,
    installed_method,
    read_directory,
    written_directory,
)
from starbench.cli.options import quiet_option


@click.command(
    cls=Command,
    loads="starbench.leaderboard.store.board",
    example="starbench leaderboard add runs/apogee-giants/my-method/0-ced64dfee2",
)
@click.argument("runs", metavar="RUN...", nargs=-1, required=True, type=UserPath(path_type=Path))
@option("--replace", is_flag=True, help="Replace an existing row of the same run.")
@option("--allow-dirty", is_flag=True, help="Accept rows made by code with uncommitted changes.")
@quiet_option
@written_directory
def add(
    runs: tuple[Path, ...],
    replace: bool,
    allow_dirty: bool,
    quiet: bool,
    directory: Path | None,
) -> None:
    """Check rows and add them to the leaderboard.

    If one is refused, none is added. RUN is the folder of a run, or the file of a row with its
    ranks beside it.
    """
    from starbench.common.progress import bar
    from starbench.leaderboard.store import board
    from starbench.leaderboard.store.verify import equal_ranks
    from starbench.results.schema import read_row

    folder = directory or board.find_directory(Path.cwd())
    paths = board.add(
        bar(runs, label="check", unit="rows", quiet=quiet),
        folder,
        replace=replace,
        allow_dirty=allow_dirty,
        get_task=cached_tasks(),
        installed_method=installed_method,
    )
    for path in paths:
        click.echo(f"added {path.name}")
    tasks = sorted({read_row(path).task for path in paths})
    of_tasks = (path for task in tasks for path in board.row_paths(folder, task))
    for sentence in equal_ranks((path, read_row(path)) for path in of_tasks):
        click.echo(f"flagged: {sentence}")
    click.echo("Next: starbench leaderboard build")


@click.command(
    cls=Command,
    loads="starbench.leaderboard.store.board",
    example="starbench leaderboard build\nstarbench leaderboard build --check",
)
@option("--check", is_flag=True, help="Write nothing; exit with 1 if a page is out of date.")
@written_directory
def build(check: bool, directory: Path | None) -> None:
    """Generate the pages from the rows.

    Writes LEADERBOARD.md, suite.csv, leaderboard.csv and the table in README.md.
    """
    from starbench.leaderboard.pages import generate
    from starbench.leaderboard.store import board

    folder = directory or board.find_directory(Path.cwd())
    entries = board.load(folder)
    if not check:
        written = ", ".join(path.name for path in generate.build(entries, folder))
        click.echo(f"{len(entries)} rows; {f'wrote {written}' if written else 'no change'}")
        return
    outdated = ", ".join(path.name for path in generate.differing(entries, folder))
    if outdated:
        raise Failure(f"Out of date: {outdated}; run `starbench leaderboard build`.")
    click.echo(f"up to date with {len(entries)} rows")


@click.command(
    cls=Command,
    loads="starbench.leaderboard.store.board",
    example="starbench leaderboard site --out site",
)
@option(
    "--out",
    type=UserPath(path_type=Path, file_okay=False),
    metavar="DIR",
    show_default="leaderboard/site in a checkout, otherwise site",
    help="Folder in which to write the pages.",
)
@quiet_option
@read_directory
def site(out: Path | None, quiet: bool, directory: Path | None) -> None:
    """Build the leaderboard as web pages.

    The pages work offline and without a web server.
    """
    from starbench.common.progress import bar
    from starbench.leaderboard.store import board
    from starbench.leaderboard.web.build import build_site

    folder = directory or board.readable_directory(Path.cwd())
    if out is None:
        inside = directory is not None or Path.cwd().is_relative_to(folder.parent)
        out = folder / "site" if inside else Path("site")
    sizes = build_site(
        board.load(folder),
        out,
        get_task=cached_tasks(),
        progress=partial(bar, label="site", quiet=quiet),
    )
    click.echo(f"{len(sizes)} files, {sum(sizes.values()) / 1e6:.1f} MB; open {out / 'index.html'}")
