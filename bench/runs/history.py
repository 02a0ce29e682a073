"""The history of a fit: what each epoch reported, as CSV and beside the progress bar."""

import csv
from pathlib import Path
from typing import Any

from starbench.common.files import replacing

MEASURE = "validation_doppelganger_free"  # the column of what the selection of a state goes by


def summary(row: dict[str, Any]) -> str:
    """Return the losses of an epoch, the adversary's against chance, for the progress bar."""
    row = dict(row)
    row.pop("epoch", None)
    chance = row.pop("chance_cross_entropy", None)
    parts = []
    for name, value in row.items():
        text = f"{value:.1%}" if name == MEASURE else f"{value:.3g}"
        if name == "adversary_cross_entropy" and chance is not None:
            text = f"{value:.3f} of {chance:.3f}"
        parts.append(f"{_SHORT.get(name, name.replace('_', ' '))} {text}")
    return ", ".join(parts)


_SHORT = {
    "reconstruction_mse": "mse",
    "adversary_cross_entropy": "adversary",
    MEASURE: "twins nearest",
}


def write_history(path: Path, history: list[dict[str, Any]]) -> None:
    """Write one line an epoch, whole or not at all; what an epoch did not measure stays empty."""
    columns = list(dict.fromkeys(name for row in history for name in row))
    with replacing(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, columns)
        writer.writeheader()
        writer.writerows(history)


def read_history(path: Path) -> list[dict[str, Any]]:
    """Read what `write_history` wrote."""
    with path.open(newline="", encoding="utf-8") as file:
        rows = csv.DictReader(file)
        return [
            {
                name: int(text) if name == "epoch" else float(text)
                for name, text in row.items()
                if text
            }
            for row in rows
        ]
