"""`starbench methods`, `tasks` and `check`: list, describe and test methods and tasks."""

from collections.abc import Iterable
from pathlib import Path

import click

from starbench.cli.commands import Command, option
from starbench.cli.errors import Failure
from starbench.cli.options import cache_option, set_option


@click.command(
    cls=Command,
    loads="starbench.cli.listing",
    example="starbench methods\nstarbench methods fader",
)
@click.argument("method", required=False)
@option("--verbose", "-v", is_flag=True, help="Describe every method.")
def methods(method: str | None, verbose: bool) -> None:
    """List the methods, or describe one.

    METHOD is a name in the list, or PATH.py:CLASS; its hyperparameters are listed with their
    defaults, ranges and meanings.
    """
    from starbench.cli.listing import describe_method, methods_table
    from starbench.common.plugins import each_loaded
    from starbench.common.settings import SettingError
    from starbench.methods.registry import PLUGINS, get_method, method_names

    if method is not None:
        click.echo(describe_method(get_method(method)))
        return
    classes, faults = each_loaded(method_names(), get_method, SettingError)
    click.echo(methods_table(list(classes.values())))
    for fault in (*faults.values(), *PLUGINS.shadowed()):
        click.echo(fault, err=True)
    if verbose:
        for each in classes.values():
            click.echo("\n" + describe_method(each))


@click.command(
    cls=Command,
    loads="starbench.cli.listing",
    example="starbench tasks\nstarbench tasks apogee-giants-snr50",
)
@click.argument("task", required=False)
def tasks(task: str | None) -> None:
    """List the tasks, or describe one.

    TASK is a name in the list, or PATH.py:CLASS.
    """
    from starbench.cli.listing import describe_task, tasks_table
    from starbench.common.plugins import each_loaded
    from starbench.tasks.errors import DataError
    from starbench.tasks.registry import PLUGINS, get_task, task_names

    if task is not None:
        click.echo(describe_task(get_task(task)))
        return
    found, faults = each_loaded(task_names(), get_task, DataError)
    click.echo(tasks_table(list(found.values())))
    for fault in (*faults.values(), *PLUGINS.shadowed()):
        click.echo(fault, err=True)


@click.command(
    cls=Command,
    loads="starbench.runs.check",
    example="starbench check my_method.py:MyMethod\nstarbench check --task my_task.py:MyTask",
)
@click.argument("method", required=False)
@option("--task", metavar="TASK", help="Test this task instead: its name, or PATH.py:CLASS.")
@set_option
@cache_option
def check(
    method: str | None, task: str | None, settings: tuple[str, ...], cache: Path | None
) -> None:
    """Test whether a method or a task meets its contract.

    METHOD is a name listed by `starbench methods`, or PATH.py:CLASS; it is trained on 256 spectra.
    The contracts are listed in methods/README.md and
    tasks/README.md. Exits with 1 if a clause fails.
    """
    from starbench.tasks.registry import get_task

    if (method is None) == (task is None):
        raise click.UsageError("Give either METHOD or --task.")
    if method is None:
        if settings:
            raise click.UsageError("--set is for METHOD; leave it out with --task.")
        from starbench.tasks.contract import check_task

        subject = get_task(task, cache=cache)
        _report(subject.name, check_task(subject))
        return
    from starbench.methods.registry import get_method, make_hyperparameters
    from starbench.runs.check import check as check_method

    method_class = get_method(method)
    hyperparameters = make_hyperparameters(method_class, None, settings)
    _report(method_class.name, check_method(get_task(cache=cache), method_class, hyperparameters))


def _report(name: str, results: Iterable[tuple[str, str | None]]) -> None:
    """Print each clause of a contract with `pass` or `FAIL`, and what to change."""
    from starbench.common.progress import awaited

    failures = 0
    for clause, problem in awaited(results, "check"):
        click.echo(f"{'pass' if problem is None else 'FAIL'}  {clause.replace('_', ' ')}")
        if problem is not None:
            failures += 1
            click.echo(f"      {problem}")
    if failures:
        raise Failure(f"{name} fails {failures} of the contract's clauses; see FAIL above.")
    click.echo(f"{name} meets the contract.")
