"""The figures that compare methods on one track, and that of all noise tracks."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from starbench.leaderboard.pages.names import ACCESS_TITLES
from starbench.leaderboard.statistics.columns import COLUMNS, percent
from starbench.leaderboard.web.drawing import (
    FAINT,
    GREY,
    HUES,
    INK,
    MAX_CURVES,
    Look,
    Panel,
    SiteFigure,
    label_powers_of_ten,
    legend,
    look,
    panel_axes,
    style,
    svg,
)
from starbench.leaderboard.web.maps import plane_map
from starbench.leaderboard.web.model import AXIS_LENGTH, Scored, Track, legend_name
from starbench.leaderboard.web.numbers import SHIFT_EDGES, by_shift

ACCESS_HUES = dict(zip(ACCESS_TITLES, HUES, strict=False))
_LINE = 0.19  # inches of a line of text


@dataclass(frozen=True)
class Cast:
    """The competing methods that share a panel in every figure.

    Attributes
    ----------
    title : str
        Their label access.
    looks : dict of str to Look
        By name, at most `MAX_CURVES`.
    """

    title: str
    looks: dict[str, Look]


def casts(tracks: Sequence[Track]) -> list[Cast]:
    """Return the competing methods of all tracks in panels, by label access, the best first."""
    result = []
    for access, title in ACCESS_TITLES.items():
        names = list(
            dict.fromkeys(
                each.name
                for track in tracks
                for each in track.best_first(competing=True)
                if each.row.label_access == access
            )
        )
        parts = -(-len(names) // MAX_CURVES)
        short = title.partition(":")[0]
        rest = iter(names)
        for part in range(parts):
            # As equal as possible: eleven are six and five.
            members = list(islice(rest, -(-(len(names) - part) // parts)))
            result.append(
                Cast(
                    short if parts == 1 else f"{short}, {part + 1} of {parts}",
                    {name: look(place) for place, name in enumerate(members)},
                )
            )
    return result


def track_figures(track: Track, of_casts: Sequence[Cast]) -> list[SiteFigure]:
    """Draw the figures of one track; those without rows are left out."""
    figures = (
        _nearest(track),
        _curves(track, of_casts),
        _leakage(track),
        _swapped(track),
        _shift(track, of_casts),
        plane_map(track),
    )
    return [figure for figure in figures if figure is not None]


def noise_figure(tracks: Sequence[Track], of_casts: Sequence[Cast]) -> SiteFigure | None:
    """Draw the share of nearest twins against noise; None without two tracks that differ in it.

    Parameters
    ----------
    tracks : sequence of Track
        Of all families; those of the families ``ideal`` and ``noise`` are drawn.
    of_casts : sequence of Cast
    """
    drawn = [track for track in tracks if track.card and track.family in ("ideal", "noise")]
    bases = {track.card.base or track.task for track in drawn if track.card}
    drawn = [track for track in drawn if track.current]
    if len(drawn) < 2 or len(bases) > 1:
        return None
    snr = [track.card.snr if track.card else None for track in drawn]
    labels = ["no noise" if each is None else f"{each:g}" for each in snr]
    points: dict[str, list[tuple[int, float, float, float]]] = {}
    for place, track in enumerate(drawn):
        for standing in track.current:
            points.setdefault(standing.name, []).append(
                (place, standing.nearest, *standing.interval)
            )
    ceiling = [track.bound.nearest if track.bound else 1.0 for track in drawn]

    def draw(axes: Axes, name: str, of_cast: Look | None) -> None:
        x, y, low, high = np.array(points[name]).T
        if of_cast is None:
            axes.plot(x, y, color=FAINT, lw=0.9, zorder=1)
        else:
            axes.errorbar(x, y, (y - low, high - y), capsize=2, elinewidth=0.8,
                          **of_cast.keywords(legend_name(name)))  # fmt: skip

    panels = []
    for number, cast in enumerate(of_casts, 1):
        named = [name for name in cast.looks if name in points]
        if not named:
            continue
        with style():
            figure, axes = panel_axes(_height(named, 2.5))
            # The hatched area is out of reach of any method on these spectra.
            axes.fill_between(range(len(drawn)), ceiling, 1.05, facecolor="none", edgecolor=GREY,
                              hatch="////", lw=0, alpha=0.6)  # fmt: skip
            for name in points:
                draw(axes, name, cast.looks.get(name))
            axes.set_xticks(range(len(labels)), labels)
            axes.set(xlabel="signal-to-noise ratio per pixel", ylabel="nearest twins",
                     ylim=(0, 1.02), xlim=(-0.15, len(labels) - 0.85))  # fmt: skip
            _finish(figure, axes, cast.title)
            panels.append(
                Panel(
                    f"snr-{number}",
                    f"Line chart, {cast.title}: share of nearest twins against noise. "
                    + "; ".join(f"{name}: {_shares(points[name], labels)}" for name in named),
                    svg(figure),
                )
            )
    return SiteFigure(
        "snr",
        "Nearest twins against noise",
        "The share of stars whose twin is nearest, with its 95 % interval. The hatched area is "
        "beyond the information bound, the highest share that any method can reach on these "
        "spectra if it knows the generator; it is no ceiling of a label access. Grey: the other "
        "methods.",
        tuple(panels),
    )


def _shares(points: Sequence[tuple[int, float, float, float]], labels: Sequence[str]) -> str:
    return ", ".join(f"{percent(share)} % at {labels[place]}" for place, share, _, _ in points)


# -------------------------------------------------------------------------- a line for each method


def _nearest(track: Track) -> SiteFigure | None:
    standings = track.best_first()
    if not standings:
        return None
    with style():
        figure, axes = panel_axes(0.75 + _LINE * len(standings))
        for place, standing in enumerate(standings):
            low, high = standing.interval
            colour = GREY if standing.row.control else ACCESS_HUES[standing.row.label_access]
            axes.plot((low, high), (place, place), color=colour, lw=1.2)
            axes.plot(standing.nearest, place, color=colour, marker="o",
                      label="control" if standing.row.control else standing.row.label_access,
                      ls="none", mfc="none" if standing.row.control else colour)  # fmt: skip
        if track.bound:
            axes.axvline(track.bound.nearest, color=GREY, lw=0.9, ls=(0, (4, 3)), zorder=1)
        _lines(axes, standings)
        axes.set(xlabel=f"nearest {track.words.several}", xlim=(-0.03, 1.03))
        axes.xaxis.set_major_formatter(PercentFormatter(1.0))
        legend(figure, axes)
        panel = Panel(
            f"{track.task}-nearest",
            f"Dot chart: share of nearest {track.words.several} of each method. "
            + "; ".join(f"{each.name} {percent(each.nearest)} %" for each in standings)
            + ".",
            svg(figure),
        )
    return SiteFigure(
        "nearest",
        f"Nearest {track.words.several}",
        f"The share of stars whose {track.words.one} is nearest, mean over seeds, with its 95 % "
        f"interval over seeds and {track.words.units}. Colours are label accesses; controls are "
        "hollow." + (" The dashed line is the information bound." if track.bound else ""),
        (panel,),
    )


def _leakage(track: Track) -> SiteFigure | None:
    return _two_measures(
        track,
        ("leakage", "recovery"),
        ("nuisance leakage", "composition recovery"),
        "leakage",
        "Nuisance leakage and composition recovery",
        "Held-out R² of a small network that predicts labels from the latent: of the best "
        "predicted nuisance factor (lower is better), and the mean over the abundances (higher is "
        "better). The longer the bar, the better they are separated. R² below zero is drawn at the "
        "edge.",
        logarithmic=False,
    )


def _swapped(track: Track) -> SiteFigure | None:
    other = f"{track.words.one}'s"
    return _two_measures(
        track,
        ("reconstruction_mse", "swapped_reconstruction_mse"),
        ("from its own latent", f"from the {other} latent"),
        "swapped",
        f"Reconstruction from the {other} latent and from the star's own",
        f"Mean squared error of a star's reconstruction from its own latent and from its {other}. "
        "The shorter the bar, the less the swap costs. Methods without a decoder are absent.",
        logarithmic=True,
    )


def _two_measures(
    track: Track,
    keys: tuple[str, str],
    labels: tuple[str, str],
    name: str,
    title: str,
    caption: str,
    *,
    logarithmic: bool,
) -> SiteFigure | None:
    """Draw two columns of the table on one axis, a line for each method."""
    standings = [each for each in track.best_first() if all(key in each.group.mean for key in keys)]
    if not standings:
        return None
    write = {column.key: column.write for column in COLUMNS}
    with style():
        figure, axes = panel_axes(0.75 + _LINE * len(standings))
        for place, standing in enumerate(standings):
            mean, deviation = standing.group.mean, standing.group.deviation
            values = [mean[key] if logarithmic else max(mean[key], -0.04) for key in keys]
            axes.plot(values, (place, place), color=FAINT, lw=2.5, zorder=1)
            for key, value, label, colour, marker in zip(
                keys, values, labels, (HUES[1], HUES[0]), "so", strict=True
            ):
                axes.errorbar(value, place, xerr=deviation.get(key), color=colour, marker=marker,
                              ls="none", elinewidth=0.8, label=label)  # fmt: skip
        _lines(axes, standings)
        if logarithmic:
            axes.set_xscale("log")
            label_powers_of_ten(axes.xaxis)
            axes.set_xlabel("mean squared error")
        else:
            axes.set(xlim=(-0.06, 1.03), xlabel="held-out R²")
        legend(figure, axes)
        panel = Panel(
            f"{track.task}-{name}",
            f"Dot chart, {labels[0]} and {labels[1]} of each method. "
            + "; ".join(
                f"{each.name} {' and '.join(write[key](each.group.mean[key]) for key in keys)}"
                for each in standings
            )
            + ".",
            svg(figure),
        )
    return SiteFigure(name, title, f"{caption} Thin bars are standard deviations over seeds.",
                      (panel,))  # fmt: skip


def _lines(axes: Axes, standings: Sequence[Scored]) -> None:
    """Name a line for each method, the best on top."""
    axes.set_yticks(
        range(len(standings)), [legend_name(each.name, AXIS_LENGTH) for each in standings]
    )
    axes.tick_params(axis="y", length=0, labelsize=8)
    axes.set_ylim(len(standings) - 0.4, -0.6)
    axes.grid(axis="y", visible=False)


# --------------------------------------------------------------------------- curves in small panels


def _curves(track: Track, of_casts: Sequence[Cast]) -> SiteFigure | None:
    def draw(axes: Axes, standing: Scored, of_cast: Look | None) -> None:
        curve = standing.curve
        if of_cast is None:
            axes.plot(curve.k, curve.share, color=FAINT, lw=0.9, zorder=1)
        else:
            axes.fill_between(curve.k, curve.low, curve.high, color=of_cast.colour, alpha=0.2, lw=0)
            axes.plot(curve.k, curve.share, **of_cast.keywords(legend_name(standing.name)))

    def finish(axes: Axes) -> None:
        axes.set(xscale="log", xlabel="rank k", ylabel=f"{track.words.several} within rank k")
        label_powers_of_ten(axes.xaxis)
        axes.minorticks_off()

    def says(standing: Scored) -> str:
        return f"{standing.name} {percent(standing.nearest)} % at rank 1"

    return _panels(
        track, of_casts, draw, finish, says,
        "recovery",
        "Recovery against rank",
        f"The share of stars whose {track.words.one} is among the k nearest, mean over seeds. The "
        f"band is the 95 % interval over seeds and {track.words.units}. Grey: the other methods "
        "and the controls.",
    )  # fmt: skip


def _shift(track: Track, of_casts: Sequence[Cast]) -> SiteFigure | None:
    nuisance = track.nuisance
    if nuisance is None or "Teff" not in track.nuisance_names:
        return None
    teff = nuisance[..., track.nuisance_names.index("Teff")]
    centres = (np.array(SHIFT_EDGES[1:]) + SHIFT_EDGES[:-1]) / 2
    shares = {id(standing): by_shift(standing.found, teff) for standing in track.current}

    def draw(axes: Axes, standing: Scored, of_cast: Look | None) -> None:
        share = shares[id(standing)]
        if of_cast is None:
            axes.plot(centres, share, color=FAINT, lw=0.9, zorder=1)
        else:
            axes.plot(centres, share, **of_cast.keywords(legend_name(standing.name)))

    def finish(axes: Axes) -> None:
        axes.set(xlabel="|ΔTeff| of the pair [K]", ylabel="nearest twins")

    def says(standing: Scored) -> str:
        known = shares[id(standing)][~np.isnan(shares[id(standing)])]
        first, last = (percent(float(known[place])) for place in (0, -1))
        return f"{standing.name} from {first} % to {last} %"

    return _panels(
        track, of_casts, draw, finish, says,
        "shift",
        "Recovery against the pair's difference in temperature",
        "The share of stars whose twin is nearest, by the difference in effective temperature of "
        "the pair. If a latent holds no temperature, the line is flat. Grey: the other methods and "
        "the controls.",
    )  # fmt: skip


def _panels(
    track: Track,
    of_casts: Sequence[Cast],
    draw: Callable[[Axes, Scored, Look | None], None],
    finish: Callable[[Axes], None],
    says: Callable[[Scored], str],
    name: str,
    title: str,
    caption: str,
) -> SiteFigure | None:
    """Draw a panel for each cast: its methods with names, all others in grey."""
    panels = []
    for number, cast in enumerate(of_casts, 1):
        named = {each.name: each for each in track.current if each.name in cast.looks}
        if not named:
            continue
        with style():
            figure, axes = panel_axes(_height(named, 2.2))
            for standing in track.current:
                if standing.name not in named:
                    draw(axes, standing, None)
            for member, of_cast in cast.looks.items():
                if member in named:
                    draw(axes, named[member], of_cast)
            finish(axes)
            axes.set_ylim(0, 1.02)
            _finish(figure, axes, cast.title)
            panels.append(
                Panel(
                    f"{track.task}-{name}-{number}",
                    f"Line chart, {cast.title}: "
                    + "; ".join(says(each) for each in named.values())
                    + ".",
                    svg(figure),
                )
            )
    return SiteFigure(name, title, caption, tuple(panels)) if panels else None


def _height(names: Sequence[str] | dict[str, Scored], plot: float) -> float:
    """Return the height of a panel [inches] whose legend has these names."""
    return plot + _LINE * -(-len(names) // 2)


def _finish(figure: Figure, axes: Axes, title: str) -> None:
    axes.yaxis.set_major_formatter(PercentFormatter(1.0))
    axes.set_title(title, loc="left", color=INK, fontweight="bold")
    legend(figure, axes)
