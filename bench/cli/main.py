"""The command line. Heavy imports stay inside the commands, so that help appears at once."""

import importlib
from pathlib import Path
from typing import Any

import click

from starbench import __version__
from starbench.cli.errors import Report, debugging, report
from starbench.cli.options import OWN_PAIRS, cache_option


class LateGroup(click.Group):
    """A group of commands whose module is imported when one of them is asked for.

    Parameters
    ----------
    name, help : str
    target : str
        Where the group is, as ``module:attribute``.
    """

    def __init__(self, name: str, target: str, help: str):
        super().__init__(name, help=help)
        self._target = target

    def _group(self) -> click.Group:
        module, attribute = self._target.split(":")
        return getattr(importlib.import_module(module), attribute)

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of the group's commands."""
        return self._group().list_commands(ctx)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return a command by name."""
        return self._group().get_command(ctx, cmd_name)


class Commands(click.Group):
    """A group that reports every error in one place."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command; whatever it raises becomes one sentence and an exit code."""
        try:
            return super().invoke(ctx)
        except (click.ClickException, click.exceptions.Exit, click.Abort):
            raise
        except (Exception, KeyboardInterrupt) as error:
            if debugging():
                raise
            raise report(error, ctx.invoked_subcommand) from error


SEED = click.IntRange(0, 2**63 - 1)


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="starbench")
def main() -> None:
    """Benchmark disentanglement methods on paired synthetic spectra of stars."""


# fmt: off
_data = click.option(
    "--data", type=click.Path(path_type=Path), metavar="PAIRS", help=OWN_PAIRS,
)
_out = click.option(
    "--out", type=click.Path(file_okay=False, path_type=Path), default=Path("runs"),
    show_default=True, help="Where run folders go.",
)
_quiet = click.option("--quiet", is_flag=True, help="Draw no progress.")
_task = click.option(
    "--task", "task_name", default="apogee-giants", show_default=True, metavar="NAME",
    help="A name of `starbench tasks`.",
)
# fmt: on


def run_options(command: Any) -> Any:
    """Add the options that say how to run, shared by `run` and `sweep`."""
    options = (
        click.option("--method", "method_name", required=True, metavar="NAME",
                     help="A name of `starbench methods`, or PATH.py:CLASS."),
        _data,
        click.option("--scale", metavar="NAME",
                     help="Size of the splits: full (the default, and the only one for the "
                          "leaderboard), mini or tiny."),
        click.option("--preset", metavar="NAME", help="Start from a preset of the method."),
        click.option("--device", default="auto", show_default=True,
                     help="auto (an accelerator if there is one), cpu, cuda, cuda:1, ..."),
        click.option("--threads", type=click.IntRange(min=1),
                     help="Threads to use; by default the cores that are available."),
        _out,
        cache_option,
        click.option("--force", is_flag=True, help="Run again even if the run is finished."),
        _quiet,
    )  # fmt: skip
    for option in reversed(options):
        command = option(command)
    return command


@main.command()
@run_options
@_task
@click.option("--seed", type=SEED, default=0, show_default=True)
@click.option("--set", "settings", multiple=True, metavar="KEY=VALUE",
              help="Set a hyperparameter; `starbench methods NAME` lists them.")  # fmt: skip
def run(task_name: str, seed: int, settings: tuple[str, ...], **options: Any) -> None:
    """Train a method, score it once on test, and print its row.

    Stopped at any moment, the same command continues from the last checkpoint.
    """
    from starbench.leaderboard.pages.terminal import table_for_run

    outcome = _run_one(task_name=task_name, seed=seed, settings=settings, **options)
    row, folder = outcome.row, outcome.folder
    if not outcome.fresh:
        click.echo(f"This run is finished; --force runs it again ({folder.path}).\n")
    if row.status != "ok":
        raise Report(f"The run {row.status}: {row.message} ({folder.row})", 1)
    click.echo(table_for_run(row))
    if row.message:
        click.echo(f"\nRemark       {row.message}")
    click.echo(f"\nFiles        {folder.path}")
    times = ", ".join(f"{name} {row.seconds[name]:.0f} s" for name in ("data", "fit", "score"))
    click.echo(f"Wall time    {times}; peak memory {row.peak_memory_mb / 1e3:.1f} GB")
    if row.scale == "full" and options["data"] is None:
        click.echo(f"Leaderboard  starbench leaderboard add {folder.path}")
    else:
        click.echo("Leaderboard  only for standard tasks at --scale full")


