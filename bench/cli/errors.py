"""Which exceptions are the user's to mend, and what a command says and exits with for each."""

import os
import sys

import click

# Where each is defined. An error whose module was never imported cannot have been raised, so none
# is imported here: torch behind some of them takes seconds.
USER_ERRORS = (
    ("starbench.common.settings", "SettingError"),
    ("starbench.tasks.errors", "DataError"),
    ("starbench.results.text", "RowError"),
)
RESUMED = ("run", "sweep")  # commands that go on where they were
STOPPED = "Stopped; the same command continues from the last checkpoint."


class Report(click.ClickException):
    """A sentence for the terminal and an exit code: 2 for the user's mistakes, 1 for failures."""

    def __init__(self, message: str, exit_code: int):
        super().__init__(message)
        self.exit_code = exit_code


def report(error: BaseException, command: str | None = None) -> Report:
    """Turn any exception into what the terminal shows of it, which may depend on the command."""
    if isinstance(error, KeyboardInterrupt):
        return Report(STOPPED if command in RESUMED else "Stopped.", 130)
    if isinstance(error, _loaded(USER_ERRORS)):
        return Report(_sentence(error), 2)
    if isinstance(error, OSError):
        place = f"{error.filename}: " if error.filename else ""
        reason = " ".join((error.strerror or str(error)).split())
        return Report(f"{place}{reason.rstrip('.')}.", 1)
    if isinstance(error, MemoryError):
        return Report("Out of memory; choose a smaller --scale or a machine with more.", 1)
    return Report(
        f"{type(error).__name__}: {_sentence(error)} (set STARBENCH_DEBUG=1 for the traceback)", 1
    )


def debugging() -> bool:
    """Say whether the user asked for whole tracebacks."""
    return bool(os.environ.get("STARBENCH_DEBUG"))


def _loaded(places: tuple[tuple[str, str], ...]) -> tuple[type[BaseException], ...]:
    return tuple(
        getattr(sys.modules[module], name) for module, name in places if module in sys.modules
    )


def _sentence(error: BaseException) -> str:
    return " ".join(str(error).split())
