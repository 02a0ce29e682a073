"""The maps of one track: recovery by element, and over temperature and gravity."""

import math
from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from starbench.leaderboard.statistics.columns import RECOVERY, percent
from starbench.leaderboard.web.drawing import (
    MAX_CURVES,
    WIDTH,
    Panel,
    SiteFigure,
    style,
    svg,
)
from starbench.leaderboard.web.model import AXIS_LENGTH, Scored, Track, legend_name
from starbench.leaderboard.web.numbers import over_plane


@dataclass(frozen=True)
class ElementMap:
    """The recovery of each element by each method of a track.

    Attributes
    ----------
    elements : tuple of str
        The element that any method recovers best first.
    lines : tuple of (Scored, tuple of float or None)
        Each method with its R², mean over seeds; the best method first.
    """

    elements: tuple[str, ...]
    lines: tuple[tuple[Scored, tuple[float | None, ...]], ...]


def element_map(track: Track) -> ElementMap | None:
    """Return the recovery of each element by each method; None without rows that have it."""
    recovery = [(each, values) for each in track.best_first() if (values := _recovery(each))]
    if not recovery:
        return None
    elements = sorted(
        {element for _, values in recovery for element in values},
        key=lambda element: (
            -max(values.get(element, -math.inf) for _, values in recovery),
            element,
        ),
    )
    return ElementMap(
        tuple(elements),
        tuple((each, tuple(map(values.get, elements))) for each, values in recovery),
    )


def _recovery(standing: Scored) -> dict[str, float]:
    prefix = f"{RECOVERY}."
    rows = [entry.row.metrics for entry in standing.group.entries]
    names = sorted(name for name in rows[0] if name.startswith(prefix))
    if not all(name in row for name in names for row in rows):
        return {}
    return {
        name.removeprefix(prefix): math.fsum(row[name].value for row in rows) / len(rows)
        for name in names
    }


def plane_map(track: Track) -> SiteFigure | None:
    """Draw the best methods' recovery over the plane of two nuisances; None for other tasks."""
    standings = track.best_first(competing=True)[:MAX_CURVES]
    nuisance = track.nuisance
    if nuisance is None or nuisance.shape[2] != 2 or not standings:
        return None
    down = -(-len(standings) // 2)
    with style():
        figure = Figure(figsize=(WIDTH, 0.9 + 1.15 * down), layout="constrained")
        grid = figure.subplots(down, 2, squeeze=False, sharex=True, sharey=True)
        for axes in grid.flat[len(standings) :]:
            axes.set_axis_off()
        for axes, standing in zip(grid.flat, standings, strict=False):
            first, second, mean = over_plane(standing.found, nuisance)
            image = axes.imshow(
                mean, cmap="cividis", vmin=0, vmax=1, origin="lower", aspect="auto",
                interpolation="none", extent=(first[0], first[-1], second[0], second[-1]),
            )  # fmt: skip
            axes.set_title(legend_name(standing.name, AXIS_LENGTH), fontsize=7.5)
            axes.grid(False)
            axes.tick_params(labelsize=7.5)
        # As in a Hertzsprung-Russell diagram: hot stars on the left, giants on top.
        grid[0, 0].invert_xaxis()
        grid[0, 0].invert_yaxis()
        figure.supxlabel("Teff [K]", fontsize=8)
        figure.supylabel("log g", fontsize=8)
        bar = figure.colorbar(
            image, ax=grid, location="bottom", label="nearest twins", pad=0.02, fraction=0.04
        )
        bar.ax.xaxis.set_major_formatter(PercentFormatter(1.0))
    best = standings[0]
    lowest = float(np.nanmin(over_plane(best.found, nuisance)[2]))
    return SiteFigure(
        "plane",
        "Recovery over temperature and gravity",
        "The share of stars whose twin is nearest, by the star's own effective temperature and "
        f"log g, for the best {len(standings)} methods; some {_per_cell(nuisance, mean)} stars "
        "per cell."
        if len(standings) > 1
        else "The share of stars whose twin is nearest, by the star's own effective temperature "
        f"and log g; some {_per_cell(nuisance, mean)} stars per cell.",
        (
            Panel(
                f"{track.task}-plane",
                f"Maps, one for each method, with one colour scale. {best.name} finds at least "
                f"{percent(lowest)} % in every cell.",
                svg(figure),
            ),
        ),
    )


def _per_cell(nuisance: np.ndarray, mean: np.ndarray) -> str:
    """Return the mean number of stars of a cell, with one or two digits."""
    return f"{float(f'{nuisance[..., 0].size / mean.size:.1g}'):,.0f}"
