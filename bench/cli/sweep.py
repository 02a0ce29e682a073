"""`starbench sweep`: plan many runs, work them off, and gather what they left."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from starbench.cli.commands import Command, UserPath, option
from starbench.cli.errors import Failure
from starbench.cli.options import (
    backend_option,
    cache_option,
    config_option,
    data_option,
    device_option,
    few_enough,
    out_option,
    quiet_option,
    scale_option,
    snr_option,
)
from starbench.cli.run import force_option, preset_option
from starbench.common.threads import most_processes, most_threads

if TYPE_CHECKING:
    from starbench.sweeps.backends.config import DaskConfig, SubmititConfig
    from starbench.sweeps.locate import LocatedRun, RunOptions
    from starbench.sweeps.plan import PlannedRun

PLANNING = ("methods", "tasks", "data", "snr", "scale", "seeds", "settings", "preset")


@click.command(
    cls=Command,
    loads="starbench.runs.runner",
    example="starbench sweep --method fader --scale mini --seeds 0-4\n"
    "starbench sweep --method all --task all --seeds 0-4 --jobs 4\n"
    "starbench sweep --method nuisance --task all --plan plan.jsonl\n"
    "starbench sweep --from-plan plan.jsonl --shard auto\n"
    "starbench sweep --from-plan plan.jsonl --backend submitit --config cluster.yml\n"
    "starbench sweep --from-plan plan.jsonl --collect",
)
@option(
    "--method",
    "methods",
    multiple=True,
    metavar="METHOD",
    help="A name listed by `starbench methods`, PATH.py:CLASS, or a group: all, controls, or the "
    "label access none, nuisance, pairs or oracle without controls; may be repeated.",
)
@option(
    "--task",
    "tasks",
    multiple=True,
    metavar="TASK",
    show_default="apogee-giants",
    help="A name listed by `starbench tasks`, PATH.py:CLASS, a suite such as giants-v1, or all; "
    "may be repeated.",
)
@data_option
@snr_option
@scale_option
@option(
    "--seeds",
    metavar="LIST",
    show_default="0-2",
    help="Seeds to run, such as 0-4 or 0,3,7.",
)
@option(
    "--set",
    "settings",
    multiple=True,
    metavar="KEY=VALUE[,VALUE...]",
    help="Set a hyperparameter; all combinations of the listed values are run. May be repeated.",
)
@preset_option
@option(
    "--plan",
    "plan_file",
    type=UserPath(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Write the runs that are not finished to FILE, as JSON lines, and run none.",
)
@option(
    "--from-plan",
    type=UserPath(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Take the runs from FILE, as written by --plan.",
)
@option(
    "--jobs",
    type=click.IntRange(min=1),
    metavar="N",
    show_default="1",
    callback=few_enough(most_processes),
    help="Number of runs at a time; with --backend submitit the number of jobs to which the runs "
    "are dealt, by default one for each.",
)
@option(
    "--shard",
    metavar="I/N",
    help="Take the I-th of N equal shares of the runs; auto is the share of this task of a SLURM "
    "job array.",
)
@backend_option
@config_option
@option("--wait", is_flag=True, help="Wait for the jobs of --backend submitit to end.")
@option(
    "--collect",
    is_flag=True,
    help="Run nothing; show what the runs have left in --out: those of --method or --from-plan, "
    "otherwise all, or those of --task, --seeds and --scale.",
)
@device_option
@option(
    "--threads",
    type=click.IntRange(min=1),
    metavar="N",
    show_default="the available cores divided by --jobs, or those of a job in --config",
    callback=few_enough(most_threads),
    help="Number of CPU threads of each run.",
)
@out_option
@cache_option
@force_option
@quiet_option
@click.pass_context
def sweep(
    context: click.Context,
    methods: tuple[str, ...],
    tasks: tuple[str, ...],
    data: Path | None,
    snr: float | None,
    scale: str | None,
    seeds: str | None,
    settings: tuple[str, ...],
    preset: str | None,
    plan_file: Path | None,
    from_plan: Path | None,
    jobs: int | None,
    shard: str | None,
    backend: str | None,
    config: Path | None,
    wait: bool,
    collect: bool,
    device: str,
    threads: int | None,
    out: Path,
    cache: Path | None,
    force: bool,
    quiet: bool,
) -> None:
    """Run several methods, tasks, seeds and settings.

    Each run is a process of its own, in the folder that `starbench run` would use. Finished runs
    are left out; a run that fails stops no other; a run that another process holds is passed over
    and looked at again at the end, so that several sweeps share the work. Repeating the command
    continues a stopped sweep. At the end a table shows all runs, and another what failed and why.
    """
    from starbench.common.threads import available_cores
    from starbench.runs.runner import resolved_device
    from starbench.sweeps.locate import RunOptions, locate
    from starbench.sweeps.plan import holds_a_plan, read_plan, write_plan
    from starbench.sweeps.shard import parse_shard
    from starbench.sweeps.state import FINISHED, state_of

    if from_plan is not None and _given(context, PLANNING):
        raise click.UsageError("Give either --from-plan or the options of a plan, not both.")
    if backend is None and config is not None:
        raise click.UsageError("Give --backend submitit or --backend dask with --config.")
    if wait and backend != "submitit":
        raise click.UsageError("Give --wait only with --backend submitit; others wait anyway.")
    if jobs is not None and backend == "dask":
        raise click.UsageError("Give the number of workers in --config in place of --jobs.")
    if plan_file is not None and collect:
        raise click.UsageError("Give either --plan or --collect, not both.")
    planned_before = plan_file is not None and holds_a_plan(plan_file)
    if collect and from_plan is None and not methods:
        for name in _given(context, ("data", "snr", "settings", "preset", "shard")):
            raise click.UsageError(f"Give {name} with --collect only where --method is given, too.")
        report(_found(out, tasks, seeds, scale, cache), ended=False)
        return
    cluster = None if backend is None else configuration(backend, config)
    cores = max(1, available_cores() // (jobs or 1)) if cluster is None else cluster.cores
    options = RunOptions(
        out,
        cache,
        # The machine that submits may lack the device of those that run.
        resolved_device(device, here=cluster is None or device == "auto"),
        threads or cores,
        force,
        quiet or cluster is not None or jobs not in (None, 1),
    )
    if from_plan is not None:
        plan = read_plan(from_plan)
    else:
        plan = _plan(methods, tasks, data, snr, scale, seeds, settings, preset)
    runs = locate(plan, options, named=from_plan is not None)
    if shard is not None:
        runs = parse_shard(shard).of(runs)
    if plan_file is not None:
        left = [each.run for each in runs if force or state_of(each.folder) not in FINISHED]
        if left:
            write_plan(plan_file, left)
            click.echo(f"{plan_file}: {len(left)} runs; {len(runs) - len(left)} are finished.")
        else:
            kept = "the plan that is there stays" if planned_before else "no file is written"
            click.echo(f"{plan_file}: none of {len(runs)} runs is left, so {kept}.")
        return
    if collect or _work(runs, options, jobs, cluster, wait, quiet):
        report(runs, ended=not collect)


def _given(context: click.Context, names: tuple[str, ...]) -> list[str]:
    """Return those of some options that are given, as they are written."""
    return [
        parameter.opts[0]
        for parameter in context.command.params
        if parameter.name in names and context.params[parameter.name] not in (None, ())
    ]


def _found(
    out: Path,
    tasks: tuple[str, ...],
    seeds: str | None,
    scale: str | None,
    cache: Path | None,
) -> list["LocatedRun"]:
    """Return the runs in a folder, of some tasks, seeds and a scale.

    Raises
    ------
    SettingError
        If there are none.
    """
    from starbench.common.settings import SettingError
    from starbench.sweeps.collect import chosen, runs_in
    from starbench.sweeps.groups import expand_tasks
    from starbench.sweeps.plan import parse_seeds
    from starbench.tasks.registry import get_task

    # Runs may be of tasks that are not installed here, so only files are loaded.
    names = [
        get_task(task, cache=cache).name if ".py:" in task else task for task in expand_tasks(tasks)
    ]
    everything = runs_in(out)
    if not everything:
        found = "holds no runs" if out.exists() else "does not exist"
        raise SettingError(f"--out {out} {found}; give the folder of the runs.")
    runs = chosen(
        everything, tasks=names, seeds=() if seeds is None else parse_seeds(seeds), scale=scale
    )
    if not runs:
        raise SettingError(
            f"None of the {len(everything)} runs in {out} is of the given --task, --seeds and "
            "--scale; change or leave out one of them."
        )
    return runs


def configuration(backend: str, path: Path | None) -> "SubmititConfig | DaskConfig":
    """Return the checked content of --config."""
    from starbench.sweeps.backends.config import DaskConfig, SubmititConfig, read_config

    if backend == "dask":
        return read_config(path, DaskConfig)
    return read_config(path, SubmititConfig)


def _plan(
    methods: tuple[str, ...],
    tasks: tuple[str, ...],
    data: Path | None,
    snr: float | None,
    scale: str | None,
    seeds: str | None,
    settings: tuple[str, ...],
    preset: str | None,
) -> list["PlannedRun"]:
    """Return the plan that the options describe."""
    from starbench.sweeps.groups import expand_methods, expand_tasks
    from starbench.sweeps.plan import make_plan, parse_seeds
    from starbench.tasks.registry import DEFAULT

    if not methods:
        raise click.UsageError("Give --method, or a plan with --from-plan.")
    if tasks and data is not None:
        raise click.UsageError("Give either --task or --data, not both.")
    return make_plan(
        expand_methods(methods),
        expand_tasks(tasks or (DEFAULT,)),
        parse_seeds("0-2" if seeds is None else seeds),
        settings,
        data=None if data is None else str(data),
        snr=snr,
        scale=scale,
        preset=preset,
    )


def _work(
    runs: list["LocatedRun"],
    options: "RunOptions",
    jobs: int | None,
    cluster: "SubmititConfig | DaskConfig | None",
    wait: bool,
    quiet: bool,
) -> bool:
    """Work off runs; return False if they are only submitted."""
    from starbench.common.signals import signals_raised
    from starbench.sweeps.backends.config import SubmititConfig
    from starbench.sweeps.local import run_here
    from starbench.sweeps.locate import command_of
    from starbench.sweeps.work import work_off

    for located in runs:
        if located.fault is not None:
            click.echo(f"{located.run} is not started: {located.fault}", err=True)
    commands = [command_of(located, options) for located in runs if located.fault is None]
    left = [command for command in commands if command.code_without_start() != 0]
    if not left:
        return True
    if cluster is None:
        with signals_raised():
            work_off(left, lambda some: run_here(some, jobs or 1, quiet=quiet))
    elif isinstance(cluster, SubmititConfig):
        from starbench.sweeps.backends.submitit import FOLDER, submit, wait_for

        submitted = submit(left, jobs, cluster, options.out)
        click.echo(
            f"{len(left)} runs are submitted as {len(submitted)} jobs, with logs in "
            f"{options.out / FOLDER}; --collect in place of --backend shows how far they are."
        )
        if not wait:
            return False
        wait_for(submitted, quiet=quiet)
    else:
        from starbench.sweeps.backends.dask import dask_cluster

        with signals_raised(), dask_cluster(cluster, quiet=quiet) as launch:
            work_off(left, launch)
    return True


def report(runs: list["LocatedRun"], *, ended: bool) -> None:
    """Print the tables of runs.

    Raises
    ------
    Failure
        If a run diverged, failed or stopped, or, where the sweep has ended, was not started.
    """
    from starbench.sweeps.collect import counts, faults_table, summary_table
    from starbench.sweeps.state import FAULTY, State

    click.echo(summary_table(runs))
    faults = faults_table(runs, (*FAULTY, State.ABSENT) if ended else FAULTY)
    if faults:
        click.echo(f"\n{faults}")
        raise Failure(f"Not all of the {len(runs)} runs ended well: {counts(runs)}.")
