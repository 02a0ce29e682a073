"""A run's trace: what figures show of it beside its row and ranks.

Beside a row are ``<row>.history.csv``, one line an epoch, and ``<row>.example.h5``, the 300 pixels
of one test star in which its spectrum varies most; the run's folder holds both in full. Either may
be missing. Both are untrusted files, like rows: only numbers are taken from them, each checked, and
column names of letters, digits and ``_.-``.
"""

from dataclasses import dataclass
from pathlib import Path

from starbench.leaderboard.store.trace_example import Example, read_example, write_example
from starbench.leaderboard.store.trace_history import History, read_history, write_history


@dataclass(frozen=True)
class Trace:
    """What is known of a run beside its row and ranks.

    Attributes
    ----------
    history : tuple of dict of str to float
        What each epoch reported, its number as ``epoch``; empty without a history.
    example : Example or None
    """

    history: History = ()
    example: Example | None = None


def trace_files(row: Path) -> tuple[Path, Path]:
    """Return the paths of history and example, beside the row or in the folder of a run."""
    if row.name == "row.json":
        return row.with_name("history.csv"), row.with_name("example.h5")
    stem = row.name.removesuffix(".json")
    return row.with_name(f"{stem}.history.csv"), row.with_name(f"{stem}.example.h5")


def read_trace(row: Path) -> Trace:
    """Read and check the trace of a row.

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
    """Write the part of a trace that figures show, and remove files that it lacks."""
    history, example = trace_files(Path(row))
    if trace.history:
        write_history(history, trace.history)
    else:
        history.unlink(missing_ok=True)
    if trace.example is not None:
        write_example(example, trace.example)
    else:
        example.unlink(missing_ok=True)
