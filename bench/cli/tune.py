"""`starbench tune`: try every method with the same number of settings."""

from pathlib import Path

import click

from starbench.cli.commands import Command, UserPath, option
from starbench.cli.options import (
    cache_option,
    device_option,
    quiet_option,
    scale_option,
    seed_option,
    threads_option,
)
from starbench.tuning import LEAST_TRIALS, MOST_PARTS, MOST_TRIALS

TASKS = ("apogee-giants-snr50", "apogee-giants-branch")


@click.command(
    cls=Command,
    loads="starbench.tuning.study",
    example="starbench tune --method fader --trials 12\n"
    "starbench tune --method nuisance --out tuning",
)
@option(
    "--method",
    "methods",
    required=True,
    multiple=True,
    metavar="METHOD",
    help="A name listed by `starbench methods`, PATH.py:CLASS, or a group as of `starbench sweep`; "
    "may be repeated.",
)
@option(
    "--task",
    "tasks",
    multiple=True,
    metavar="TASK",
    show_default=" and ".join(TASKS),
    help="A name listed by `starbench tasks`, PATH.py:CLASS, or a suite; may be repeated.",
)
@option(
    "--trials",
    type=click.IntRange(LEAST_TRIALS, MOST_TRIALS),
    default=8,
    show_default=True,
    metavar="N",
    help="Settings to try, the defaults among them.",
)
@option(
    "--part",
    type=click.IntRange(1, MOST_PARTS),
    default=1,
    show_default=True,
    metavar="N",
    help="Use one of N parts of the pairs: quicker, but another setting may be best on all pairs.",
)
@scale_option
@seed_option
@device_option
@threads_option("all available cores")
@option(
    "--out",
    type=UserPath(file_okay=False, path_type=Path),
    default=Path("tuning"),
    show_default=True,
    metavar="DIR",
    help="Folder of the trials, and of a file with all trials of each method.",
)
@cache_option
@quiet_option
def tune(
    methods: tuple[str, ...],
    tasks: tuple[str, ...],
    trials: int,
    part: int,
    scale: str | None,
    seed: int,
    device: str,
    threads: int | None,
    out: Path,
    cache: Path | None,
    quiet: bool,
) -> None:
    """Try settings of each method with equal budgets.

    The settings fill the ranges that a method states beside its hyperparameters. They are chosen by
    validation alone: by the share of nearest twins, and by what needs no twins (the error of
    reconstruction among the settings that leak little of the nuisance). A table shows how far the
    two differ. Several processes with the same options share the trials, and repeating the command
    continues them, and runs those that failed once more.
    """
    from starbench.cli.errors import Failure
    from starbench.common.settings import SettingError
    from starbench.methods.registry import get_method
    from starbench.runs.runner import configure_torch, resolved_device
    from starbench.sweeps.groups import expand_methods, expand_tasks
    from starbench.tasks.registry import get_task
    from starbench.tuning.design import knobs
    from starbench.tuning.study import Study, run_studies
    from starbench.tuning.table import choices_table

    configure_torch(seed, threads)
    found = [
        get_task(name, cache=cache, progress=not quiet) for name in expand_tasks(tasks or TASKS)
    ]
    # A group stands for its methods that have something to tune; controls have nothing.
    classes = [
        method
        for name in expand_methods(methods)
        if not (method := get_method(name)).control or name in methods
    ]
    if not classes:
        raise SettingError(
            f"--method {' '.join(methods)} stands for controls alone, which have nothing to tune; "
            "name a method, or a label access."
        )
    for method in classes:
        knobs(method)  # before hours of trials, say which has none
    for task in found:
        task.prepare(scale or task.default_scale, progress=not quiet)
    chosen = resolved_device(device)
    studies = [Study(method, found, scale, trials, seed, chosen, out, part) for method in classes]
    choices = list(zip(classes, run_studies(studies, quiet=quiet), strict=True))
    click.echo(choices_table(choices, trials))
    failed = [method.name for method, choice in choices if choice.by_twins is None]
    if failed:
        raise Failure(f"Every trial of {', '.join(failed)} failed; {out} says why.")
