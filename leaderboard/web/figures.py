"""The figures of the site that compare methods, each track a panel."""

import math
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from starbench.leaderboard.statistics.columns import percent, scientific
from starbench.leaderboard.web.drawing import GREY, Look, looks, powers, style, svg
from starbench.leaderboard.web.model import Standing, Track, legend_name
from starbench.leaderboard.web.numbers import SHIFT_EDGES, by_shift, over_plane

BOUND = "information-bound"
CELLS = {  # drawn over their edges, where a viewer would show the page between two cells
    "cmap": "cividis", "vmin": 0, "vmax": 1, "edgecolors": "face", "linewidth": 0.4
}  # fmt: skip


@dataclass(frozen=True)
class Drawn:
    """A figure as a page shows it.

    Attributes
    ----------
    name : str
        Of its file, without the extension.
    title, caption, alt : str
    image : bytes
        SVG.
    """

    name: str
    title: str
    caption: str
    alt: str
    image: bytes

    @property
    def width(self) -> int:
        """Width of the image in pixels, so that a page keeps its place free while it loads."""
        return self._size[0]

    @property
    def height(self) -> int:
        """Height of the image in pixels."""
        return self._size[1]

    @property
    def _size(self) -> tuple[int, int]:
        box = re.search(rb'viewBox="0 0 ([0-9.]+) ([0-9.]+)"', self.image)
        return round(float(box[1]) / 0.75), round(float(box[2]) / 0.75)  # from points


def comparisons(tracks: Sequence[Track]) -> list[Callable[[], Drawn | None]]:
    """Return what draws each figure, in the order of the page; None where rows give nothing."""
    names = dict.fromkeys(
        standing.name for track in tracks for standing in _best_first(track.current)
    )
    shown = looks(list(names))
    jobs: list[Callable[[], Drawn | None]] = [
        lambda: _curves(tracks, shown),
        lambda: _against_snr(tracks, shown),
        lambda: _leakage(tracks, shown),
        lambda: _swapped(tracks, shown),
        lambda: _shift(tracks, shown),
    ]
    jobs += [lambda track=track: _elements(track) for track in tracks]
    jobs += [lambda track=track: _plane(track) for track in tracks]
    return jobs


# ------------------------------------------------------------------------------------------- panels


def _curves(tracks: Sequence[Track], shown: dict[str, Look]) -> Drawn | None:
    def draw(axes: Axes, standing: Standing, look: dict[str, Any]) -> None:
        curve = standing.curve
        axes.fill_between(curve.k, curve.low, curve.high, color=look["color"], alpha=0.2, lw=0)
        axes.plot(curve.k, curve.share, **look)

    def finish(axes: Axes) -> None:
        axes.set(xscale="log", xlabel="rank k", ylabel="twins within rank k", ylim=(0, 1.02))
        powers(axes.xaxis)
        axes.yaxis.set_major_formatter(PercentFormatter(1.0))

    figure = _panels(tracks, shown, _of_current, draw, finish)
    return figure and Drawn(
        "recovery",
        "Recovery against rank",
        "The share of stars whose twin is among the k nearest, of each method's newest version, "
        "mean over its seeds. The band is its 95 % interval over pairs and seeds.",
        "Line charts, one a track: share of twins found against rank k. " + _leaders(tracks),
        svg(figure),
    )


