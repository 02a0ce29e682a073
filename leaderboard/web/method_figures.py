"""The figures of a method's page: recovery on each track, training, and one star's spectra."""

from collections.abc import Mapping, Sequence

from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from starbench.leaderboard.statistics.columns import percent, scientific
from starbench.leaderboard.store.traces import Trace
from starbench.leaderboard.web.drawing import (
    GREY,
    HUES,
    INK,
    SiteFigure,
    label_powers_of_ten,
    legend,
    style,
    svg,
)
from starbench.leaderboard.web.model import Scored
from starbench.methods.base import Diagnostic
from starbench.results.example import Example
from starbench.results.history import MEASURE
from starbench.runs.panels import draw_star, history_panels, rms_residuals, series

_USUAL = {MEASURE, "reconstruction_mse", "loss"}
_TRUE, _OWN, _SWAPPED = INK, HUES[0], HUES[1]


def method_recovery(method: str, standings: Sequence[Scored]) -> SiteFigure | None:
    """Draw the share of twins found against rank, a curve for each track.

    Parameters
    ----------
    method : str
    standings : sequence of Scored
        One per track.
    """
    if not standings:
        return None
    with style():
        figure = Figure(figsize=(6.6, 3.6), layout="constrained")
        axes = figure.subplots()
        for standing, colour, marker in zip(standings, HUES * len(standings),
                                            "os^DvP" * len(standings), strict=False):  # fmt: skip
            curve = standing.curve
            axes.fill_between(curve.k, curve.low, curve.high, color=colour, alpha=0.2, lw=0)
            axes.plot(curve.k, curve.share, color=colour, marker=marker, label=standing.row.task)
        axes.set(xscale="log", xlabel="rank k", ylabel="twins within rank k", ylim=(0, 1.02))
        axes.yaxis.set_major_formatter(PercentFormatter(1.0))
        label_powers_of_ten(axes.xaxis)
        axes.legend(loc="lower right")
    shares = "; ".join(
        f"{percent(float(standing.curve.share[0]))} % nearest on {standing.row.task}"
        for standing in standings
    )
    return SiteFigure(
        f"{method}-recovery",
        "Recovery against rank",
        "The share of stars whose twin is among the k nearest, mean over seeds; the band is the "
        "95 % interval over seeds and pairs.",
        f"Line chart: share of twins that {method} finds against rank k. {shares}.",
        svg(figure),
    )


def method_training(
    method: str, runs: Mapping[str, Sequence[Trace]], diagnostics: Sequence[Diagnostic]
) -> SiteFigure | None:
    """Draw what the fits reported over their epochs: a colour for each track, a line for each seed.

    Parameters
    ----------
    method : str
    runs : mapping of str to sequence of Trace
        By task.
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
    with style():
        figure = Figure(figsize=(6.6, 0.7 + 1.7 * len(panels)), layout="constrained")
        grid = figure.subplots(len(panels), 1, sharex=True, squeeze=False)[:, 0]
        for axes, panel in zip(grid, panels, strict=True):
            drawn: list[float] = []
            for (task, traces), colour in zip(runs.items(), HUES * len(runs), strict=False):
                for number, trace in enumerate(traces):
                    for name in panel.quantities:
                        epochs, values = series(trace.history, name)
                        drawn += values
                        if epochs:
                            axes.plot(
                                epochs, values, color=colour, lw=0.9,
                                marker="o" if name == MEASURE else None, ms=2.5,
                                label=task,
                            )  # fmt: skip
                    for name in panel.references if number == 0 else ():
                        axes.plot(*series(trace.history, name), color=GREY, lw=0.9, ls="--")
            if panel.scale(axes, drawn):
                label_powers_of_ten(axes.yaxis)
        grid[-1].set_xlabel("epoch")
        grid[-1].xaxis.set_major_locator(MaxNLocator(integer=True))
        legend(figure, grid, loc="outside upper center", ncols=2)
    n_fits = sum(bool(trace.history) for traces in runs.values() for trace in traces)
    caption = "What each fit reported over its epochs, a line for each seed."
    if any(panel.references for panel in panels):
        caption += " A dashed line is the reference of its panel, such as its value at chance."
    return SiteFigure(
        f"{method}-training",
        "Training",
        caption,
        f"Line charts over epochs of {n_fits} fits of {method}: "
        f"{', '.join(' '.join(panel.label.split()) for panel in panels)}.",
        svg(figure),
    )


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
    with style():
        figure = Figure(figsize=(8.6, 0.5 + 2.5 * len(examples)), layout="constrained")
        grid = figure.subplots(
            2 * len(examples), 1, squeeze=False, height_ratios=(2, 1) * len(examples)
        )[:, 0]
        for (task, star), top, bottom in zip(examples.items(), grid[::2], grid[1::2], strict=True):
            draw_star(
                top,
                (bottom, bottom),
                star,
                slice(None),
                (_TRUE, _OWN, _SWAPPED),
                ("true", "reconstructed", "from the twin's latent"),
            )
            top.set_title(f"{task}: {_star(star, names.get(task, ()))}", loc="left", fontsize=8)
            top.set_ylabel("flux")
            bottom.set_ylabel("residual")
            top.tick_params(labelbottom=False)
            for axes in (top, bottom):
                axes.set_xlim(*star.wavelength[[0, -1]])
        grid[-1].set_xlabel("vacuum wavelength [Å]")
        legend(figure, grid, loc="outside upper center")
    residuals = {
        task: [scientific(rms) for rms in rms_residuals(star)] for task, star in examples.items()
    }
    residual_text = "; ".join(
        f"on {task}, root mean square residual {own}, swapped {swapped}"
        for task, (own, swapped) in residuals.items()
    )
    return SiteFigure(
        f"{method}-spectra",
        "One star",
        "The test star of median swapped error, in the 300 pixels where its spectrum varies most: "
        "true, reconstructed from its own latent, and from its twin's.",
        f"Spectra and residuals of one star per track, by {method}: {residual_text}.",
        svg(figure),
    )


def _star(star: Example, names: Sequence[str]) -> str:
    if len(names) != len(star.nuisance):
        names = [f"nuisance {place}" for place in range(1, len(star.nuisance) + 1)]
    own, twin = (
        ", ".join(f"{name} {value:.4g}" for name, value in zip(names, values, strict=True))
        for values in (star.nuisance, star.twin_nuisance)
    )
    return f"test pair {star.pair}, {own} (twin: {twin})"
