"""The colour maps of one track: recovery by element, and over temperature and gravity."""

import math
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import QuadMesh
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from starbench.leaderboard.statistics.columns import RECOVERY, percent
from starbench.leaderboard.web.drawing import SiteFigure, style, svg
from starbench.leaderboard.web.model import Track, legend_name
from starbench.leaderboard.web.numbers import over_plane


def element_map(track: Track) -> SiteFigure | None:
    """Draw the recovery of each element by each method; None without rows that have it."""
    recovery = _recovery(track)
    if not recovery:
        return None
    elements = sorted(
        {element for values in recovery.values() for element in values},
        key=lambda element: (
            -max(values.get(element, -math.inf) for values in recovery.values()),
            element,
        ),
    )
    grid = np.array(
        [[values.get(element, np.nan) for element in elements] for values in recovery.values()]
    )
    with style():
        figure = Figure(figsize=(9.4, 1.3 + 0.26 * len(recovery)), layout="constrained")
        axes = figure.subplots()
        mesh = _cells(axes, grid)
        for (row, column), value in np.ndenumerate(grid):
            if np.isfinite(value):
                # These two follow the cell, not the page, so the dark scheme leaves them alone.
                colour = "#000001" if value > 0.55 else "#fffffe"
                text = f"{value:.2f}" if value > -10 else "<-10"
                axes.text(column + 0.5, row + 0.5, text, ha="center", va="center", fontsize=6.5,
                          color=colour)  # fmt: skip
        _categories(axes, [legend_name(name) for name in recovery], elements)
        figure.colorbar(mesh, ax=axes, label="R²", pad=0.01, fraction=0.03)
    best, values = next(iter(recovery.items()))
    return SiteFigure(
        f"elements-{track.task}",
        f"Recovery by element: {track.task}",
        "Held-out R² of each abundance, predicted from the latent by a small network, mean over "
        "seeds. Methods are sorted by their share of nearest twins, elements by their best R².",
        f"Colour map on {track.task}: methods by elements. {best} reaches "
        f"{values.get(elements[0], math.nan):.2f} for {elements[0]} and "
        f"{values.get(elements[-1], math.nan):.2f} for {elements[-1]}.",
        svg(figure),
    )


def plane_map(track: Track) -> SiteFigure | None:
    """Draw each method's recovery over the plane of two nuisances; None for other tasks."""
    standings = track.best_first()
    nuisance = track.nuisance
    if nuisance is None or nuisance.shape[2] != 2 or not standings:
        return None
    across = min(5, len(standings))
    down = -(-len(standings) // across)
    with style():
        figure = Figure(figsize=(9.4, 0.9 + 1.75 * down), layout="constrained")
        grid = figure.subplots(down, across, squeeze=False, sharex=True, sharey=True)
        for axes in grid.flat[len(standings) :]:
            axes.set_axis_off()
        for axes, standing in zip(grid.flat, standings, strict=False):
            first, second, mean = over_plane(standing.found, nuisance)
            mesh = _cells(axes, mean, first, second)
            axes.set_title(_wrapped(legend_name(standing.name)), fontsize=7)
            axes.grid(False)
            axes.tick_params(labelsize=7)
        # As in a Hertzsprung-Russell diagram: hot stars on the left, giants on top.
        grid[0, 0].invert_xaxis()
        grid[0, 0].invert_yaxis()
        figure.supxlabel("Teff [K]", fontsize=9)
        figure.supylabel("log g", fontsize=9)
        bar = figure.colorbar(
            mesh, ax=grid, label="share of stars whose twin is nearest", pad=0.01, fraction=0.03
        )
        bar.ax.yaxis.set_major_formatter(PercentFormatter(1.0))
    best = standings[0]
    lowest = float(np.nanmin(over_plane(best.found, nuisance)[2]))
    return SiteFigure(
        f"plane-{track.task}",
        f"Recovery over temperature and gravity: {track.task}",
        "The share of stars whose twin is nearest, by the star's own effective temperature and "
        "log g; some 500 stars per cell.",
        f"Maps on {track.task}, one for each method, with one colour scale. {best.name} finds at "
        f"least {percent(lowest)} % in every cell.",
        svg(figure),
    )


def _recovery(track: Track) -> Mapping[str, dict[str, float]]:
    """Return the R² of each element by method, mean over seeds, the best method first."""
    prefix = f"{RECOVERY}."
    recovery = {}
    for standing in track.best_first():
        rows = [entry.row.metrics for entry in standing.group.entries]
        names = sorted(name for name in rows[0] if name.startswith(prefix))
        if names and all(name in row for name in names for row in rows):
            recovery[standing.name] = {
                name.removeprefix(prefix): math.fsum(row[name].value for row in rows) / len(rows)
                for name in names
            }
    return recovery


def _cells(axes: Axes, values: np.ndarray, *edges: np.ndarray) -> QuadMesh:
    """Draw cells over their edges, where a viewer would show the page between two cells."""
    return axes.pcolormesh(
        *edges, values, cmap="cividis", vmin=0, vmax=1, edgecolors="face", linewidth=0.4
    )


def _categories(axes: Axes, rows: Sequence[str], columns: Sequence[str]) -> None:
    axes.set_yticks(np.arange(len(rows)) + 0.5, rows, fontsize=7.5)
    axes.set_xticks(np.arange(len(columns)) + 0.5, columns, fontsize=7.5)
    axes.invert_yaxis()
    axes.xaxis.tick_top()
    axes.tick_params(length=0)
    axes.grid(False)
    for spine in axes.spines.values():
        spine.set_visible(False)


def _wrapped(name: str) -> str:
    """Break a long name over two lines."""
    half = name.find(" ", len(name) // 3)
    return name if len(name) <= 22 or half < 0 else f"{name[:half]}\n{name[half + 1 :]}"
