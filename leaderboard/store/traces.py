"""What figures need besides rows and ranks: the history of a fit and the spectra of one star.

A run's folder holds both in full. The leaderboard keeps only what a figure shows, next to the row:
``<row>.history.csv``, one line per epoch, and ``<row>.example.h5``, the 300 pixels of one test star
in which its spectrum varies most. Either may be missing. Like rows, these files are untrusted: only
checked numbers and column names of harmless characters are read from them.
"""

import re
from collections.abc import Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from starbench.common.files import atomic_path
from starbench.leaderboard.store.names import EXAMPLE, HISTORY, beside
from starbench.results import history as results_history
from starbench.results.example import Example, examples_end, read_example, write_example
from starbench.results.history import Epoch
from starbench.results.text import RowError, printable

MAX_HISTORY_BYTES = 2_000_000  # of a file that is read
MAX_EPOCHS = 300  # of a history that is kept: more than the width of a figure shows
_MAX_LINES = 100_000
_MAX_COLUMNS = 24
_LARGEST = 1e30  # larger numbers cannot be drawn
_COLUMN = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,63}")


@dataclass(frozen=True)
class Trace:
    """The history and the example star of a run.

    Attributes
    ----------
    history : tuple of Epoch
        What each epoch reported; empty if there is no history.
    example : Example or None
    """

    history: tuple[Epoch, ...] = ()
    example: Example | None = None


def trace_files(row: Path) -> tuple[Path, Path]:
    """Return the paths of a row's history and example: in the run's folder, or next to the row."""
    return beside(row, HISTORY), beside(row, EXAMPLE)


def reading_traces(rows: Iterable[Path]) -> AbstractContextManager[None]:
    """Return a context within which `read_trace` starts no child process for each of these rows."""
    return examples_end(trace_files(row)[1] for row in rows)


def read_trace(row: Path) -> Trace:
    """Read and check the history and the example of a row.

    Raises
    ------
    RowError
        With one sentence that names the file and what is wrong.
    """
    history, example = trace_files(Path(row))
    return Trace(
        read_history(history) if history.exists() else (),
        read_example(example) if example.exists() else None,
    )


def write_trace(row: Path, trace: Trace) -> None:
    """Write what a figure shows of a trace next to a row; remove files of what the trace lacks."""
    history, example = trace_files(Path(row))
    if trace.history:
        with atomic_path(history) as temporary:
            temporary.write_bytes(_history_text(trace.history).encode())
    else:
        history.unlink(missing_ok=True)
    if trace.example is not None:
        write_example(example, trace.example.stretch())
    else:
        example.unlink(missing_ok=True)


def read_history(path: Path) -> tuple[Epoch, ...]:
    """Read a history as untrusted text: bounded, with plain column names and drawable numbers.

    Raises
    ------
    RowError
        With one sentence that names the file and what is wrong.
    """
    name = printable(path)
    if not path.is_file() or path.stat().st_size > MAX_HISTORY_BYTES:
        raise RowError(f"{name}: not a file, or larger than {MAX_HISTORY_BYTES:,} bytes; remove it")
    history = results_history.read_history(path)
    columns = {column for row in history for column in row}
    if len(columns) > _MAX_COLUMNS or len(history) > _MAX_LINES:
        raise RowError(
            f"{name}: the history exceeds {_MAX_COLUMNS} columns or {_MAX_LINES:,} lines; "
            "restore it as the run wrote it"
        )
    if not all(_COLUMN.fullmatch(column) for column in columns):
        raise RowError(
            f"{name}: column names may contain only letters, digits and `_.-`; "
            "restore the history as the run wrote it"
        )
    if any(abs(value) >= _LARGEST for row in history for value in row.values()):
        raise RowError(f"{name}: the history holds a number of 1e30 or more; remove it")
    return tuple(history)


def _history_text(history: tuple[Epoch, ...]) -> str:
    columns = list(dict.fromkeys(column for row in history for column in row))
    step = -(-len(history) // MAX_EPOCHS)
    # The last epochs are those that the state was selected from: thin from the end.
    kept = history[::-1][::step][::-1]
    lines = [",".join(columns)]
    lines += [",".join(_number(row, name) for name in columns) for row in kept]
    return "\n".join(lines) + "\n"


def _number(row: Epoch, name: str) -> str:
    if name not in row:
        return ""
    return f"{row[name]:.0f}" if name == "epoch" else f"{row[name]:.6g}"