def _run_one(
    *,
    task_name: str,
    method_name: str,
    data: Path | None,
    scale: str | None,
    seed: int,
    settings: tuple[str, ...],
    preset: str | None,
    cache: Path | None,
    **options: Any,
) -> Any:
    """Run one method on one task with one seed, draw its figures, and return the `Outcome`."""
    from starbench.methods.registry import get_method, make_hyperparameters
    from starbench.tasks.registry import get_task

    method_class = get_method(method_name)
    hyperparameters = make_hyperparameters(method_class, preset, settings)
    task = get_task(task_name, data=data, cache=cache, progress=not options["quiet"])

    from starbench.runs.plots import draw_run
    from starbench.runs.runner import run as run_method

    outcome = run_method(
        task,
        method_class,
        hyperparameters,
        seed=seed,
        scale=scale or task.default_scale,
        preset=preset,
        overrides={key: getattr(hyperparameters, key) for key in _keys(settings)},
        **options,
    )
    if outcome.row.status == "ok" and (outcome.fresh or not outcome.folder.figures.exists()):
        draw_run(outcome.folder, method_class.diagnostics)
    return outcome


def _keys(settings: tuple[str, ...]) -> list[str]:
    from starbench.common.settings import split_setting

    return [split_setting(setting)[0] for setting in settings]


@main.command()
@run_options
@click.option("--task", "task_names", multiple=True, metavar="NAME",
              help="May be given several times; by default apogee-giants.")  # fmt: skip
@click.option("--seeds", default="0-2", show_default=True, metavar="LIST",
              help="Such as 0-4 or 0,3,7.")  # fmt: skip
@click.option("--set", "settings", multiple=True, metavar="KEY=VALUE[,VALUE...]",
              help="Set a hyperparameter; all combinations of listed values are run.")  # fmt: skip
def sweep(
    task_names: tuple[str, ...], seeds: str, settings: tuple[str, ...], **options: Any
) -> None:
    """Run a method over several seeds, tasks and settings, skipping what is finished."""
    from starbench.runs.sweep import combinations, parse_seeds, summary_table

    jobs = combinations(task_names or ("apogee-giants",), settings, parse_seeds(seeds))
    _check_jobs(jobs, options)
    outcomes = []
    for number, job in enumerate(jobs, 1):
        pairs = job.task_name if options["data"] is None else str(options["data"])
        described = " ".join([pairs, *job.settings, f"seed {job.seed}"])
        click.echo(f"[{number} of {len(jobs)}] {options['method_name']} on {described}", err=True)
        outcomes.append(
            _run_one(task_name=job.task_name, seed=job.seed, settings=job.settings, **options)
        )
    click.echo(
        summary_table([(job, outcome.row) for job, outcome in zip(jobs, outcomes, strict=True)])
    )
    failed = [outcome.folder for outcome in outcomes if outcome.row.status != "ok"]
    if failed:
        raise Report(
            f"{len(failed)} of {len(jobs)} runs did not end well: {failed[0].row} says why.", 1
        )


def _check_jobs(jobs: list[Any], options: dict[str, Any]) -> None:
    """Find the user's mistakes in any run of a sweep before the first of them takes its minutes."""
    from starbench.methods.registry import get_method, make_hyperparameters
    from starbench.tasks.registry import get_task

    method_class = get_method(options["method_name"])
    for job in jobs:
        make_hyperparameters(method_class, options["preset"], job.settings)
        if options["data"] is None:
            get_task(job.task_name, cache=options["cache"])


@main.command()
@click.argument("run_folder", metavar="RUN", type=click.Path(path_type=Path))
@click.argument("out", metavar="PREDICTIONS", type=click.Path(path_type=Path, dir_okay=False))
@click.option(
    "--method",
    "spec",
    metavar="NAME",
    help="The method as PATH.py:CLASS, if it is not found by the name in the row.",
)
@click.option(
    "--data",
    type=click.Path(path_type=Path),
    metavar="PAIRS",
    help="The pairs that the run was made on, if they were your own.",
)
@click.option("--force", is_flag=True, help="Replace PREDICTIONS if it is there.")
@cache_option
def predict(
    run_folder: Path,
    out: Path,
    spec: str | None,
    data: Path | None,
    force: bool,
    cache: Path | None,
) -> None:
    """Write what the method of a finished run predicts, as `starbench score` reads it."""
    if out.exists() and not force:
        raise click.UsageError(f"{out} is there already; choose another name, or give --force.")
    from starbench.methods.registry import get_method
    from starbench.runs.predictions import write_predictions
    from starbench.runs.restore import finished_row
    from starbench.runs.run_folder import RunFolder
    from starbench.tasks.registry import get_task

    folder = RunFolder(run_folder)
    row = finished_row(folder)
    task = get_task(None if data else row.task, data=data, cache=cache)
    write_predictions(folder, task, out, None if spec is None else get_method(spec))
    click.echo(f"Wrote {out} ({out.stat().st_size / 1e6:,.0f} MB)")


