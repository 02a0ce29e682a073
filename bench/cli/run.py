"""`starbench run`, `sweep` and `plot`: train and score methods, and draw a run's figures."""

from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from starbench.cli.commands import Command, UserPath, option
from starbench.cli.errors import Failure
from starbench.cli.options import (
    cache_option,
    data_option,
    method_option,
    out_option,
    quiet_option,
    scale_option,
    seed_option,
    set_option,
    snr_option,
    task_option,
)

if TYPE_CHECKING:
    from starbench.runs.sweep import Job

Decorated = TypeVar("Decorated")


def training_options(command: Decorated) -> Decorated:
    """Add the options that `run` and `sweep` share."""
    options = (
        option(
            "--preset",
            metavar="NAME",
            help="Start from a preset listed by `starbench methods METHOD`.",
        ),
        option(
            "--device",
            default="auto",
            show_default=True,
            metavar="DEVICE",
            help="auto (a CUDA GPU if there is one, otherwise the CPU), cpu, cuda, cuda:1, ...",
        ),
        option(
            "--threads",
            type=click.IntRange(min=1),
            metavar="N",
            show_default="OMP_NUM_THREADS, SLURM_CPUS_PER_TASK, or all available cores",
            help="Number of CPU threads.",
        ),
        out_option,
        cache_option,
        option("--force", is_flag=True, help="Run again even if the run is finished."),
        quiet_option,
    )
    for add in reversed(options):
        command = add(command)
    return command


@click.command(
    cls=Command,
    loads="starbench.leaderboard.pages.terminal",
    example="starbench run --method fader --scale mini\n"
    "starbench run --method fader --task apogee-giants-snr50 --set epochs=80",
)
@method_option
@task_option
@data_option
@snr_option
@scale_option
@seed_option
@set_option
@training_options
def run(
    method: str, task: str | None, data: Path | None, settings: tuple[str, ...], **options: Any
) -> None:
    """Train a method, score it once, and print its row.

    The epoch is chosen on the validation split and scored once on the test split. Repeating the
    command continues a stopped run from its last checkpoint.
    """
    from starbench.api import run_named
    from starbench.leaderboard.pages.terminal import table_for_run
    from starbench.tasks.registry import BUILT_IN

    result = run_named(method, task=task, data=data, settings=settings, **options)
    row, folder = result.row, result.folder
    if not result.fresh:
        click.echo(f"This run is finished; --force runs it again ({folder}).\n")
    if row.status != "ok":
        raise Failure(f"The run {row.status}: {row.message} ({folder / 'row.json'})")
    click.echo(table_for_run(row))
    if row.message:
        click.echo(f"\nRemark       {row.message}")
    click.echo(f"\nFiles        {folder}")
    times = ", ".join(f"{name} {row.seconds[name]:.0f} s" for name in ("data", "fit", "score"))
    memory = (
        "" if row.peak_memory_mb is None else f"; peak memory {row.peak_memory_mb / 1e3:.1f} GB"
    )
    click.echo(f"Wall time    {times}{memory}")
    if row.scale == "full" and row.task in BUILT_IN:
        click.echo(f"Leaderboard  starbench leaderboard add {folder}")
    else:
        click.echo("Leaderboard  accepts only standard tasks at --scale full")


@click.command(
    cls=Command,
    loads="starbench.runs.runner",
    example="starbench sweep --method fader --scale mini --seeds 0-4\n"
    "starbench sweep --method pca --task apogee-giants --task apogee-giants-snr50",
)
@method_option
@option(
    "--task",
    "tasks",
    multiple=True,
    metavar="TASK",
    show_default="apogee-giants",
    help="A name listed by `starbench tasks`, or PATH.py:CLASS; may be repeated.",
)
@data_option
@snr_option
@scale_option
@option(
    "--seeds",
    default="0-2",
    show_default=True,
    metavar="LIST",
    help="Seeds to run, such as 0-4 or 0,3,7.",
)
@option(
    "--set",
    "settings",
    multiple=True,
    metavar="KEY=VALUE[,VALUE...]",
    help="Set a hyperparameter; all combinations of the listed values are run. May be repeated.",
)
@training_options
def sweep(
    method: str,
    tasks: tuple[str, ...],
    data: Path | None,
    seeds: str,
    settings: tuple[str, ...],
    preset: str | None,
    cache: Path | None,
    **options: Any,
) -> None:
    """Run several seeds, tasks and settings.

    Prints a table of the runs. Runs that are finished are not repeated.
    """
    from starbench.api import run_named
    from starbench.runs.sweep import combinations, parse_seeds, summary_table

    if tasks and data is not None:
        raise click.UsageError("Give either --task or --data, not both.")
    jobs = combinations(tasks or ("apogee-giants",), settings, parse_seeds(seeds))
    _check_jobs(jobs, method, preset, data, cache)
    results = []
    for number, job in enumerate(jobs, 1):
        words = [str(data or job.task_name), *job.settings, f"seed {job.seed}"]
        click.echo(f"[{number} of {len(jobs)}] {method} on {' '.join(words)}", err=True)
        result = run_named(
            method,
            task=job.task_name if data is None else None,
            data=data,
            seed=job.seed,
            settings=job.settings,
            preset=preset,
            cache=cache,
            **options,
        )
        results.append(result)
    click.echo(
        summary_table([(job, result.row) for job, result in zip(jobs, results, strict=True)])
    )
    unsuccessful = [result.folder for result in results if result.row.status != "ok"]
    if unsuccessful:
        raise Failure(
            f"{len(unsuccessful)} of {len(jobs)} runs failed or diverged; "
            f"{unsuccessful[0] / 'row.json'} gives the reason."
        )


def _check_jobs(
    jobs: list["Job"], method: str, preset: str | None, data: Path | None, cache: Path | None
) -> None:
    """Raise the user-fixable errors of all runs before the first one starts."""
    from starbench.methods.registry import get_method, make_hyperparameters
    from starbench.tasks.registry import get_task

    method_class = get_method(method)
    for job in jobs:
        make_hyperparameters(method_class, preset, job.settings)
        if data is None:
            get_task(job.task_name, cache=cache)


@click.command(
    cls=Command,
    loads="starbench.runs.plots",
    example="starbench plot runs/apogee-giants/fader/0-ced64dfee2",
)
@click.argument("run_folder", metavar="RUN", type=UserPath(path_type=Path))
@option(
    "--method",
    metavar="METHOD",
    show_default="the name in the row",
    help="The run's method as PATH.py:CLASS, if it has no registered name.",
)
def plot(run_folder: Path, method: str | None) -> None:
    """Draw the figures of a finished run again.

    RUN is the folder of a run; the figures are written to RUN/figures/.
    """
    from starbench.methods.registry import get_method
    from starbench.runs.plots import draw_run
    from starbench.runs.run_folder import RunFolder

    diagnostics = None if method is None else get_method(method).diagnostics
    paths = draw_run(RunFolder(run_folder), diagnostics)
    for path in paths:
        click.echo(path)
    if not paths:
        click.echo("Nothing to draw: the method has neither epochs nor a decoder.", err=True)