def _against_snr(tracks: Sequence[Track], shown: dict[str, Look]) -> Drawn | None:
    tracks = [track for track in tracks if track.task.partition("-snr")[0] == tracks[0].task]
    if len(tracks) < 2:
        return None
    places = {track.task: len(tracks) - 1 - place for place, track in enumerate(tracks)}
    points: dict[str, list[tuple[int, float, float, float]]] = {}
    bound: dict[str, bool] = {}
    for track in tracks:
        for standing in track.current:
            curve = standing.curve
            points.setdefault(standing.name, []).append(
                (places[track.task], curve.share[0], curve.low[0], curve.high[0])
            )
            bound[standing.name] = standing.row.method == BOUND
    with style():
        figure = Figure(figsize=(8.6, 5.6), layout="constrained")
        axes = figure.subplots()
        ceiling: dict[int, float] = {}
        for name in (name for name in points if bound[name]):
            for x, share, *_ in points[name]:
                ceiling[x] = max(share, ceiling.get(x, 0.0))
        if ceiling:
            x, y = zip(*sorted(ceiling.items()), strict=True)
            # The hatch is what no method can reach with these spectra.
            axes.fill_between(x, y, 1.0, facecolor="none", edgecolor=GREY, hatch="///", lw=0,
                              alpha=0.6, label="beyond the information bound")  # fmt: skip
        for name in shown:
            if name in points:
                x, y, low, high = np.array(sorted(points[name])).T
                look = _keywords(name, shown)
                axes.errorbar(x, y, (y - low, high - y), capsize=2, elinewidth=0.8, **look)
        axes.set_xticks(
            list(places.values()), [_snr(task) for task in places],
        )  # fmt: skip
        axes.set(xlabel="signal-to-noise ratio a pixel", ylabel="twins found nearest",
                 ylim=(0, 1.02))  # fmt: skip
        axes.yaxis.set_major_formatter(PercentFormatter(1.0))
        legend(figure, [axes])
    return Drawn(
        "snr",
        "Nearest twins against noise",
        "The share of stars whose twin is nearest, with its 95 % interval. The information bound "
        "is the most that these spectra tell, whatever the method.",
        "Line chart: share of nearest twins against the signal-to-noise ratio. " + _leaders(tracks),
        svg(figure),
    )


def _leakage(tracks: Sequence[Track], shown: dict[str, Look]) -> Drawn | None:
    def finish(axes: Axes) -> None:
        axes.set(xlabel="nuisance leakage, R² of the worst nuisance",
                 ylabel="composition recovery, mean R²")  # fmt: skip
        # A held-out R² has no lower end; methods far below zero are told by the table.
        axes.set(xlim=(-0.05, 1.03), ylim=(-0.05, 1.03))

    figure = _panels(
        tracks, shown, lambda track: _having(track, "leakage", "recovery"),
        _point("leakage", "recovery"), finish,
    )  # fmt: skip
    return figure and Drawn(
        "leakage",
        "Which methods leak, which keep chemistry",
        "What a small network reads from the latent: the nuisance that it reads best (less is "
        "better) against the mean over the abundances (more is better). The best corner is the "
        "upper left; bars are standard deviations over seeds.",
        "Scatter charts, one a track: composition recovery against nuisance leakage. "
        + _extremes(tracks, "leakage", "leaks least", min),
        svg(figure),
    )


def _swapped(tracks: Sequence[Track], shown: dict[str, Look]) -> Drawn | None:
    plain, swapped = "reconstruction_mse", "swapped_reconstruction_mse"

    def finish(axes: Axes) -> None:
        axes.set(xscale="log", yscale="log", xlabel="plain MSE", ylabel="swapped MSE")
        powers(axes.xaxis)
        powers(axes.yaxis)
        low = min(axes.get_xlim()[0], axes.get_ylim()[0])
        high = max(axes.get_xlim()[1], axes.get_ylim()[1])
        axes.plot((low, high), (low, high), color=GREY, lw=0.8, ls=(0, (4, 3)), zorder=1)
        axes.set(xlim=axes.get_xlim(), ylim=axes.get_ylim())

    figure = _panels(
        tracks, shown, lambda track: _having(track, plain, swapped), _point(plain, swapped), finish
    )
    return figure and Drawn(
        "swapped",
        "Swapped against plain reconstruction",
        "Mean squared error of a star from its twin's latent against that from its own. On the "
        "dashed line the swap costs nothing. Methods without a decoder are absent.",
        "Scatter charts, one a track: swapped against plain mean squared error. "
        + _extremes(tracks, swapped, "has the lowest swapped error", min),
        svg(figure),
    )


def _shift(tracks: Sequence[Track], shown: dict[str, Look]) -> Drawn | None:
    centres = (np.array(SHIFT_EDGES[1:]) + SHIFT_EDGES[:-1]) / 2

    def draw(axes: Axes, standing: Standing, look: dict[str, Any]) -> None:
        track = next(track for track in tracks if standing in track.standings)
        axes.plot(centres, by_shift(standing.found, _teff(track)), **look)

    def finish(axes: Axes) -> None:
        axes.set(xlabel="|ΔTeff| of the pair [K]", ylabel="twins found nearest", ylim=(0, 1.02))
        axes.yaxis.set_major_formatter(PercentFormatter(1.0))

    figure = _panels(
        tracks, shown, lambda track: track.current if _teff(track) is not None else [], draw, finish
    )
    return figure and Drawn(
        "shift",
        "Recovery against the pair's difference in temperature",
        "The share of stars whose twin is nearest, for pairs that differ by so much in effective "
        "temperature. A latent that holds no temperature gives a level line.",
        "Line charts, one a track: share of nearest twins against the difference of the twins' "
        "effective temperatures.",
        svg(figure),
    )


