"""Draw the two figures of the README from the committed rows: ``python docs/figures/draw.py``."""

from pathlib import Path
from statistics import mean

import h5py
import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator, PercentFormatter

from starbench.leaderboard.store.board import file_name
from starbench.results.schema import Row, read_row

HERE = Path(__file__).parent
ROWS = HERE.parents[1] / "leaderboard" / "rows"
INK, BLUE, ORANGE, GREY = "#1a1a1a", "#2b6cb0", "#dd6b20", "#8a8a8a"
STYLE = {
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.6,
    "legend.frameon": False,
    "svg.fonttype": "path",
    "svg.hashsalt": "starbench",  # the same rows give the same bytes
}
TRACKS = {
    "apogee-giants": "no noise",
    "apogee-giants-snr100": "100",
    "apogee-giants-snr50": "50",
    "apogee-giants-snr30": "30",
}


def draw_swap(rows: list[Row]) -> Figure:
    """Draw one star of Fader's noiseless run: true, reconstructed, and from its twin's latent."""
    row = newest(rows, "fader", "apogee-giants")[0]
    with h5py.File((ROWS / file_name(row)).with_suffix(".example.h5")) as file:
        wavelength, truth = file["wavelength"][()], file["flux"][()]
        own, swapped = file["reconstruction"][()], file["swapped_reconstruction"][()]
        (temperature, gravity), twin = file.attrs["nuisance"], file.attrs["twin_nuisance"]
    figure = Figure(figsize=(5.2, 3.7), layout="constrained", facecolor="white")
    flux, residual = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    flux.plot(wavelength, truth, color=INK, lw=2.2, label="true")
    flux.plot(wavelength, own, color=BLUE, lw=1.1, label="reconstructed")
    flux.plot(
        wavelength, swapped, color=ORANGE, lw=1.1, ls=(0, (4, 2)), label="from its twin's latent"
    )
    flux.set_ylabel("normalised flux")
    flux.legend(loc="lower left", fontsize=8)
    flux.set_title(
        f"Fader: a star of {temperature:.0f} K, log g {gravity:.2f}; "
        f"its twin has {twin[0]:.0f} K, {twin[1]:.2f}",
        fontsize=9,
    )
    residual.axhline(0, color=GREY, lw=0.5)
    residual.plot(wavelength, 100 * (own - truth), color=BLUE, lw=0.9)
    residual.plot(wavelength, 100 * (swapped - truth), color=ORANGE, lw=0.9)
    residual.set_ylabel("error [%]")
    residual.set_xlabel("vacuum wavelength [Å]")
    residual.set_xlim(wavelength[0], wavelength[-1])
    figure.align_ylabels()
    return figure


def draw_shares(rows: list[Row]) -> Figure:
    """Draw the share of stars whose twin is nearest against SNR."""
    figure = Figure(figsize=(5.2, 3.7), layout="constrained", facecolor="white")
    axis = figure.subplots()
    line(axis, rows, "information-bound", "information bound", GREY, "--", above=True)
    line(axis, rows, "fader", "fader", BLUE, "-", above=False)
    line(axis, rows, "conditional-autoencoder", "baseline, no adversary", ORANGE, "-", above=True)
    axis.set_xticks(range(len(TRACKS)), TRACKS.values())
    axis.xaxis.set_minor_locator(NullLocator())
    axis.set_xlabel("signal-to-noise ratio of a pixel")
    axis.set_ylim(0, 1.08)
    axis.set_xlim(-0.3, len(TRACKS) - 0.8)
    axis.yaxis.set_major_formatter(PercentFormatter(1.0))
    axis.set_title("Stars whose twin is the nearest of 25,000 stars", fontsize=9)
    axis.legend(loc=(0.03, 0.5), fontsize=8)
    return figure


def line(
    axis: Axes, rows: list[Row], method: str, label: str, colour: str, style: str, *, above: bool
) -> None:
    """Draw one method's mean share over seeds, with a small dot for each seed."""
    shares = [
        [row.metrics["doppelganger_free"].value for row in newest(rows, method, task)]
        for task in TRACKS
    ]
    axis.plot([mean(values) for values in shares], color=colour, ls=style, lw=1.5, label=label)
    for place, values in enumerate(shares):
        axis.plot([place] * len(values), values, "o", color=colour, ms=2.5)
        axis.annotate(
            f"{100 * mean(values):.1f}", (place, mean(values)), (0, 7) if above else (-3, -12),
            textcoords="offset points", ha="center" if above else "right", color=colour,
            fontsize=7.5,
        )  # fmt: skip


def newest(rows: list[Row], method: str, task: str) -> list[Row]:
    """Return the rows of a method's newest version with its default settings, by seed."""
    own = [row for row in rows if (row.method, row.task) == (method, task)]
    own = [row for row in own if row.status == "ok" and not row.overrides and not row.preset]
    version = max(row.method_version for row in own)
    return sorted((row for row in own if row.method_version == version), key=lambda row: row.seed)


def description(rows: list[Row]) -> str:
    """Return the rows that the figures show and their shares, which both figures record."""
    return "; ".join(
        f"{row.task} {row.method} {row.method_version} seed {row.seed}: "
        f"{100 * row.metrics['doppelganger_free'].value:.2f} %"
        for task in TRACKS
        for method in ("information-bound", "fader", "conditional-autoencoder")
        for row in newest(rows, method, task)
    )


def committed_rows() -> list[Row]:
    """Return the rows of the leaderboard."""
    return [read_row(path) for path in sorted(ROWS.glob("*.json"))]


def main() -> None:
    """Write ``swap.svg`` and ``share.svg`` beside this file."""
    rows = committed_rows()
    metadata = {"Date": None, "Description": description(rows)}
    with matplotlib.rc_context(STYLE):
        for name, draw in (("swap", draw_swap), ("share", draw_shares)):
            draw(rows).savefig(HERE / f"{name}.svg", metadata=metadata)


if __name__ == "__main__":
    main()
