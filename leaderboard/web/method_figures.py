"""The figures of a method's page: its profile over tracks, training, and one star's spectra."""

from collections.abc import Mapping, Sequence

from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from starbench.leaderboard.statistics.columns import percent, scientific
from starbench.leaderboard.store.traces import Trace
from starbench.leaderboard.web.drawing import (
    GREY,
    HUES,
    INK,
    MAX_CURVES,
    WIDTH,
    Panel,
    SiteFigure,
    label_powers_of_ten,
    legend,
    panel_axes,
    style,
    svg,
)
from starbench.leaderboard.web.model import Scored, Track
from starbench.methods.base import Diagnostic
from starbench.results.example import Example
from starbench.results.history import MEASURE
from starbench.runs.panels import draw_star, history_panels, rms_residuals, series

_USUAL = {MEASURE, "reconstruction_mse", "loss"}
_TRUE, _OWN, _SWAPPED = INK, HUES[0], HUES[1]
_BEST = HUES[1]


def method_profile(
    method: str, tracks: Sequence[Track], best: Mapping[str, Scored]
) -> SiteFigure | None:
    """Draw a method's share of nearest twins on each track, beside the best and the bound.

    Parameters
    ----------
    method : str
    tracks : sequence of Track
        In the order of the suite.
    best : mapping of str to Scored
        The method's best current settings by task.
    """
    if not best:
        return None
    with style():
        figure, axes = panel_axes(0.95 + 0.24 * len(tracks))
        words = []
        for place, track in enumerate(tracks):
            standing = best.get(track.task)
            if standing is None:
                words.append(f"{track.short} no row")
                axes.text(0, place, "no row", color=GREY, fontsize=7.5, va="center")
                continue
            words.append(f"{track.short} {percent(standing.nearest)} %")
            if track.bound and track.bound.row.method != method:
                axes.plot(track.bound.nearest, place, marker="|", ms=9, color=GREY, ls="none",
                          label="information bound")  # fmt: skip
            rivals = [
                each
                for each in track.best_first(competing=True)
                if each.row.label_access == standing.row.label_access
            ]
            if rivals:
                axes.plot(rivals[0].nearest, place, marker="D", ms=5.5, color=_BEST, ls="none",
                          mfc="none", label="best of its label access")  # fmt: skip
            axes.plot(standing.interval, (place, place), color=HUES[0], lw=1.4)
            axes.plot(standing.nearest, place, color=HUES[0], marker="o", ls="none", label=method)
        axes.set_yticks(range(len(tracks)), [track.short for track in tracks])
        axes.tick_params(axis="y", length=0)
        axes.set(xlim=(-0.03, 1.03), ylim=(len(tracks) - 0.5, -0.5),
                 xlabel="nearest twins")  # fmt: skip
        axes.xaxis.set_major_formatter(PercentFormatter(1.0))
        legend(figure, axes)
        panel = Panel(
            f"{method}-profile",
            f"Dot chart: share of nearest twins that {method} finds on each track. "
            + "; ".join(words)
            + ".",
            svg(figure),
        )
    return SiteFigure(
        "profile",
        "Profile over tracks",
        "The share of stars whose twin is nearest, with its 95 % interval over seeds and pairs.",
        (panel,),
    )