# ------------------------------------------------------------------------------------- small tables


def _elements(track: Track) -> Drawn | None:
    beginning = "composition_recovery.mlp."
    having = {}
    for standing in _best_first(track.current):
        rows = [entry.row.metrics for entry in standing.group.entries]
        names = sorted(name for name in rows[0] if name.startswith(beginning))
        if names and all(name in row for name in names for row in rows):
            having[standing.name] = {
                name.removeprefix(beginning): math.fsum(row[name].value for row in rows) / len(rows)
                for name in names
            }
    elements = sorted(
        {element for values in having.values() for element in values},
        key=lambda element: (
            -max(values.get(element, -math.inf) for values in having.values()),
            element,
        ),
    )
    if not having:
        return None
    with style():
        figure = Figure(figsize=(9.4, 1.3 + 0.26 * len(having)), layout="constrained")
        axes = figure.subplots()
        grid = np.array([[values.get(e, np.nan) for e in elements] for values in having.values()])
        mesh = axes.pcolormesh(grid, **CELLS)
        for (row, column), value in np.ndenumerate(grid):
            if np.isfinite(value):
                # These two follow the cell, not the page, so the dark scheme leaves them alone.
                colour = "#000001" if value > 0.55 else "#fffffe"
                text = f"{value:.2f}" if value > -10 else "<-10"
                axes.text(column + 0.5, row + 0.5, text, ha="center", va="center", fontsize=6.5,
                          color=colour)  # fmt: skip
        _categories(axes, [legend_name(name) for name in having], elements)
        figure.colorbar(mesh, ax=axes, label="R²", pad=0.01, fraction=0.03)
    best = next(iter(having))
    return Drawn(
        f"elements-{track.task}",
        f"Recovery by element: {track.task}",
        "Held-out R² of each abundance, read from the latent by a small network, mean over seeds; "
        "methods by their share of nearest twins, elements by the best that any method reaches.",
        f"Table of colours on {track.task}: methods by elements. {best} keeps {elements[0]} with "
        f"{having[best].get(elements[0], math.nan):.2f} and {elements[-1]} with "
        f"{having[best].get(elements[-1], math.nan):.2f}.",
        svg(figure),
    )


