"""The figures that compare methods, with a panel for each track."""

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any, TypeAlias

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from starbench.leaderboard.statistics.columns import COLUMNS, percent
from starbench.leaderboard.statistics.verdict import BOUND
from starbench.leaderboard.store.task import task_facts
from starbench.leaderboard.web.drawing import (
    GREY,
    Look,
    SiteFigure,
    label_powers_of_ten,
    legend,
    looks,
    style,
    svg,
)
from starbench.leaderboard.web.maps import element_map, plane_map
from starbench.leaderboard.web.model import Scored, Track, legend_name
from starbench.leaderboard.web.numbers import SHIFT_EDGES, by_shift

Draw: TypeAlias = Callable[[Axes, Scored, dict[str, Any]], None]  # a method into a panel


def comparisons(tracks: Sequence[Track]) -> list[Callable[[], SiteFigure | None]]:
    """Return functions that draw each figure, in the order of the page; None without rows."""
    names = dict.fromkeys(standing.name for track in tracks for standing in track.best_first())
    look_of = looks(list(names))
    jobs: list[Callable[[], SiteFigure | None]] = [
        partial(draw, tracks, look_of)
        for draw in (_curves, _against_snr, _leakage, _swapped, _shift)
    ]
    jobs += [partial(element_map, track) for track in tracks]
    jobs += [partial(plane_map, track) for track in tracks]
    return jobs


def _curves(tracks: Sequence[Track], look_of: dict[str, Look]) -> SiteFigure | None:
    def draw(axes: Axes, standing: Scored, look: dict[str, Any]) -> None:
        curve = standing.curve
        axes.fill_between(curve.k, curve.low, curve.high, color=look["color"], alpha=0.2, lw=0)
        axes.plot(curve.k, curve.share, **look)

    def finish(axes: Axes) -> None:
        axes.set(xscale="log", xlabel="rank k", ylabel="twins within rank k", ylim=(0, 1.02))
        label_powers_of_ten(axes.xaxis)
        axes.yaxis.set_major_formatter(PercentFormatter(1.0))

    figure = _panels({track.task: track.current for track in tracks}, look_of, draw, finish)
    if figure is None:
        return None
    return SiteFigure(
        "recovery",
        "Recovery against rank",
        "The share of stars whose twin is among the k nearest, for the newest version of each "
        "method, mean over seeds. The band is the 95 % interval over seeds and pairs.",
        "Line charts, one for each track: share of twins found against rank k. " + _leaders(tracks),
        svg(figure),
    )


def _against_snr(tracks: Sequence[Track], look_of: dict[str, Look]) -> SiteFigure | None:
    bases = [task_facts(track.task).base for track in tracks]
    tracks = [track for track, base in zip(tracks, bases, strict=True) if base == bases[0]]
    if len(tracks) < 2:
        return None
    points: dict[str, list[tuple[int, float, float, float]]] = {}
    ceiling: dict[int, float] = {}
    for place, track in enumerate(reversed(tracks)):
        for standing in track.current:
            share, low, high = (
                float(values[0])
                for values in (standing.curve.share, standing.curve.low, standing.curve.high)
            )
            points.setdefault(standing.name, []).append((place, share, low, high))
            if standing.row.method == BOUND:
                ceiling[place] = max(share, ceiling.get(place, 0.0))
    with style():
        figure = Figure(figsize=(8.6, 5.6), layout="constrained")
        axes = figure.subplots()
        if ceiling:
            places = sorted(ceiling)
            # The hatched area is out of reach of any method on these spectra.
            axes.fill_between(places, [ceiling[place] for place in places], 1.0,
                              facecolor="none", edgecolor=GREY, hatch="///", lw=0,
                              alpha=0.6, label="beyond the information bound")  # fmt: skip
        for name, look in look_of.items():
            if name in points:
                x, y, lower, upper = np.array(sorted(points[name])).T
                axes.errorbar(x, y, (y - lower, upper - y), capsize=2, elinewidth=0.8,
                              **look.keywords(legend_name(name)))  # fmt: skip
        snr = [task_facts(track.task).snr for track in reversed(tracks)]
        axes.set_xticks(
            range(len(snr)), [f"{each:g}" if np.isfinite(each) else "no noise" for each in snr]
        )
        axes.set(xlabel="signal-to-noise ratio per pixel",
                 ylabel="share of stars whose twin is nearest", ylim=(0, 1.02))  # fmt: skip
        axes.yaxis.set_major_formatter(PercentFormatter(1.0))
        legend(figure, [axes])
    return SiteFigure(
        "snr",
        "Nearest twins against noise",
        "The share of stars whose twin is nearest, with its 95 % interval. The information bound "
        "is the highest share that any method can reach on these spectra if it knows the "
        "generator; it is no ceiling of a label access.",
        "Line chart: share of nearest twins against the signal-to-noise ratio. " + _leaders(tracks),
        svg(figure),
    )


