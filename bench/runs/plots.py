"""Figures of a run, drawn from the files in its folder."""

from itertools import pairwise
from pathlib import Path

import h5py
import matplotlib
import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import AutoMinorLocator, MaxNLocator, PercentFormatter

from starbench.runs.history import MEASURE, read_history
from starbench.results.schema import read_row
from starbench.common.files import replacing
from starbench.runs.run_folder import RunFolder

INK, BLUE, ORANGE, GREY = "#1a1a1a", "#2b6cb0", "#dd6b20", "#8a8a8a"
STYLE = {
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.6,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "legend.frameon": False,
    "savefig.dpi": 160,
}
WINDOW_PIXELS = (
    300  # of each segment: some 60 Angstrom of an APOGEE spectrum, wide enough to tell lines apart
)
GAP_FACTOR = 5.0  # a step in wavelength this many times the usual one separates two detector chips


def segments(wavelength: np.ndarray) -> list[slice]:
    """Cut a wavelength grid [n_pixels] where it has gaps, as between the chips of a detector."""
    step = np.diff(wavelength)
    cuts = np.flatnonzero(step > GAP_FACTOR * np.median(step)) + 1 if len(step) else step
    edges = [0, *cuts.tolist(), len(wavelength)]
    return [slice(low, high) for low, high in pairwise(edges)]


def densest_window(flux: np.ndarray, part: slice) -> slice:
    """Return the `WINDOW_PIXELS` pixels of a segment in which the flux varies most."""
    if part.stop - part.start <= WINDOW_PIXELS:
        return part
    deviation = (flux[part] - np.median(flux[part])) ** 2
    sums = np.convolve(deviation, np.ones(WINDOW_PIXELS), mode="valid")
    start = part.start + int(np.argmax(sums))
    return slice(start, start + WINDOW_PIXELS)


def figure_spectra(example: Path, title: str) -> Figure:
    """Draw one test star: true, reconstructed and swapped spectrum, residuals below.

    The star is the one with the median swapped error of the test split. One column for each of up
    to three detector chips, showing the stretch in which the spectrum varies most.

    Parameters
    ----------
    example : pathlib.Path
        The run's ``example.h5``.
    title : str
    """
    with h5py.File(example) as file:
        wavelength, truth = file["wavelength"][()], file["flux"][()]
        plain, swapped = file["reconstruction"][()], file["swapped_reconstruction"][()]
        facts = dict(file.attrs)
    columns = [densest_window(truth, part) for part in segments(wavelength)[:3]]
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(4.0 * max(len(columns), 2), 5.2), layout="constrained")
        axes = figure.subplots(
            3, len(columns),
            sharex="col", sharey="row", squeeze=False, height_ratios=(3, 1, 1),
        )  # fmt: skip
        for (top, middle, bottom), part in zip(axes.T, columns, strict=True):
            x = wavelength[part]
            top.plot(x, truth[part], color=INK, lw=1.8, label="true")
            top.plot(
                x,
                plain[part],
                color=BLUE,
                lw=0.9,
                label=f"reconstructed, rms {_rms(plain - truth)}",
            )
            top.plot(
                x,
                swapped[part],
                color=ORANGE,
                lw=0.9,
                ls=(0, (4, 1.5)),
                label=f"from the twin's latent, rms {_rms(swapped - truth)}",
            )
            for axis, flux, colour in ((middle, plain, BLUE), (bottom, swapped, ORANGE)):
                axis.axhline(0, color=GREY, lw=0.5)
                axis.plot(x, flux[part] - truth[part], color=colour, lw=0.8)
            if len(x) > 1:
                top.set_xlim(x[0], x[-1])
            bottom.xaxis.set_major_locator(MaxNLocator(5, prune="both"))
            bottom.xaxis.set_minor_locator(AutoMinorLocator())
        shown = np.concatenate([np.arange(part.start, part.stop) for part in columns])
        largest = max(np.abs(flux[shown] - truth[shown]).max() for flux in (plain, swapped))
        for axis in axes[1:].flat:  # one scale, so that the two kinds of residual compare by eye
            axis.set_ylim(-1.1 * largest, 1.1 * largest)
        axes[0, 0].set_ylabel("normalised flux")
        axes[1, 0].set_ylabel("residual,\nreconstructed")
        axes[2, 0].set_ylabel("residual,\nswapped")
        figure.align_ylabels(axes[:, 0])
        unit = facts.get("wavelength_unit", "Angstrom")
        figure.supxlabel(f"wavelength [{'Å' if unit == 'Angstrom' else unit}]", fontsize=9)
        axes[0, 0].legend(loc="lower left", ncols=1, fontsize=8)
        figure.suptitle(f"{title}\n{_star(facts)}", fontsize=9.5)
    return figure


