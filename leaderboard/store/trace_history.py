"""The history of a fit beside a row: read from an untrusted file, written thinned."""

import csv
import io
import itertools
import math
import re
from pathlib import Path
from typing import TypeAlias

from starbench.common.files import replacing
from starbench.results.text import RowError, printable

History: TypeAlias = tuple[dict[str, float], ...]

MAX_BYTES = 2_000_000  # of a file that is read
MAX_EPOCHS = 300  # of a history that is written, more than a figure's width resolves
_MAX_LINES = 100_000
_MAX_COLUMNS = 24
_COLUMN = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,63}")


def read_history(path: Path) -> History:
    """Read and check a history: named columns, ``epoch`` first, and finite numbers.

    Raises
    ------
    RowError
    """
    name = printable(path)
    if not path.is_file() or path.stat().st_size > MAX_BYTES:
        raise RowError(f"{name}: not a file of at most {MAX_BYTES:,} bytes; remove it")
    try:
        lines = list(csv.reader(io.StringIO(path.read_bytes().decode("ascii")), strict=True))
    except (UnicodeDecodeError, csv.Error):
        raise RowError(f"{name}: not a history in CSV; restore or remove it") from None
    if len(lines) < 2:
        return ()
    header, *body = lines
    if header[0] != "epoch" or len(set(header)) < len(header) or len(header) > _MAX_COLUMNS:
        raise RowError(
            f"{name}: a history has the column `epoch` first, no name twice, and at most "
            f"{_MAX_COLUMNS} columns; restore it as the run wrote it"
        )
    if not all(_COLUMN.fullmatch(column) for column in header) or len(body) > _MAX_LINES:
        raise RowError(
            f"{name}: a history has columns named by letters, digits and `_.-`, and at most "
            f"{_MAX_LINES:,} lines; restore it as the run wrote it"
        )
    epochs = []
    for number, line in enumerate(body, start=2):
        if len(line) != len(header):
            raise RowError(
                f"{name}: line {number} has {len(line)} fields, but the header has {len(header)}; "
                "restore it as the run wrote it"
            )
        epochs.append(
            {
                column: _number(text, f"{name}: line {number}, `{column}`")
                for column, text in zip(header, line, strict=True)
                if text
            }
        )
    numbers = [-1.0, *(values.get("epoch", -1.0) for values in epochs)]
    if any(later <= earlier for earlier, later in itertools.pairwise(numbers)):
        raise RowError(f"{name}: `epoch` should rise from line to line; restore it")
    return tuple(epochs)


def write_history(path: Path, history: History) -> None:
    """Write a history in six digits, thinned to at most `MAX_EPOCHS` epochs."""
    columns = list(dict.fromkeys(column for values in history for column in values))
    step = -(-len(history) // MAX_EPOCHS)
    # Thinned from the end, as the state was chosen from the last epochs.
    kept = history[::-1][::step][::-1]
    lines = [",".join(columns)]
    lines += [
        ",".join(f"{values[name]:.6g}" if name in values else "" for name in columns)
        for values in kept
    ]
    with replacing(path) as temporary:
        temporary.write_bytes(("\n".join(lines) + "\n").encode())


def _number(text: str, place: str) -> float:
    """Read a number that a figure can draw."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not abs(value) < 1e30:  # also refuses NaN
        raise RowError(f"{place} should be a number below 1e30; restore it as the run wrote it")
    return value
