"""The history of a fit: losses and diagnostics as a CSV file with one line per epoch."""

import csv
import io
import math
from collections.abc import Sequence
from pathlib import Path

from starbench.common.files import atomic_path
from starbench.results.text import RowError, printable

MEASURE = "validation_doppelganger_free"
"""The column with the share of nearest twins, by which a method's state is selected."""

Epoch = dict[str, float]
"""The values that one epoch reported, by name, and its number as ``epoch``."""


def write_history(path: Path, history: Sequence[Epoch]) -> None:
    """Write a history atomically; a quantity that an epoch did not report is left empty."""
    columns = list(dict.fromkeys(name for row in history for name in row))
    with atomic_path(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, columns)
        writer.writeheader()
        writer.writerows(history)


def read_history(path: Path) -> list[Epoch]:
    """Read and check a history.

    Raises
    ------
    RowError
        If it is not CSV with the column ``epoch`` first, rising whole numbers in it, and finite
        numbers in the others.
    """
    name = printable(path)
    try:
        text = path.read_bytes().decode("utf-8")
        lines = list(csv.reader(io.StringIO(text, newline=""), strict=True))
    except (UnicodeDecodeError, csv.Error):
        raise RowError(f"{name}: not a CSV history; restore or remove it") from None
    header, *body = lines or [[]]
    if not body:
        return []
    if header[0] != "epoch" or len(set(header)) < len(header):
        raise RowError(
            f"{name}: the first column should be `epoch`, and no name should occur twice; "
            "restore the run's file"
        )
    history = [_epoch(header, line, f"{name}: line {n}") for n, line in enumerate(body, start=2)]
    numbers = [row["epoch"] for row in history]
    if any(after <= before for before, after in zip([-1.0, *numbers], numbers, strict=False)):
        raise RowError(f"{name}: `epoch` should increase from line to line")
    return history


def _epoch(header: list[str], line: list[str], place: str) -> Epoch:
    """Return what one line holds; empty fields are left out."""
    if len(line) != len(header):
        raise RowError(f"{place} has {len(line)} fields, but the header has {len(header)}")
    row: Epoch = {}
    for column, text in zip(header, line, strict=True):
        try:
            if column == "epoch":
                row[column] = int(text)
            elif text:
                row[column] = float(text)
        except ValueError:
            row[column] = math.nan
        if not math.isfinite(row.get(column, 0.0)):
            raise RowError(f"{place}, `{column}` should be a finite number; restore the run's file")
    return row