def _rms(residual: np.ndarray) -> str:
    return f"{np.sqrt(np.mean(residual**2)):.1e}"


def _star(facts: dict) -> str:
    """Describe the drawn star: which one, and its nuisance and its twin's."""
    named = zip(
        facts["nuisance_names"], facts["nuisance_units"], facts["nuisance"], facts["twin_nuisance"],
        strict=True,
    )  # fmt: skip
    parts = [
        f"{name} {own:.4g} (twin {twin:.4g}) {unit}".rstrip() for name, unit, own, twin in named
    ]
    return f"test pair {facts['pair']}, the star of median swapped error: {', '.join(parts)}"


def figure_history(history: Path, title: str, chosen: int | None) -> Figure | None:
    """Draw what a fit reported over its epochs; None where it reported nothing.

    Errors and losses, on a logarithmic axis where they are positive, the adversary's cross-entropy
    against chance where there is one, and the share of validation stars whose twin is nearest, with
    the epoch that was chosen.

    Parameters
    ----------
    history : pathlib.Path
        The run's ``history.csv``.
    title : str
    chosen : int or None
        The epoch whose state was scored.
    """
    rows = read_history(history)
    names = dict.fromkeys(name for row in rows for name in row if name != "epoch")
    if not names:
        return None
    entropies = [name for name in names if name.endswith("cross_entropy")]
    errors = [name for name in names if name.endswith("mse")]
    losses = [name for name in names if name not in (*entropies, *errors, MEASURE)]
    panels = [
        ("mean squared error", errors),
        ("losses", losses),
        ("cross-entropy [nat]", entropies),
        ("validation stars\nwith twin nearest", [MEASURE] if MEASURE in names else []),
    ]
    panels = [(label, shown) for label, shown in panels if shown]
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(6.4, 0.9 + 1.9 * len(panels)), layout="constrained")
        axes = figure.subplots(len(panels), 1, sharex=True, squeeze=False)[:, 0]
        for axis, (label, shown) in zip(axes, panels, strict=True):
            for name, colour in zip(shown, (INK, BLUE, ORANGE, GREY) * len(shown), strict=False):
                points = [(row["epoch"], row[name]) for row in rows if name in row]
                is_chance = name.startswith("chance")
                axis.plot(
                    *zip(*points, strict=True),
                    color=GREY if is_chance else colour,
                    ls="--" if is_chance else "-",
                    lw=1.2, marker="o" if name == MEASURE else None, ms=3,
                    label=name.replace("_", " "),
                )  # fmt: skip
            if shown in (errors, losses) and all(
                row.get(name, 1) > 0 for row in rows for name in shown
            ):
                axis.set_yscale("log")
            if chosen is not None:
                axis.axvline(chosen, color=ORANGE, lw=0.8, ls=":")
            axis.set_ylabel(label)
            if len(shown) > 1 or shown in (errors, losses):
                axis.legend(fontsize=8)
            if shown == [MEASURE]:
                axis.yaxis.set_major_formatter(PercentFormatter(1.0))
        if chosen is not None:
            axes[-1].annotate(
                "chosen", (chosen, 0), (-3, 4), xycoords=("data", "axes fraction"),
                textcoords="offset points", ha="right", color=ORANGE, fontsize=8,
            )  # fmt: skip
        axes[-1].set_xlabel("epoch")
        figure.suptitle(title, fontsize=9.5)
    return figure


def draw_run(folder: RunFolder) -> list[Path]:
    """Draw all figures of a finished run into its ``figures/`` and return their paths.

    Raises
    ------
    starbench.results.schema.RowError
        If the folder holds no readable row.
    """
    row = read_row(folder.row)
    title = f"{row.method} on {row.task}, scale {row.scale}, seed {row.seed}"
    figures = {}
    if folder.example.exists():
        figures["spectra.png"] = figure_spectra(folder.example, title)
    if folder.history.exists():
        figures["history.png"] = figure_history(folder.history, title, row.selection.epoch)
    paths = []
    for name, figure in figures.items():
        if figure is not None:
            paths.append(folder.figures / name)
            with replacing(paths[-1]) as temporary:
                # The version of the library in the file would change its bytes and tell nothing.
                figure.savefig(temporary, format="png", metadata={"Software": None})
    return paths
