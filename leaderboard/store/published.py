"""Figures that others published on spectra of their own: shown beside the rows, never mixed in."""

import csv
from dataclasses import dataclass
from importlib.resources import files

_FIGURES = (
    "reconstruction_mse",
    "swapped_reconstruction_mse",
    "doppelganger_free",
    "doppelganger_0.1",
    "doppelganger_1",
)


@dataclass(frozen=True)
class Published:
    """One line of a published table.

    Attributes
    ----------
    task : str
        The task that asks the same question; its spectra are others.
    label_access, method, source : str
    gallery_size : int
        Number of stars among which twins were ranked.
    figures : dict of str to float
        By metric name; what was not published is absent.
    """

    task: str
    label_access: str
    method: str
    source: str
    gallery_size: int
    figures: dict[str, float]


def published_figures() -> list[Published]:
    """Return all published figures, in the order of the table that ships with starbench."""
    text = files("starbench.leaderboard").joinpath("published.csv").read_text(encoding="utf-8")
    return [
        Published(
            task=line["task"],
            label_access=line["label_access"],
            method=line["method"],
            source=line["source"],
            gallery_size=int(line["gallery_size"]),
            figures={name: float(line[name]) for name in _FIGURES if line[name]},
        )
        for line in csv.DictReader(text.splitlines())
    ]
