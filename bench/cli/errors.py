"""Exceptions as one-sentence messages with an exit code: 2 if the user can fix it, otherwise 1."""

import os
import sys

import click

from starbench.common.text import escaped, one_line
from starbench.runs.run_folder import BUSY_EXIT_CODE, RunFolderBusy

# User-fixable errors, by the module that defines each. The modules are not imported here, as some
# import torch, which takes seconds; an error of a module that was never imported cannot occur.
USER_ERRORS = (
    ("starbench.common.checkpoint", "CheckpointError"),
    ("starbench.common.hdf5_guards", "OpenElsewhere"),
    ("starbench.common.settings", "SettingError"),
    ("starbench.tasks.errors", "DataError"),
    ("starbench.results.text", "RowError"),
)
RESUMABLE = ("run", "score", "sweep", "tune")  # commands that continue where they were stopped


class UserError(click.ClickException):
    """A user-fixable error: one sentence that names what to change; exit code 2."""

    exit_code = 2


class Busy(UserError):
    """Another process works on the same run; the exit code lets programs try again later."""

    exit_code = BUSY_EXIT_CODE


class Failure(click.ClickException):
    """A failure that is not the user's mistake, such as a diverged run; exit code 1."""

    exit_code = 1


class Stopped(click.ClickException):
    """The user interrupted the command; the exit code is that of a program ended by Ctrl-C."""

    exit_code = 130


def in_one_sentence(error: BaseException, command: str | None = None) -> click.ClickException:
    """Turn any exception into the sentence that the terminal shows and an exit code.

    Parameters
    ----------
    error : BaseException
    command : str, optional
        Name of the command that raised it; some can be resumed.
    """
    if isinstance(error, KeyboardInterrupt):
        resumed = "; the same command continues from the last checkpoint"
        return Stopped(f"Stopped{resumed if command in RESUMABLE else ''}.")
    if isinstance(error, SystemExit):
        return Failure("Code of a method, a task or a library called sys.exit; remove the call.")
    if isinstance(error, RunFolderBusy):
        return Busy(escaped(one_line(error)))
    if isinstance(error, _imported(USER_ERRORS)):
        return UserError(escaped(one_line(error)))
    if isinstance(error, IsADirectoryError) and error.filename:
        folder = error.filename2 or error.filename  # the second is what a file was to replace
        return UserError(f"{escaped(str(folder))} is a folder; remove it, or give a file.")
    if isinstance(error, OSError):
        place = f"{escaped(str(error.filename))}: " if error.filename else ""
        reason = escaped(one_line(error.strerror or error))
        return Failure(f"{place}{reason.rstrip('.')}.")
    if isinstance(error, MemoryError):
        return Failure("Out of memory; choose a smaller --scale or a machine with more memory.")
    reason = f"{type(error).__name__}: {escaped(one_line(error))}"
    return Failure(f"{reason} (set STARBENCH_DEBUG=1 for the traceback)")


def debugging() -> bool:
    """Return whether the user asked for tracebacks."""
    return bool(os.environ.get("STARBENCH_DEBUG"))


def _imported(places: tuple[tuple[str, str], ...]) -> tuple[type[BaseException], ...]:
    """Return those of the named exception classes whose module is imported."""
    return tuple(
        getattr(sys.modules[module], name) for module, name in places if module in sys.modules
    )
