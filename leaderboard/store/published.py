"""Published metric values, measured by others on other spectra and listed unranked."""

import csv
from dataclasses import dataclass
from importlib.resources import files

from starbench.metrics import METRICS


@dataclass(frozen=True)
class Published:
    """A line of a published table.

    Attributes
    ----------
    task : str
        The task that poses the same question, on other spectra.
    label_access, method, source : str
    gallery_size : int
        Number of stars among which twins were ranked.
    values : dict of str to float
        Values by metric; unpublished ones are absent.
    """

    task: str
    label_access: str
    method: str
    source: str
    gallery_size: int
    values: dict[str, float]


def published_results() -> list[Published]:
    """Return the published values in the order of ``published.csv``."""
    text = files("starbench.leaderboard").joinpath("published.csv").read_text(encoding="utf-8")
    return [
        Published(
            task=line["task"],
            label_access=line["label_access"],
            method=line["method"],
            source=line["source"],
            gallery_size=int(line["gallery_size"]),
            values={name: float(text) for name, text in line.items() if name in METRICS and text},
        )
        for line in csv.DictReader(text.splitlines())
    ]
