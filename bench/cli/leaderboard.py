"""`starbench leaderboard`: add rows, generate the pages, check them, compare methods."""

from pathlib import Path
from typing import Any

import click

from starbench.cli.errors import Report
from starbench.cli.options import cache_option

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
    from starbench.common.progress import bar
    from starbench.leaderboard.store import board
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
    """Generate LEADERBOARD.md, leaderboard.csv and the README's table from the rows alone."""
    from starbench.leaderboard.pages import generate as render
    from starbench.leaderboard.store import board

    folder = _folder(directory)
    entries = board.load(folder)
    if check:
        outdated = [path.name for path in render.differing(entries, folder)]
        if outdated:
            raise Report(
                f"{', '.join(outdated)} not as the rows give; run `starbench leaderboard build`.",
                1,
            )
        click.echo(f"up to date with {len(entries)} rows")
        return
    written = [path.name for path in render.build(entries, folder)]
    click.echo(f"{len(entries)} rows; {'wrote ' + ', '.join(written) if written else 'no change'}")


@leaderboard.command()
@click.option("--out", type=click.Path(path_type=Path, file_okay=False),
              help="Where the site goes; by default leaderboard/site, or site/.")  # fmt: skip
@click.option("--quiet", is_flag=True, help="Draw no progress.")
@_directory
def site(out: Path | None, quiet: bool, directory: Path | None) -> None:
    """Build the leaderboard as web pages that need neither a server nor a network."""
    from functools import partial

    from starbench.common.progress import bar
    from starbench.leaderboard.store import board
    from starbench.leaderboard.web.build import build_site
    from starbench.tasks.registry import get_task

    folder = _folder(directory, shipped=True)
    if out is None:  # outside a checkout not beside the rows, which are inside the package
        beside = directory is not None or Path.cwd().is_relative_to(folder.parent)
        out = folder / "site" if beside else Path("site")
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

    Rows of other data than those of their task are refused, too. ROW is the file of a row, or the
    folder of a run.
    """
    from starbench.common.progress import bar, say
    from starbench.leaderboard.store import board, checks
    from starbench.methods.base import Method
    from starbench.results.text import RowError, printable
    from starbench.tasks.errors import DataError
    from starbench.tasks.registry import get_task

    if run is not None and len(rows) != 1:
        raise click.UsageError("--run belongs to one ROW; name that one.")
    paths = [board.row_file(path) for path in rows]
    if not rows:
        paths = sorted((_folder(directory, shipped=True) / "rows").glob("*.json"))
    refused = 0
    for path in bar(paths, label="verify", unit="rows", quiet=quiet):
        try:
            row, ranks = board.read_pair(path)
            checks.check_metrics(row, printable(path))
            checks.check_declared(row, printable(path), _declared(row.method))
            if row.scale != "own":
                task = get_task(row.task)
                if row.task_version >= task.version:  # older data cannot be looked at any more
                    checks.check_data(row, ranks, printable(path), task)
            if ranks is not None:
                checks.check_figures(row, ranks, printable(path), intervals=True)
                if run is not None:
                    method = _declared(row.method)
                    if method is not None and method.rank_twins is not Method.rank_twins:
                        raise RowError(
                            f"{printable(path)}: {row.method} ranks by a distance of its own, "
                            "which latents alone do not give; leave out --run"
                        )
                    checks.check_latents(ranks, run / "latents.h5")
        except (RowError, DataError) as error:
            refused += 1
            say(f"refused  {error}")
        else:
            say(f"{row.status:8} {printable(path)}")
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
    """Give the difference of methods A and B on the same stars, with its interval.

    The table says on which stars they differ, in fifths of each label; the largest is marked.
    """
    import numpy as np

    from starbench.leaderboard.statistics.compare import choose, compare_ranks, ranks_of
    from starbench.leaderboard.statistics.resampling import found_stars
    from starbench.leaderboard.statistics.strata import star_labels, strata, strata_table
    from starbench.leaderboard.store import board
    from starbench.tasks.registry import get_task

    chosen = choose(board.load(_folder(directory, shipped=True)), a, b, task_name)
    ranks = ranks_of(chosen)
    found = compare_ranks(*ranks, metric)
    click.echo(f"{metric} on {task_name}")
    click.echo(f"{a}: {100 * found.share_a:.2f} % ({found.seeds_a} seeds)")
    click.echo(f"{b}: {100 * found.share_b:.2f} % ({found.seeds_b} seeds)")
    click.echo(
        f"difference: {100 * found.difference:+.2f} points, 95 % interval "
        f"{100 * found.low:+.2f} to {100 * found.high:+.2f}"
        + ("" if found.separable else ": cannot be told apart")
    )
    task, row = get_task(task_name), chosen[0].row
    if (row.task_version, row.data_fingerprint) != (task.version, task.fingerprint(row.scale)):
        click.echo("These rows are of other data than this starbench draws: no table by label.")
        return
    labels = star_labels(*task.drawn_labels("test", row.scale), task.nuisance_names, task.elements)
    stars = [np.stack([found_stars(rank, metric) for rank in of_seeds]) for of_seeds in ranks]
    click.echo(f"\nA is {a}, B is {b}; fifths of the stars by each label:\n")
    click.echo(strata_table(strata(*stars, labels)))


@leaderboard.command()
@click.argument("row_path", metavar="ROW", type=click.Path(path_type=Path))
@cache_option
@click.option("--threads", type=click.IntRange(min=1),
              help="By default as many as the row's run had, or as there are cores.")  # fmt: skip
@click.option("--device", metavar="NAME", help="By default that of the row.")
@click.option("--method", "spec", metavar="NAME",
              help="The method as PATH.py:CLASS, if the row's name does not find it.")  # fmt: skip
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), metavar="DIR",
              help="Keep the run's folder here; by default it is removed.")  # fmt: skip
@click.option("--quiet", is_flag=True, help="Draw no progress.")
def reproduce(
    row_path: Path,
    cache: Path | None,
    threads: int | None,
    device: str | None,
    spec: str | None,
    out: Path | None,
    quiet: bool,
) -> None:
    """Run a row's settings again and say, figure by figure, whether they agree.

    ROW is the file of a row, or the folder of a run. Exits with 1 if a figure does not agree.
    """
    import tempfile

    from starbench.common.provenance import available_cores
    from starbench.leaderboard.store import board, reproduce
    from starbench.methods.registry import get_method
    from starbench.results.ranks import read_ranks
    from starbench.results.schema import read_row
    from starbench.results.text import printable
    from starbench.runs.runner import run
    from starbench.tasks.registry import get_task

    path = board.row_file(row_path)
    name, row = printable(path), read_row(path)
    reproduce.check_source(row, name)
    method, task = get_method(spec or row.method), get_task(row.task, cache=cache)
    reproduce.check_reproducible(row, name, method, task)
    settings = reproduce.settings_of(row, name, method)
    click.echo(f"Again: {printable(row.command)}")
    with tempfile.TemporaryDirectory(prefix="starbench-") as temporary:
        outcome = run(
            task,
            method,
            settings,
            seed=row.seed,
            scale=row.scale,
            device=device or row.hardware.device,
            threads=threads or max(1, min(row.hardware.threads, available_cores())),
            out=out or Path(temporary),
            preset=row.preset,
            overrides=row.overrides,
            quiet=quiet,
        )
        again, folder = outcome.row, outcome.folder
        if not outcome.fresh:
            # It may be the very run that made the row, which would prove nothing.
            raise Report(f"{folder.path} holds this run already; give another --out.", 2)
        ranks = read_ranks(folder.ranks) if again.status == "ok" else None
    if again.status != row.status:
        raise Report(f"The run {again.status}, the row is {row.status}: {again.message or ''}", 1)
    if ranks is None:
        click.echo(f"Agrees: both {row.status}.")
        return
    found = reproduce.agreements(row, again, ranks)
    same = row.ranks_sha256 == again.ranks_sha256
    click.echo(f"Ranks: {'the same for every star' if same else 'not the same'}.\n")
    click.echo(reproduce.agreement_table(found))
    click.echo(f"\n{reproduce.TOLERANCES}")
    differing = [each.name for each in found if not each.agrees]
    if differing:
        raise Report(f"{len(differing)} of {len(found)} figures differ: {differing[0]}.", 1)
    click.echo(f"All {len(found)} figures agree.")


def _folder(directory: Path | None, *, shipped: bool = False) -> Path:
    """Return the leaderboard's folder; `shipped`: outside a checkout that of the package."""
    from starbench.leaderboard.store.board import find_directory, readable_directory

    return directory or (readable_directory if shipped else find_directory)(Path.cwd())


def _declared(name: str) -> Any | None:
    """Return the class of a method, None where it is not installed here."""
    from starbench.methods.base import SettingError
    from starbench.methods.registry import get_method

    try:
        return get_method(name)
    except SettingError:
        return None