def method_training(
    method: str, runs: Mapping[str, Sequence[Trace]], diagnostics: Sequence[Diagnostic]
) -> SiteFigure | None:
    """Draw what the fits reported over their epochs: a colour for each track, a line for each seed.

    Parameters
    ----------
    method : str
    runs : mapping of str to sequence of Trace
        By the name of what shares a colour; at most eight.
    diagnostics : sequence of Diagnostic
        As the method declares them; without any, everything that the histories hold is drawn.
    """
    reported = dict.fromkeys(
        name for traces in runs.values() for trace in traces for row in trace.history
        for name in row
    )  # fmt: skip
    declared = {name for each in diagnostics for name in (each.name, each.reference) if name}
    names = [name for name in reported if not diagnostics or name in _USUAL | declared]
    panels = history_panels(names, diagnostics)
    if not panels:
        return None
    n_fits = sum(bool(trace.history) for traces in runs.values() for trace in traces)
    marker = "o" if n_fits <= MAX_CURVES else None  # a thousand points hide curves, and take 40 kB
    images = []
    for place, panel in enumerate(panels, 1):
        title = " ".join(panel.label.split())
        with style():
            figure, axes = panel_axes(1.9)
            drawn: list[float] = []
            for (name, traces), colour in zip(runs.items(), HUES * len(runs), strict=False):
                for number, trace in enumerate(traces):
                    for quantity in panel.quantities:
                        epochs, values = series(trace.history, quantity)
                        drawn += values
                        if epochs:
                            axes.plot(
                                epochs, values, color=colour, lw=0.8,
                                marker=marker if quantity == MEASURE else None, ms=2.5,
                                label=name,
                            )  # fmt: skip
                    for quantity in panel.references if number == 0 else ():
                        axes.plot(*series(trace.history, quantity), color=GREY, lw=0.9, ls="--")
            if panel.scale(axes, drawn):
                label_powers_of_ten(axes.yaxis)
            axes.set_ylabel("")
            axes.set_title(title, loc="left")
            axes.set_xlabel("epoch")
            axes.xaxis.set_major_locator(MaxNLocator(integer=True))
            legend(figure, axes)
            images.append(
                Panel(
                    f"{method}-training-{place}",
                    f"Line chart over epochs of {n_fits} fits of {method}: {title}.",
                    svg(figure),
                )
            )
    caption = "What each fit reported over its epochs, a line for each seed."
    if any(panel.references for panel in panels):
        caption += " A dashed line is the reference of its panel, such as its value at chance."
    return SiteFigure("training", "Training", caption, tuple(images))


def method_spectra(
    method: str, examples: Mapping[str, Example], names: Mapping[str, Sequence[str]]
) -> SiteFigure | None:
    """Draw one test star of each track: true, reconstructed, and from its twin's latent.

    Parameters
    ----------
    method : str
    examples : mapping of str to Example
        By task.
    names : mapping of str to sequence of str
        Of the nuisances, by task; none where they are not known.
    """
    if not examples:
        return None
    panels = []
    for task, star in examples.items():
        with style():
            figure = Figure(figsize=(WIDTH, 2.9), layout="constrained")
            top, bottom = figure.subplots(2, 1, height_ratios=(2, 1), sharex=True)
            draw_star(
                top,
                (bottom, bottom),
                star,
                slice(None),
                (_TRUE, _OWN, _SWAPPED),
                ("true", "reconstructed", "from the twin's latent"),
            )
            top.set_title(task, loc="left")
            top.set_ylabel("flux")
            bottom.set_ylabel("residual")
            bottom.set_xlim(*star.wavelength[[0, -1]])
            bottom.set_xlabel("vacuum wavelength [Å]")
            figure.align_ylabels()
            legend(figure, top)
            own, swapped = map(scientific, rms_residuals(star))
            panels.append(
                Panel(
                    f"{method}-spectra-{task}",
                    f"Spectrum and residuals on {task} by {method}, "
                    f"{_star(star, names.get(task, ()))}: root mean square residual {own}, "
                    f"swapped {swapped}.",
                    svg(figure),
                )
            )
    stars = "; ".join(
        f"{task}: {_star(star, names.get(task, ()))}" for task, star in examples.items()
    )
    return SiteFigure(
        "spectra",
        "One star",
        "The test star of median swapped error, in the 300 pixels where its spectrum varies most: "
        f"true, reconstructed from its own latent, and from its twin's. {stars}.",
        tuple(panels),
    )


def _star(star: Example, names: Sequence[str]) -> str:
    if len(names) != len(star.nuisance):
        names = [f"nuisance {place}" for place in range(1, len(star.nuisance) + 1)]
    own, twin = (
        ", ".join(f"{name} {value:.4g}" for name, value in zip(names, values, strict=True))
        for values in (star.nuisance, star.twin_nuisance)
    )
    return f"test pair {star.pair}, {own} (twin: {twin})"