def _plane(track: Track) -> Drawn | None:
    standings = _best_first(track.current)
    if track.nuisance is None or track.nuisance.shape[2] != 2 or not standings:
        return None
    across = min(5, len(standings))
    down = -(-len(standings) // across)
    with style():
        figure = Figure(figsize=(9.4, 0.9 + 1.75 * down), layout="constrained")
        grid = figure.subplots(down, across, squeeze=False, sharex=True, sharey=True)
        for axes in grid.flat[len(standings) :]:
            axes.set_axis_off()
        for axes, standing in zip(grid.flat, standings, strict=False):
            first, second, mean = over_plane(standing.found, track.nuisance)
            mesh = axes.pcolormesh(first, second, mean, **CELLS)
            axes.set_title(_wrapped(legend_name(standing.name)), fontsize=7)
            axes.grid(False)
            axes.tick_params(labelsize=7)
        # As in a diagram of Hertzsprung and Russell: hot stars on the left, giants on top.
        grid[0, 0].invert_xaxis()
        grid[0, 0].invert_yaxis()
        figure.supxlabel("Teff [K]", fontsize=9)
        figure.supylabel("log g", fontsize=9)
        bar = figure.colorbar(mesh, ax=grid, label="twins found nearest", pad=0.01, fraction=0.03)
        bar.ax.yaxis.set_major_formatter(PercentFormatter(1.0))
    lowest = {
        standing.name: float(np.nanmin(over_plane(standing.found, track.nuisance)[2]))
        for standing in standings[:1]
    }
    told = "; ".join(f"{name} finds at least {percent(low)} % in every cell"
                     for name, low in lowest.items())  # fmt: skip
    return Drawn(
        f"plane-{track.task}",
        f"Recovery over temperature and gravity: {track.task}",
        "The share of stars whose twin is nearest, by the star's own effective temperature and "
        "log g; some 500 stars a cell.",
        f"Maps of one colour scale on {track.task}, one a method. {told}.",
        svg(figure),
    )


# ------------------------------------------------------------------------------------------ helpers


def _panels(
    tracks: Sequence[Track],
    shown: dict[str, Look],
    having: Callable[[Track], list[Standing]],
    draw: Callable[[Axes, Standing, dict[str, Any]], None],
    finish: Callable[[Axes], None],
) -> Figure | None:
    """Draw one panel for each track that has something to show, with one legend for all."""
    found = {track.task: having(track) for track in tracks}
    found = {task: standings for task, standings in found.items() if standings}
    if not found:
        return None
    across = min(2, len(found))
    down = -(-len(found) // across)
    names = {standing.name for standings in found.values() for standing in standings}
    with style():
        height = 0.4 + 3.1 * down + 0.19 * -(-len(names) // 3)
        figure = Figure(figsize=(9, height), layout="constrained")
        grid = figure.subplots(down, across, squeeze=False).flatten()
        for axes in grid[len(found) :]:
            axes.set_axis_off()
        for axes, (task, standings) in zip(grid, found.items(), strict=False):
            for standing in standings:
                draw(axes, standing, _keywords(standing.name, shown))
            finish(axes)
            axes.set_title(task, loc="left")
        legend(figure, grid)
    return figure


def _point(x: str, y: str) -> Callable[[Axes, Standing, dict[str, Any]], None]:
    def draw(axes: Axes, standing: Standing, look: dict[str, Any]) -> None:
        mean, deviation = standing.group.mean, standing.group.deviation
        axes.errorbar(
            mean[x], mean[y], deviation.get(y), deviation.get(x), elinewidth=0.8,
            **(look | {"ls": "none"}),
        )  # fmt: skip

    return draw


def _keywords(name: str, shown: dict[str, Look]) -> dict[str, Any]:
    look = shown[name]
    return {
        "color": look.colour, "marker": look.marker, "ls": look.dash, "label": legend_name(name)
    }  # fmt: skip


def legend(figure: Figure, grid: Iterable[Axes], **options: Any) -> None:
    """Draw one legend for all panels, each label once."""
    handles = {}
    for axes in grid:
        for handle, label in zip(*axes.get_legend_handles_labels(), strict=True):
            handles.setdefault(label, handle)
    options = {"loc": "outside lower center", "ncols": 3} | options
    figure.legend(handles.values(), handles.keys(), **options)


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
    """Break a name over two lines where a title has little room."""
    half = name.find(" ", len(name) // 3)
    return name if len(name) <= 22 or half < 0 else f"{name[:half]}\n{name[half + 1 :]}"


def _of_current(track: Track) -> list[Standing]:
    return track.current


def _having(track: Track, *keys: str) -> list[Standing]:
    return [
        standing for standing in track.current if all(key in standing.group.mean for key in keys)
    ]


def _best_first(standings: Sequence[Standing]) -> list[Standing]:
    return sorted(standings, key=lambda standing: (-standing.curve.share[0], standing.name))


def _teff(track: Track) -> np.ndarray | None:
    if track.nuisance is None or "Teff" not in track.nuisance_names:
        return None
    return track.nuisance[..., track.nuisance_names.index("Teff")]


def _snr(task: str) -> str:
    return task.partition("-snr")[2] or "no noise"


def _competing(track: Track) -> list[Standing]:
    return [standing for standing in track.current if not standing.row.control]


def _leaders(tracks: Sequence[Track]) -> str:
    """Say who finds most on each track."""
    told = []
    for track in tracks:
        for best in _best_first(_competing(track))[:1]:
            share = percent(float(best.curve.share[0]))
            told.append(f"on {track.task}, {best.name} finds {share} % nearest")
    return f"Highest of the methods that are no controls: {'; '.join(told)}." if told else ""


def _extremes(
    tracks: Sequence[Track], key: str, words: str, choose: Callable[..., Standing]
) -> str:
    told = []
    for track in tracks:
        having = [standing for standing in _competing(track) if key in standing.group.mean]
        if having:
            best = choose(having, key=lambda standing: standing.group.mean[key])
            value = best.group.mean[key]
            text = scientific(value) if "mse" in key else f"{value:.2f}"
            told.append(f"on {track.task}, {best.name} {words} ({text})")
    return f"Of the methods that are no controls: {'; '.join(told)}." if told else ""