def _leakage(tracks: Sequence[Track], look_of: dict[str, Look]) -> SiteFigure | None:
    def finish(axes: Axes) -> None:
        axes.set(xlabel="nuisance leakage, R² of the nuisance predicted best",
                 ylabel="composition recovery, mean R²")  # fmt: skip
        # A held-out R² has no lower bound; values far below zero are in the table.
        axes.set(xlim=(-0.05, 1.03), ylim=(-0.05, 1.03))

    figure = _panels(_having(tracks, "leakage", "recovery"), look_of,
                     _point("leakage", "recovery"), finish)  # fmt: skip
    if figure is None:
        return None
    return SiteFigure(
        "leakage",
        "Nuisance leakage and composition recovery",
        "Held-out R² of a small network that predicts labels from the latent: for the best "
        "predicted nuisance factor (lower is better), and the mean over the abundances (higher is "
        "better). "
        "The upper left corner is best; bars are standard deviations over seeds.",
        "Scatter charts, one for each track: composition recovery against nuisance leakage. "
        + _lowest(tracks, "leakage", "leaks least"),
        svg(figure),
    )


def _swapped(tracks: Sequence[Track], look_of: dict[str, Look]) -> SiteFigure | None:
    own, swapped = "reconstruction_mse", "swapped_reconstruction_mse"

    def finish(axes: Axes) -> None:
        axes.set(
            xscale="log",
            yscale="log",
            xlabel="MSE from the star's own latent",
            ylabel="MSE from the twin's latent",
        )
        label_powers_of_ten(axes.xaxis)
        label_powers_of_ten(axes.yaxis)
        low = min(axes.get_xlim()[0], axes.get_ylim()[0])
        high = max(axes.get_xlim()[1], axes.get_ylim()[1])
        axes.plot((low, high), (low, high), color=GREY, lw=0.8, ls=(0, (4, 3)), zorder=1)
        axes.set(xlim=axes.get_xlim(), ylim=axes.get_ylim())

    figure = _panels(_having(tracks, own, swapped), look_of, _point(own, swapped), finish)
    if figure is None:
        return None
    return SiteFigure(
        "swapped",
        "Reconstruction from the twin's latent and from the star's own",
        "Mean squared error of a star reconstructed from its twin's latent, against that from its "
        "own. On the dashed line the swap costs nothing. Methods without a decoder are absent.",
        "Scatter charts, one for each track: mean squared error from the twin's latent against "
        "that from the star's own. " + _lowest(tracks, swapped, "has the lowest swapped error"),
        svg(figure),
    )


