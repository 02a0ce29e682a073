"""The figures of a method's page: recovery on each track, training, and one star's spectra."""

import textwrap
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from starbench.leaderboard.statistics.columns import percent, scientific
from starbench.leaderboard.store.trace_example import Example
from starbench.leaderboard.store.traces import Trace
from starbench.leaderboard.web.drawing import (
    GREY,
    HUES,
    INK,
    Dash,
    Drawn,
    legend,
    powers,
    style,
    svg,
)
from starbench.leaderboard.web.model import Scored
from starbench.methods.base import Diagnostic
from starbench.metrics import METRICS
from starbench.runs.history import MEASURE

_TRAINING_MSE = "reconstruction_mse"  # the key under which methods report it
_TRUE, _PLAIN, _SWAPPED = INK, HUES[0], HUES[1]


def method_recovery(method: str, standings: Sequence[Scored]) -> Drawn | None:
    """Draw the share of twins found against rank, a curve for each track.

    Parameters
    ----------
    method : str
    standings : sequence of Scored
        One a track.
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
        powers(axes.xaxis)
        axes.legend(loc="lower right")
    shares = "; ".join(
        f"{percent(float(standing.curve.share[0]))} % nearest on {standing.row.task}"
        for standing in standings
    )
    return Drawn(
        f"{method}-recovery",
        "Recovery against rank",
        "The share of stars whose twin is among the k nearest, mean over seeds; the band is the "
        "95 % interval over seeds and pairs.",
        f"Line chart: share of twins that {method} finds against rank k. {shares}.",
        svg(figure),
    )


def method_training(
    method: str,
    runs: Mapping[str, Sequence[Trace]],
    diagnostics: Sequence[Diagnostic] | None,
) -> Drawn | None:
    """Draw what the fits reported over their epochs: a colour for each track, a line a seed.

    Parameters
    ----------
    method : str
    runs : mapping of str to sequence of Trace
        By task.
    diagnostics : sequence of Diagnostic or None
        As the method declares them. Where it declares none, or is not installed (None),
        everything that the histories hold is drawn.
    """
    panels = _training_panels(runs, diagnostics)
    if not panels:
        return None
    with style():
        figure = Figure(figsize=(6.6, 0.7 + 1.7 * len(panels)), layout="constrained")
        grid = figure.subplots(len(panels), 1, sharex=True, squeeze=False)[:, 0]
        for axes, panel in zip(grid, panels, strict=True):
            _draw_training(axes, panel, runs)
        grid[-1].set_xlabel("epoch")
        grid[-1].xaxis.set_major_locator(MaxNLocator(integer=True))
        legend(figure, grid, loc="outside upper center", ncols=2)
    n_fits = sum(bool(trace.history) for traces in runs.values() for trace in traces)
    caption = "What each fit reported over its epochs, a line for each seed."
    if any(panel.reference for panel in panels):
        caption += " A dashed line is the reference of its panel, such as the value by chance."
    return Drawn(
        f"{method}-training",
        "Training",
        caption,
        f"Line charts over epochs of {n_fits} fits of {method}: "
        f"{', '.join(panel.label for panel in panels)}.",
        svg(figure),
    )


def _training_panels(
    runs: Mapping[str, Sequence[Trace]], diagnostics: Sequence[Diagnostic] | None
) -> list[Diagnostic]:
    """Return the watched quantities to draw, of those that the histories hold."""
    reported = {
        name: None
        for traces in runs.values()
        for trace in traces
        for values in trace.history
        for name in values
        if name != "epoch"
    }
    usual = [
        Diagnostic(MEASURE, "validation stars with twin nearest"),
        Diagnostic(_TRAINING_MSE, f"training {METRICS[_TRAINING_MSE].label}"),
    ]
    if not diagnostics:
        usual_names = {panel.name for panel in usual}
        diagnostics = [
            Diagnostic(name, name.replace("_", " "))
            for name in reported
            if name not in usual_names | {"loss"}
        ]
    panels = [*usual, *diagnostics, Diagnostic("loss", "loss")]
    return [panel for panel in panels if panel.name in reported]


def _draw_training(axes: Axes, panel: Diagnostic, runs: Mapping[str, Sequence[Trace]]) -> None:
    smallest = 1.0
    for (task, traces), colour in zip(runs.items(), HUES * len(runs), strict=False):
        for number, trace in enumerate(traces):
            epochs, values = _over_epochs(trace, panel.name)
            if values:
                smallest = min(smallest, *values)
                marker = "o" if panel.name == MEASURE else ""
                axes.plot(epochs, values, color=colour, lw=0.9, marker=marker, ms=2.5, label=task)
            if panel.reference is not None and number == 0:  # the same for all seeds of a task
                axes.plot(*_over_epochs(trace, panel.reference), color=GREY, lw=0.9, ls="--")
    if panel.name == MEASURE:
        axes.yaxis.set_major_formatter(PercentFormatter(1.0))
    elif panel.name == _TRAINING_MSE and smallest > 0:
        axes.set_yscale("log")
        powers(axes.yaxis)
    axes.set_ylabel("\n".join(textwrap.wrap(panel.label, 18)))


def _over_epochs(trace: Trace, name: str) -> tuple[list[float], list[float]]:
    """Return the epochs that reported a quantity, and its values."""
    rows = [values for values in trace.history if name in values]
    return [values["epoch"] for values in rows], [values[name] for values in rows]


def method_spectra(
    method: str, examples: Mapping[str, Example], names: Mapping[str, Sequence[str]]
) -> Drawn | None:
    """Draw a test star of each track: true, reconstructed, and from its twin's latent.

    Parameters
    ----------
    method : str
    examples : mapping of str to Example
        By task.
    names : mapping of str to sequence of str
        Of the nuisance factors, by task; empty where they are unknown.
    """
    if not examples:
        return None
    with style():
        figure = Figure(figsize=(8.6, 0.5 + 2.5 * len(examples)), layout="constrained")
        grid = figure.subplots(
            2 * len(examples), 1, squeeze=False, height_ratios=(2, 1) * len(examples)
        )[:, 0]
        for (task, star), top, bottom in zip(examples.items(), grid[::2], grid[1::2], strict=True):
            x = star.wavelength
            top.plot(x, star.flux, color=_TRUE, lw=1.8, label="true")
            drawn: tuple[tuple[np.ndarray, str, Dash, str], ...] = (
                (star.reconstruction, _PLAIN, "-", "reconstructed"),
                (star.swapped_reconstruction, _SWAPPED, (0, (4, 1.5)), "from the twin's latent"),
            )
            for flux, colour, dash, label in drawn:
                top.plot(x, flux, color=colour, lw=0.9, ls=dash, label=label)
                bottom.plot(x, flux - star.flux, color=colour, lw=0.8, ls=dash)
            top.set_title(f"{task}: {_star(star, names.get(task, ()))}", loc="left", fontsize=8)
            top.set_ylabel("flux")
            bottom.set_ylabel("residual")
            top.tick_params(labelbottom=False)
            for axes in (top, bottom):
                axes.set_xlim(x[0], x[-1])
        grid[-1].set_xlabel("vacuum wavelength [Å]")
        legend(figure, grid, loc="outside upper center")
    residuals = "; ".join(
        f"on {task}, root mean square residual {_rms(star.reconstruction - star.flux)}, swapped "
        f"{_rms(star.swapped_reconstruction - star.flux)}"
        for task, star in examples.items()
    )
    return Drawn(
        f"{method}-spectra",
        "One star",
        "The test star of median swapped error, in the 300 pixels where its spectrum varies most: "
        "true, reconstructed from its own latent, and from its twin's.",
        f"Spectra and residuals of one star on each track, by {method}: {residuals}.",
        svg(figure),
    )


def _rms(residual: np.ndarray) -> str:
    return scientific(float(np.sqrt(np.mean(residual.astype(np.float64) ** 2))))


def _star(star: Example, names: Sequence[str]) -> str:
    if len(names) != len(star.nuisance):
        names = [f"nuisance {place}" for place in range(1, len(star.nuisance) + 1)]
    own, twin = (
        ", ".join(f"{name} {value:.4g}" for name, value in zip(names, values, strict=True))
        for values in (star.nuisance, star.twin_nuisance)
    )
    return f"test pair {star.pair}, {own} (twin: {twin})"
