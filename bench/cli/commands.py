"""click classes with an example in every help text, which refuse options given twice."""

import os
from collections.abc import Callable
from importlib import import_module
from typing import Any

import click

from starbench.cli.errors import debugging, in_one_sentence
from starbench.common.paths import user_path
from starbench.common.signals import Terminated


class Option(click.Option):
    """An option whose help shows computed defaults like fixed ones, and no range of numbers."""

    def get_help_extra(self, ctx: click.Context) -> Any:
        """Return the notes in brackets after the help text, without the range of a number."""
        extra = super().get_help_extra(ctx)
        extra.pop("range", None)  # that of --seed would end in 9223372036854775807
        if isinstance(self.show_default, str):
            extra["default"] = self.show_default
        return extra


class UserPath(click.Path):
    """A path whose ``~`` is the user's home folder, however the shell passed it on."""

    def convert(
        self,
        value: str | os.PathLike[str],
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> Any:
        """Return the path."""
        return super().convert(user_path(value), param, ctx)


def option(*names: str, **settings: Any) -> Callable[[Any], Any]:
    """Add an `Option` to a command, as `click.option` does."""
    return click.option(*names, cls=Option, **settings)


class Command(click.Command):
    """A command whose help ends in an example and that refuses options given twice or empty.

    Parameters
    ----------
    example : str
        One or more command lines.
    loads : str, optional
        A module whose import takes seconds; it is imported first, while a clock runs.
    """

    def __init__(self, *args: Any, example: str, loads: str | None = None, **settings: Any):
        super().__init__(*args, **settings)
        self.example, self._loads = example, loads

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse the arguments; refuse an option given twice, of which click would use the last.

        An empty value, as of a variable of the shell that is not set, is refused too: as a path it
        would be the current folder, and other options would take their defaults.
        """
        given = list(args)
        rest = super().parse_args(ctx, args)
        if not ctx.resilient_parsing:
            values, _, order = self.make_parser(ctx).parse_args(given)
            for parameter in order:
                if _takes_one_value(parameter) and order.count(parameter) > 1:
                    raise click.UsageError(f"{parameter.opts[-1]} is given twice; give it once.")
                if _is_empty(values[parameter.name or ""]):
                    name = parameter.human_readable_name
                    if isinstance(parameter, click.Option):
                        name = parameter.opts[-1]
                    leave = "" if parameter.required else ", or leave it out"
                    raise click.UsageError(f"{name} is empty; give it a value{leave}.")
        return rest

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command, with the stages of its work on the screen unless it is quiet."""
        from starbench.common.progress import shown, stage

        with shown(quiet=ctx.params.get("quiet", False)):
            if self._loads:
                with stage("start"):
                    import_module(self._loads)
            return super().invoke(ctx)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the example."""
        write_lines("Example", self.example, formatter)


def _takes_one_value(parameter: click.Parameter) -> bool:
    return isinstance(parameter, click.Option) and not parameter.multiple and not parameter.is_flag


def _is_empty(value: Any) -> bool:
    """Return whether a value, or one of several, is an empty text."""
    return "" in value if isinstance(value, list | tuple) else value == ""


def write_lines(title: str, lines: str, formatter: click.HelpFormatter) -> None:
    """Write command lines as a section of a help text, unwrapped so that they can be copied."""
    with formatter.section(title):
        for line in lines.splitlines():
            formatter.write(f"{'':{formatter.current_indent}}{line}\n")


class Group(click.Group):
    """A group of commands whose help ends in an example.

    Parameters
    ----------
    example : str
        One or more command lines.
    """

    command_class = Command

    def __init__(self, *args: Any, example: str, **settings: Any):
        super().__init__(*args, **settings)
        self.example = example

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the example."""
        write_lines("Example", self.example, formatter)


class Program(Group):
    """The outermost group, which turns every exception into one sentence and an exit code.

    Parameters
    ----------
    shell_completion : str
        For each shell, the line that turns completion on.
    """

    def __init__(self, *args: Any, shell_completion: str, **settings: Any):
        super().__init__(*args, **settings)
        self.shell_completion = shell_completion

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the example, and how to turn on shell completion."""
        super().format_epilog(ctx, formatter)
        write_lines("Shell completion", self.shell_completion, formatter)

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command and turn its exceptions into a `click.ClickException`."""
        try:
            return super().invoke(ctx)
        except (click.ClickException, click.exceptions.Exit, click.Abort, BrokenPipeError):
            raise  # click ends quietly when the reader of a pipe, such as head, has gone
        except Terminated:
            raise  # the run has said so, and the exit code is right
        except (Exception, KeyboardInterrupt, SystemExit) as error:
            if debugging():
                raise
            raise in_one_sentence(error, ctx.invoked_subcommand) from error