def _shift(tracks: Sequence[Track], look_of: dict[str, Look]) -> SiteFigure | None:
    centres = (np.array(SHIFT_EDGES[1:]) + SHIFT_EDGES[:-1]) / 2
    shares = {
        id(standing): by_shift(standing.found, teff)
        for track in tracks
        if (teff := _teff(track)) is not None
        for standing in track.current
    }

    def draw(axes: Axes, standing: Scored, look: dict[str, Any]) -> None:
        axes.plot(centres, shares[id(standing)], **look)

    def finish(axes: Axes) -> None:
        axes.set(
            xlabel="|ΔTeff| of the pair [K]",
            ylabel="share of stars whose twin is nearest",
            ylim=(0, 1.02),
        )
        axes.yaxis.set_major_formatter(PercentFormatter(1.0))

    by_task = {track.task: track.current for track in tracks if _teff(track) is not None}
    figure = _panels(by_task, look_of, draw, finish)
    if figure is None:
        return None
    return SiteFigure(
        "shift",
        "Recovery against the pair's difference in temperature",
        "The share of stars whose twin is nearest, by the difference in effective temperature of "
        "the pair. If a latent holds no temperature, the line is flat.",
        "Line charts, one for each track: share of nearest twins against the difference of the "
        "twins' effective temperatures.",
        svg(figure),
    )


# ------------------------------------------------------------------------------------------ helpers


def _panels(
    by_task: dict[str, list[Scored]],
    look_of: dict[str, Look],
    draw: Draw,
    finish: Callable[[Axes], None],
) -> Figure | None:
    """Draw a panel for each task that has methods to show, with one legend for all."""
    by_task = {task: standings for task, standings in by_task.items() if standings}
    if not by_task:
        return None
    across = min(2, len(by_task))
    down = -(-len(by_task) // across)
    names = {standing.name for standings in by_task.values() for standing in standings}
    with style():
        height = 0.4 + 3.1 * down + 0.19 * -(-len(names) // 3)
        figure = Figure(figsize=(9, height), layout="constrained")
        grid = figure.subplots(down, across, squeeze=False).flatten()
        for axes in grid[len(by_task) :]:
            axes.set_axis_off()
        for axes, (task, standings) in zip(grid, by_task.items(), strict=False):
            for standing in standings:
                look = look_of[standing.name]
                draw(axes, standing, look.keywords(legend_name(standing.name)))
            finish(axes)
            axes.set_title(task, loc="left")
        legend(figure, grid)
    return figure


def _point(x: str, y: str) -> Draw:
    """Return what draws a method as the mean of two columns, with deviations over seeds."""

    def draw(axes: Axes, standing: Scored, look: dict[str, Any]) -> None:
        mean, deviation = standing.group.mean, standing.group.deviation
        axes.errorbar(
            mean[x], mean[y], deviation.get(y), deviation.get(x), elinewidth=0.8,
            **(look | {"ls": "none"}),
        )  # fmt: skip

    return draw


def _having(tracks: Iterable[Track], *keys: str) -> dict[str, list[Scored]]:
    """Return the methods of each track that have a mean of all the columns named."""
    return {
        track.task: [
            standing
            for standing in track.current
            if all(key in standing.group.mean for key in keys)
        ]
        for track in tracks
    }


def _teff(track: Track) -> np.ndarray | None:
    if track.nuisance is None or "Teff" not in track.nuisance_names:
        return None
    return track.nuisance[..., track.nuisance_names.index("Teff")]


def _leaders(tracks: Sequence[Track]) -> str:
    """Say which method finds most on each track."""
    parts = []
    for track in tracks:
        for best in track.best_first(competing=True)[:1]:
            share = percent(float(best.curve.share[0]))
            parts.append(f"on {track.task}, {best.name} finds {share} % nearest")
    return f"Highest of the competing methods: {'; '.join(parts)}." if parts else ""


def _lowest(tracks: Sequence[Track], key: str, words: str) -> str:
    """Say which method has the lowest value of a column on each track."""
    write = next(column.write for column in COLUMNS if column.key == key)
    parts = []
    for track in tracks:
        competing = [standing for standing in track.best_first(competing=True)
                     if key in standing.group.mean]  # fmt: skip
        if competing:
            best = min(competing, key=lambda standing: standing.group.mean[key])
            text = write(best.group.mean[key])
            parts.append(f"on {track.task}, {best.name} {words} ({text})")
    return f"Of the competing methods: {'; '.join(parts)}." if parts else ""
