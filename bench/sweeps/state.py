"""How far a run is, as the files of its folder tell, whichever process or machine worked on it."""

import re
from enum import Enum

from starbench.results.schema import Row, read_row
from starbench.results.text import RowError, printable
from starbench.runs.run_folder import RunFolder

_LOG_END = 10_000  # bytes of a log in which its last line is looked for


class State(Enum):
    """How far a run is; the values are what tables show."""

    OK = "ok"
    DIVERGED = "diverged"
    FAILED = "failed"
    RUNNING = "running"
    STOPPED = "stopped"
    ABSENT = "not started"


FINISHED = (State.OK, State.DIVERGED)  # a run that failed is run again
FAULTY = (State.DIVERGED, State.FAILED, State.STOPPED)


def row_of(folder: RunFolder) -> Row | None:
    """Return the row of a run; None without one that can be read."""
    return _row_and_fault(folder)[0]


def _row_and_fault(folder: RunFolder) -> tuple[Row | None, str]:
    """Return the row of a run, and why one that is there cannot be read."""
    try:
        return (read_row(folder.row), "") if folder.row.exists() else (None, "")
    except RowError as error:
        return None, str(error)


def state_of(folder: RunFolder) -> State:
    """Return how far a run is; one that is stopped has begun, or said why it has not."""
    row = row_of(folder)
    if row is not None:
        return State(row.status)
    if folder.is_locked():
        return State.RUNNING
    if not (folder.row.exists() or folder.settings.exists() or last_line(folder)):
        return State.ABSENT
    # Between the two looks another process may have ended the run.
    row = row_of(folder)
    return State.STOPPED if row is None else State(row.status)


def reason_of(folder: RunFolder) -> str:
    """Return why a run has no figures: its row's message, or the last line that it said."""
    row, fault = _row_and_fault(folder)
    if row is not None:
        return row.message or ""
    if fault:
        return f"{fault}; the same command runs it again"
    return last_line(folder) or "it ended without a word; the same command continues it"


def last_line(folder: RunFolder) -> str:
    """Return the last line of a run's log, without what progress bars drew; empty without a log.

    Of a log that cannot be read, return why: one such run must not hide the others.
    """
    if folder.log.exists() and not folder.log.is_file():  # a pipe would be waited for
        return f"{folder.log} is not a file"
    try:
        with folder.log.open("rb") as file:
            file.seek(max(0, folder.log.stat().st_size - _LOG_END))
            text = file.read().decode(errors="replace")
    except FileNotFoundError:
        return ""
    except OSError as error:
        return f"{folder.log} cannot be read: {error.strerror}"
    lines = [line.strip() for line in re.split(r"[\r\n]", text)]
    return printable(next((line for line in reversed(lines) if line), "")).removeprefix("Error: ")
