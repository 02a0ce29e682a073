"""The figures of one method's page: recovery on each track, training, one star's spectra."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from starbench.leaderboard.statistics.columns import percent, scientific
from starbench.leaderboard.store.traces import Example, Trace
from starbench.leaderboard.web.drawing import GREY, HUES, INK, powers, style, svg
from starbench.leaderboard.web.figures import Drawn, legend
from starbench.leaderboard.web.model import Standing
from starbench.runs.history import MEASURE

_TRUE, _PLAIN, _SWAPPED = INK, HUES[0], HUES[1]


def method_recovery(method: str, standings: Sequence[Standing]) -> Drawn | None:
    """Draw the share of twins found against rank, a curve for each track.

    Parameters
    ----------
    method : str
    standings : sequence of Standing
        One a track.
    """
    scored = [standing for standing in standings if standing.curve is not None]
    if not scored:
        return None
    with style():
        figure = Figure(figsize=(6.6, 3.6), layout="constrained")
        axes = figure.subplots()
        for standing, colour, marker in zip(scored, HUES * len(scored), "os^DvP" * len(scored),
                                            strict=False):  # fmt: skip
            curve = standing.curve
            axes.fill_between(curve.k, curve.low, curve.high, color=colour, alpha=0.2, lw=0)
            axes.plot(curve.k, curve.share, color=colour, marker=marker, label=standing.row.task)
        axes.set(xscale="log", xlabel="rank k", ylabel="twins within rank k", ylim=(0, 1.02))
        axes.yaxis.set_major_formatter(PercentFormatter(1.0))
        powers(axes.xaxis)
        axes.legend(loc="lower right")
    told = "; ".join(
        f"{percent(float(standing.curve.share[0]))} % nearest on {standing.row.task}"
        for standing in scored
    )
    return Drawn(
        f"{method}-recovery",
        "Recovery against rank",
        "The share of stars whose twin is among the k nearest, mean over seeds; the band is its "
        "95 % interval over pairs and seeds.",
        f"Line chart: share of twins that {method} finds against rank k. {told}.",
        svg(figure),
    )


def method_training(method: str, runs: dict[str, Sequence[Trace]]) -> Drawn | None:
    """Draw what the fits reported over their epochs, a colour for each track, a line for each seed.

    Parameters
    ----------
    method : str
    runs : dict of str to sequence of Trace
        By task.
    """
    names = {name for traces in runs.values() for trace in traces for row in trace.history
             for name in row}  # fmt: skip
    panels = [
        (MEASURE, "validation stars\nwith twin nearest"),
        ("reconstruction_mse", "training MSE"),
        ("adversary_cross_entropy", "adversary's\ncross-entropy [nat]"),
        ("loss", "loss"),
    ]
    panels = [(name, label) for name, label in panels if name in names]
    if not panels:
        return None
    with style():
        figure = Figure(figsize=(6.6, 0.7 + 1.7 * len(panels)), layout="constrained")
        grid = figure.subplots(len(panels), 1, sharex=True, squeeze=False)[:, 0]
        for axes, (name, label) in zip(grid, panels, strict=True):
            smallest = 1.0
            for (task, traces), colour in zip(runs.items(), HUES * len(runs), strict=False):
                for number, trace in enumerate(traces):
                    points = [(row["epoch"], row[name]) for row in trace.history if name in row]
                    if points:
                        smallest = min(smallest, *(value for _, value in points))
                        axes.plot(
                            *zip(*points, strict=True), color=colour, lw=0.9,
                            marker="o" if name == MEASURE else None, ms=2.5,
                            label=task,
                        )  # fmt: skip
                    chance = [(row["epoch"], row["chance_cross_entropy"]) for row in trace.history
                              if "chance_cross_entropy" in row]  # fmt: skip
                    if name == "adversary_cross_entropy" and chance and number == 0:
                        axes.plot(*zip(*chance, strict=True), color=GREY, lw=0.9, ls="--")
            if name == MEASURE:
                axes.yaxis.set_major_formatter(PercentFormatter(1.0))
            elif smallest > 0 and name == "reconstruction_mse":
                axes.set_yscale("log")
                powers(axes.yaxis)
            axes.set_ylabel(label)
        grid[-1].set_xlabel("epoch")
        grid[-1].xaxis.set_major_locator(MaxNLocator(integer=True))
        legend(figure, grid, loc="outside upper center", ncols=2)
    kept = sum(bool(trace.history) for traces in runs.values() for trace in traces)
    return Drawn(
        f"{method}-training",
        "Training",
        "What each fit reported over its epochs, a line for each seed; the dashed line is what an "
        "adversary reaches by chance.",
        f"Line charts over epochs of {kept} fits of {method}: "
        f"{', '.join(' '.join(label.split()) for _, label in panels)}.",
        svg(figure),
    )


def method_spectra(
    method: str, examples: dict[str, Example], names: Mapping[str, Sequence[str]]
) -> Drawn | None:
    """Draw one test star of each track: true, reconstructed, and from its twin's latent.

    Parameters
    ----------
    method : str
    examples : dict of str to Example
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
            x, errors = star.wavelength, {}
            top.plot(x, star.flux, color=_TRUE, lw=1.8, label="true")
            for flux, colour, dash, label in (
                (star.reconstruction, _PLAIN, "-", "reconstructed"),
                (star.swapped_reconstruction, _SWAPPED, (0, (4, 1.5)), "from the twin's latent"),
            ):
                errors[label] = flux - star.flux
                top.plot(x, flux, color=colour, lw=0.9, ls=dash, label=label)
                bottom.plot(x, errors[label], color=colour, lw=0.8, ls=dash)
            top.set_title(f"{task}: {_star(star, names.get(task, ()))}", loc="left", fontsize=8)
            top.set_ylabel("flux")
            bottom.set_ylabel("residual")
            top.tick_params(labelbottom=False)
            for axes in (top, bottom):
                axes.set_xlim(x[0], x[-1])
        grid[-1].set_xlabel("vacuum wavelength [Å]")
        legend(figure, grid, loc="outside upper center")
    told = "; ".join(
        f"on {task}, root mean square residual {_rms(star.reconstruction - star.flux)}, swapped "
        f"{_rms(star.swapped_reconstruction - star.flux)}"
        for task, star in examples.items()
    )
    return Drawn(
        f"{method}-spectra",
        "One star",
        "The test star of median swapped error, in the 300 pixels where its spectrum varies most: "
        "true, reconstructed from its own latent, and from its twin's.",
        f"Spectra and residuals of one star a track, by {method}: {told}.",
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
