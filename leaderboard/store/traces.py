"""What figures need of a run beyond its row and ranks: the history of the fit, one star's spectra.

A run's folder holds both whole; beside a row of the leaderboard lies what a figure shows of them:
``<row>.history.csv``, a line an epoch, and ``<row>.example.h5``, the 300 pixels of one test star in
which its spectrum varies most. Either may be missing. These files come from strangers as rows do:
only numbers are taken from them, each checked, and column names of plain characters.
"""

import re
from dataclasses import dataclass
from pathlib import Path

from starbench.common.files import atomic_path
from starbench.results import history as results_history
from starbench.results.example import Example, read_example, write_example
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
    """What is known of a run beside its row.

    Attributes
    ----------
    history : tuple of Epoch
        What each epoch reported; empty if nothing is known.
    example : Example or None
    """

    history: tuple[Epoch, ...] = ()
    example: Example | None = None


def trace_files(row: Path) -> tuple[Path, Path]:
    """Return where history and example of a row lie: in the folder of a run, or beside the row."""
    if row.name == "row.json":
        return row.with_name("history.csv"), row.with_name("example.h5")
    stem = row.name.removesuffix(".json")
    return row.with_name(f"{stem}.history.csv"), row.with_name(f"{stem}.example.h5")


def read_trace(row: Path) -> Trace:
    """Read and check what lies beside a row.

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
    """Keep beside a row what a figure shows of a trace, and nothing where there is nothing."""
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
        raise RowError(f"{name}: not a file of at most {MAX_HISTORY_BYTES:,} bytes; remove it")
    history = results_history.read_history(path)
    columns = {column for row in history for column in row}
    if len(columns) > _MAX_COLUMNS or len(history) > _MAX_LINES:
        raise RowError(
            f"{name}: a history has at most {_MAX_COLUMNS} columns and {_MAX_LINES:,} lines; "
            "restore it as the run wrote it"
        )
    if not all(_COLUMN.fullmatch(column) for column in columns):
        raise RowError(
            f"{name}: a history has columns named by letters, digits and `_.-`; "
            "restore it as the run wrote it"
        )
    if any(abs(value) >= _LARGEST for row in history for value in row.values()):
        raise RowError(f"{name}: a history holds numbers below 1e30; remove it to do without")
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