@main.command()
@click.argument("predictions", metavar="PREDICTIONS", type=click.Path(path_type=Path))
@_task
@_data
@click.option("--scale", metavar="NAME", help="By default that of the task: full, or own.")
@click.option(
    "--method-name",
    required=True,
    metavar="NAME",
    help="What the row calls the method: lower case, words joined by hyphens.",
)
@click.option(
    "--label-access",
    required=True,
    type=click.Choice(["none", "nuisance", "pairs", "oracle"]),
    help="What the method learned from; see the README.",
)
@click.option("--reference", required=True, metavar="TEXT", help="Paper or code of the method.")
@click.option(
    "--set",
    "settings",
    multiple=True,
    metavar="KEY=VALUE",
    help="A setting of the method, for the row.",
)
@click.option(
    "--seed",
    type=SEED,
    default=0,
    show_default=True,
    help="The seed that the method was trained with.",
)
@_out
@cache_option
@_quiet
def score(
    predictions: Path,
    task_name: str,
    data: Path | None,
    settings: tuple[str, ...],
    cache: Path | None,
    scale: str | None,
    **options: Any,
) -> None:
    """Score predictions made anywhere, and print their row.

    PREDICTIONS is an HDF5 file with `latent` [pairs, 2, d] of the test split, and optionally
    `reconstruction`, `swapped_reconstruction` [pairs, 2, pixels] and `train/latent`.
    """
    from starbench.leaderboard.pages.terminal import table_for_run
    from starbench.runs.predictions import parse_settings, score_predictions
    from starbench.tasks.registry import get_task

    task = get_task(task_name, data=data, cache=cache, progress=not options["quiet"])
    row, folder, _ = score_predictions(
        predictions,
        task,
        hyperparameters=parse_settings(settings),
        scale=scale or task.default_scale,
        **options,
    )
    click.echo(table_for_run(row))
    click.echo(f"\nFiles        {folder.path}")
    if row.scale == "full" and data is None:
        click.echo(f"Leaderboard  starbench leaderboard add {folder.path}")


@main.command()
@click.argument("name", required=False)
@click.option("--verbose", "-v", is_flag=True, help="List the hyperparameters of every method.")
def methods(name: str | None, verbose: bool) -> None:
    """List the methods, or the hyperparameters of one of them."""
    from starbench.cli.listing import describe_method, methods_table
    from starbench.methods.base import SettingError
    from starbench.methods.registry import get_method, method_names

    if name is not None:
        click.echo(describe_method(get_method(name)))
        return
    found, broken = [], []
    for each in method_names():
        try:
            found.append(get_method(each))
        except SettingError as error:  # of one package; the others are still of use
            broken.append(str(error))
    click.echo(methods_table(found))
    for sentence in broken:
        click.echo(sentence, err=True)
    if verbose:
        for each in found:
            click.echo("\n" + describe_method(each))


@main.command()
def tasks() -> None:
    """List the tasks."""
    from starbench.cli.listing import tasks_table
    from starbench.tasks.registry import get_task, task_names

    click.echo(tasks_table([get_task(name) for name in task_names()]))


@main.command()
@click.argument("name", metavar="METHOD")
@click.option("--set", "settings", multiple=True, metavar="KEY=VALUE", help="Set a hyperparameter.")
@cache_option
def check(name: str, settings: tuple[str, ...], cache: Path | None) -> None:
    """Examine whether a method keeps the contract, on 256 spectra.

    METHOD is a name of `starbench methods`, or PATH.py:CLASS.
    """
    from starbench.methods.registry import get_method, make_hyperparameters
    from starbench.runs.check import check as examine
    from starbench.tasks.registry import get_task

    method = get_method(name)
    hyperparameters = make_hyperparameters(method, None, settings)
    breaches = 0
    for clause, mend in examine(get_task(cache=cache), method, hyperparameters):
        click.echo(f"{'pass' if mend is None else 'MEND'}  {clause.replace('_', ' ')}")
        if mend is not None:
            breaches += 1
            click.echo(f"      {mend}")
    if breaches:
        raise Report(f"{method.name} breaks {breaches} of the contract's clauses; see above.", 1)
    click.echo(f"{method.name} keeps the contract.")


@main.command()
@click.argument("run_folder", metavar="RUN", type=click.Path(path_type=Path))
def plot(run_folder: Path) -> None:
    """Draw the figures of a finished run again from the files in its folder."""
    from starbench.runs.plots import draw_run
    from starbench.runs.run_folder import RunFolder

    drawn = list(draw_run(RunFolder(run_folder)))
    for path in drawn:
        click.echo(path)
    if not drawn:
        click.echo("Nothing to draw: the method has neither epochs nor a decoder.", err=True)


main.add_command(
    LateGroup(
        "data", "starbench.cli.data:data", "Build, describe, check and export the data of a task."
    )
)
main.add_command(
    LateGroup(
        "leaderboard",
        "starbench.cli.leaderboard:leaderboard",
        "Add rows to the leaderboard and generate its pages.",
    )
)
