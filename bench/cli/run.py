"""`starbench run` and `plot`: train and score a method, and draw a run's figures."""

from pathlib import Path
from typing import Any

import click

from starbench.cli.commands import Command, UserPath, option
from starbench.cli.errors import Failure
from starbench.cli.options import (
    cache_option,
    code_from_option,
    data_option,
    device_option,
    max_dropped_option,
    method_option,
    out_option,
    outside_data_option,
    pretraining_option,
    quiet_option,
    scale_option,
    seed_option,
    set_option,
    snr_option,
    task_option,
    threads_option,
)
from starbench.cli.outcome import say_outcome

preset_option = option(
    "--preset",
    metavar="NAME",
    help="Start from a preset listed by `starbench methods METHOD`.",
)
force_option = option("--force", is_flag=True, help="Run again even if the run is finished.")


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
@max_dropped_option
@scale_option
@seed_option
@set_option
@preset_option
@device_option
@threads_option("OMP_NUM_THREADS, SLURM_CPUS_PER_TASK, or all available cores")
@outside_data_option
@pretraining_option
@code_from_option
@out_option
@cache_option
@force_option
@quiet_option
@option("--end-with-stdin", is_flag=True, hidden=True, help="Used by `starbench sweep`.")
def run(
    method: str,
    task: str | None,
    data: Path | None,
    settings: tuple[str, ...],
    end_with_stdin: bool,
    **options: Any,
) -> None:
    """Train a method, score it once, and print its row.

    The epoch is chosen on the validation split and scored once on the test split. Repeating the
    command continues a stopped run from its last checkpoint.
    """
    from starbench.api.running import run_named
    from starbench.common.signals import end_with_standard_input

    if end_with_stdin:
        end_with_standard_input()
    result = run_named(method, task=task, data=data, settings=settings, **options)
    row, folder = result.row, result.folder
    if not result.fresh:
        click.echo(f"This run is finished; --force runs it again ({folder}).\n")
    if row.status != "ok":
        raise Failure(f"The run {row.status}: {row.message} ({folder / 'row.json'})")
    say_outcome(row, folder)


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
