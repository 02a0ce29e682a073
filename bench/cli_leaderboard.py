"""`starbench leaderboard`: add rows, generate the pages, check them, compare methods."""

from pathlib import Path
from typing import Any

import click

from starbench.errors import Report

_directory = click.option(
    "--directory",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="The leaderboard's folder; by default that of the checkout around the current folder.",
)


@click.group()
def leaderboard() -> None:
    """Add rows to the leaderboard and generate its pages."""


@leaderboard.command()
@click.argument("runs", metavar="RUN...", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--replace", is_flag=True, help="Take the place of a row of the same run.")
@click.option("--allow-dirty", is_flag=True, help="Take rows of code changed since its commit.")
@click.option("--quiet", is_flag=True, help="Draw no progress.")
@_directory
def add(
    runs: tuple[Path, ...],
    replace: bool,
    allow_dirty: bool,
    quiet: bool,
    directory: Path | None,
) -> None:
    """Check rows and copy them to the leaderboard: all of them, or none.

    RUN is the folder of a run, or the file of a row with its ranks beside it.
    """
    from starbench.leaderboard import board
    from starbench.progress import bar
    from starbench.tasks.registry import get_task

    paths = board.add(
        bar(runs, label="check", unit="rows", quiet=quiet),
        _folder(directory),
        replace=replace,
        allow_dirty=allow_dirty,
        get_task=get_task,
        declared=_declared,
    )
    for path in paths:
        click.echo(f"added {path.name}")
    click.echo("Next: starbench leaderboard build")


@leaderboard.command()
@click.option(
    "--check", is_flag=True, help="Write nothing; exit with 1 if anything is out of date."
)
@_directory
def build(check: bool, directory: Path | None) -> None:
    """Generate LEADERBOARD.md and the README's table from the rows alone."""
    from starbench.leaderboard import board, render

    folder = _folder(directory)
    entries = board.load(folder)
    if check:
        outdated = [path.name for path in render.differing(entries, folder)]
        if outdated:
            raise Report(
                f"{' and '.join(outdated)} not as the rows give; run "
                "`starbench leaderboard build`.",
                1,
            )
        click.echo(f"up to date with {len(entries)} rows")
        return
    written = [path.name for path in render.build(entries, folder)]
    click.echo(f"{len(entries)} rows; {'wrote ' + ', '.join(written) if written else 'no change'}")


@leaderboard.command()
@click.option("--out", type=click.Path(path_type=Path, file_okay=False),
              help="Where the site goes; by default the leaderboard's folder site/.")  # fmt: skip
@click.option("--quiet", is_flag=True, help="Draw no progress.")
@_directory
def site(out: Path | None, quiet: bool, directory: Path | None) -> None:
    """Build the leaderboard as web pages that need neither a server nor a network."""
    from functools import partial

    from starbench.leaderboard import board
    from starbench.leaderboard.web.build import build_site
    from starbench.progress import bar
    from starbench.tasks.registry import get_task

    folder = _folder(directory)
    out = out or folder / "site"
    sizes = build_site(
        board.load(folder),
        out,
        get_task=get_task,
        progress=partial(bar, label="site", quiet=quiet),
    )
    click.echo(f"{len(sizes)} files, {sum(sizes.values()) / 1e6:.1f} MB; open {out / 'index.html'}")


@leaderboard.command()
@click.argument("rows", metavar="[ROW...]", nargs=-1, type=click.Path(path_type=Path))
@click.option("--run", type=click.Path(path_type=Path, exists=True, file_okay=False),
              help="The run of the one ROW: ranks its latents again.")  # fmt: skip
@click.option("--quiet", is_flag=True, help="Draw no progress.")
@_directory
def verify(rows: tuple[Path, ...], run: Path | None, quiet: bool, directory: Path | None) -> None:
    """Recompute the rank figures of rows, by default all, from their ranks.

    ROW is the file of a row, or the folder of a run.
    """
    from starbench.leaderboard import board, checks
    from starbench.methods.base import Method
    from starbench.progress import bar, say
    from starbench.results import RowError, shown

    if run is not None and len(rows) != 1:
        raise click.UsageError("--run belongs to one ROW; name that one.")
    paths = [board.row_file(path) for path in rows]
    if not rows:
        paths = sorted((_folder(directory) / "rows").glob("*.json"))
    refused = 0
    for path in bar(paths, label="verify", unit="rows", quiet=quiet):
        try:
            row, ranks = board.read_pair(path)
            checks.check_metrics(row, shown(path))
            if ranks is not None:
                checks.check_figures(row, ranks, shown(path), intervals=True)
                if run is not None:
                    method = _declared(row.method)
                    if method is not None and method.rank_twins is not Method.rank_twins:
                        raise RowError(
                            f"{shown(path)}: {row.method} ranks by a distance of its own, which "
                            "latents alone do not give; leave out --run"
                        )
                    checks.check_latents(ranks, run / "latents.h5")
        except RowError as error:
            refused += 1
            say(f"refused  {error}")
        else:
            say(f"{row.status:8} {shown(path)}")
    if refused:
        raise Report(f"{refused} of {len(paths)} rows do not hold.", 1)


@leaderboard.command()
@click.argument("a")
@click.argument("b")
@click.option("--task", "task_name", default="apogee-giants", show_default=True)
@click.option(
    "--metric",
    type=click.Choice(["doppelganger_free", "doppelganger_0.1", "doppelganger_1"]),
    default="doppelganger_free",
    show_default=True,
)
@_directory
def compare(a: str, b: str, task_name: str, metric: str, directory: Path | None) -> None:
    """Give the difference of methods A and B on the same stars, with its interval."""
    from starbench.leaderboard import board
    from starbench.leaderboard.compare import compare as compare_methods

    found = compare_methods(board.load(_folder(directory)), a, b, task_name, metric)
    click.echo(f"{metric} on {task_name}")
    click.echo(f"{a}: {100 * found.share_a:.2f} % ({found.seeds_a} seeds)")
    click.echo(f"{b}: {100 * found.share_b:.2f} % ({found.seeds_b} seeds)")
    click.echo(
        f"difference: {100 * found.difference:+.2f} points, 95 % interval "
        f"{100 * found.low:+.2f} to {100 * found.high:+.2f}"
        + ("" if found.separable else ": cannot be told apart")
    )


def _folder(directory: Path | None) -> Path:
    from starbench.leaderboard.board import find_directory

    return directory or find_directory(Path.cwd())


def _declared(name: str) -> Any | None:
    """Return the class of a method, None where it is not installed here."""
    from starbench.methods.base import SettingError
    from starbench.methods.registry import get_method

    try:
        return get_method(name)
    except SettingError:
        return None
