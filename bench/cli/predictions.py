"""`starbench predict` and `score`: write a run's predictions to a file, and score such a file."""

from pathlib import Path
from typing import Any

import click

from starbench.cli.commands import Command, UserPath, option
from starbench.cli.errors import UserError
from starbench.cli.options import (
    cache_option,
    code_from_option,
    data_option,
    device_option,
    out_option,
    outside_data_option,
    pretraining_option,
    quiet_option,
    scale_option,
    snr_option,
    task_option,
)
from starbench.cli.outcome import say_outcome
from starbench.common.settings import MAX_INT


@click.command(
    cls=Command,
    loads="starbench.runs.predictions_writing",
    example="starbench predict runs/apogee-giants/fader/0-ced64dfee2 predictions.h5",
)
@click.argument("run_folder", metavar="RUN", type=UserPath(path_type=Path))
@click.argument("out", metavar="PREDICTIONS", type=UserPath(path_type=Path, dir_okay=False))
@option(
    "--method",
    metavar="METHOD",
    show_default="the name in the row",
    help="The run's method as PATH.py:CLASS, if it has no registered name.",
)
@data_option
@option("--force", is_flag=True, help="Replace PREDICTIONS if it exists.")
@cache_option
@quiet_option
def predict(
    run_folder: Path,
    out: Path,
    method: str | None,
    data: Path | None,
    force: bool,
    cache: Path | None,
    quiet: bool,
) -> None:
    """Write the predictions of a finished run.

    RUN is the folder of a run; PREDICTIONS is the HDF5 file to write, in the format that
    `starbench score` reads.
    """
    if out.exists() and not force:
        raise UserError(f"{out} already exists; choose another name, or give --force.")
    from starbench.methods.registry import get_method
    from starbench.runs.predictions_writing import write_predictions
    from starbench.runs.restore import finished_row
    from starbench.runs.run_folder import RunFolder
    from starbench.tasks.registry import get_task

    folder = RunFolder(run_folder)
    row = finished_row(folder)
    if row.scale == "own" and data is None:
        raise UserError(f"{run_folder} is a run on your own data; give the same file with --data.")
    task = get_task(
        None if data else row.task,
        data=data,
        cache=cache,
        snr=row.snr if data else None,
        progress=not quiet,
    )
    method_class = None if method is None else get_method(method)
    write_predictions(folder, task, out, method_class, quiet=quiet)
    click.echo(f"Wrote {out} ({out.stat().st_size / 1e6:,.1f} MB)")


@click.command(
    cls=Command,
    loads="starbench.runs.predictions_scoring",
    example="starbench score predictions.h5 --method-name my-method \\\n"
    '    --label-access nuisance --reference "You et al. (2026)"',
)
@click.argument("predictions", metavar="PREDICTIONS", type=UserPath(path_type=Path))
@option(
    "--method-name",
    required=True,
    metavar="NAME",
    help="Name of the method in the row: lower-case words joined by hyphens.",
)
@option(
    "--label-access",
    required=True,
    type=click.Choice(["none", "nuisance", "pairs", "oracle"]),
    help="What the method learned from besides the spectra: nothing, the nuisance, which spectra "
    "are twins, or the composition.",
)
@option("--reference", required=True, metavar="TEXT", help="Paper or code of the method.")
@task_option
@data_option
@snr_option
@scale_option
@option(
    "--seed",
    type=click.IntRange(0, MAX_INT - 1),
    default=0,
    show_default=True,
    metavar="N",
    help="Record the seed with which the method was trained.",
)
@option(
    "--set",
    "settings",
    multiple=True,
    metavar="KEY=VALUE",
    help="Record a setting of the method in the row; may be repeated.",
)
@outside_data_option
@pretraining_option
@code_from_option
@device_option
@out_option
@cache_option
@quiet_option
def score(
    predictions: Path,
    task: str | None,
    data: Path | None,
    snr: float | None,
    scale: str | None,
    settings: tuple[str, ...],
    cache: Path | None,
    outside_data: str | None,
    pretraining: str | None,
    code_from: str | None,
    **options: Any,
) -> None:
    """Score predictions made with any framework.

    Prints and stores a row. PREDICTIONS is an HDF5 file with `latent` [n_pairs, 2, d] of the test
    split, and optionally `reconstruction` and `swapped_reconstruction` [n_pairs, 2, n_pixels], and
    `train/latent` [n_train_pairs, 2, d], on which the probes are fitted.

    The twins of a million stars are ranked in minutes on a CPU, in seconds on a GPU. A ranking that
    was stopped continues when the same command is given again.
    """
    from starbench.runs.origin import Declared, given
    from starbench.runs.predictions_scoring import parse_settings, score_predictions
    from starbench.tasks.registry import get_task

    loaded = get_task(task, data=data, cache=cache, snr=snr, progress=not options["quiet"])
    row, folder, _ = score_predictions(
        predictions,
        loaded,
        scale=scale or loaded.default_scale,
        hyperparameters=parse_settings(settings),
        given=given(None, task, data),
        declared=Declared(outside_data, pretraining, code_from),
        **options,
    )
    say_outcome(row, folder.path)
