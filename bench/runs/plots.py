"""Figures of a run, drawn from the files in its folder."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import AutoMinorLocator, MaxNLocator

from starbench.common.files import atomic_path
from starbench.methods.base import Diagnostic
from starbench.results.example import Example, densest_window, read_example, segments
from starbench.results.history import MEASURE, Epoch, read_history
from starbench.results.schema import read_row
from starbench.runs.diagnostics import declared_diagnostics
from starbench.runs.panels import draw_star, history_panels, rms_residuals, series
from starbench.runs.run_folder import RunFolder

INK, BLUE, ORANGE, GREY = "#1a1a1a", "#2b6cb0", "#dd6b20", "#8a8a8a"
STYLE: Any = {
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.6,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "legend.frameon": False,
    "savefig.dpi": 160,
}


def figure_spectra(example: Example, title: str) -> Figure:
    """Draw one test star: true, reconstructed and swapped spectrum, residuals below.

    One column for each of up to three detector chips shows the stretch in which the spectrum varies
    most.
    """
    columns = [densest_window(example.flux, part) for part in segments(example.wavelength)[:3]]
    plain_rms, swapped_rms = rms_residuals(example)
    labels = (
        "true",
        f"reconstructed, rms {plain_rms:.1e}",
        f"from the twin's latent, rms {swapped_rms:.1e}",
    )
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(4.0 * max(len(columns), 2), 5.2), layout="constrained")
        axes = figure.subplots(
            3, len(columns),
            sharex="col", sharey="row", squeeze=False, height_ratios=(3, 1, 1),
        )  # fmt: skip
        for (top, middle, bottom), window in zip(axes.T, columns, strict=True):
            for axis in (middle, bottom):
                axis.axhline(0, color=GREY, lw=0.5)
            draw_star(top, (middle, bottom), example, window, (INK, BLUE, ORANGE), labels)
            if window.stop - window.start > 1:
                top.set_xlim(*example.wavelength[window][[0, -1]])
            bottom.xaxis.set_major_locator(MaxNLocator(5, prune="both"))
            bottom.xaxis.set_minor_locator(AutoMinorLocator())
        pixels = np.concatenate([np.arange(window.start, window.stop) for window in columns])
        pixels = pixels[np.isfinite(example.flux[pixels])]  # not masked
        largest = max(
            np.abs(flux[pixels] - example.flux[pixels]).max(initial=0.0)
            for flux in (example.reconstruction, example.swapped_reconstruction)
        )
        for axis in axes[1:].flat:  # one scale, so that the two residuals compare by eye
            axis.set_ylim(-1.1 * (largest or 1.0), 1.1 * (largest or 1.0))
        axes[0, 0].set_ylabel("normalised flux")
        axes[1, 0].set_ylabel("residual,\nreconstructed")
        axes[2, 0].set_ylabel("residual,\nswapped")
        figure.align_ylabels(axes[:, 0])
        unit = example.wavelength_unit or "Angstrom"
        medium = {"vacuum": "vacuum ", "air": "air "}.get(example.wavelength_medium, "")
        figure.supxlabel(f"{medium}wavelength [{'Å' if unit == 'Angstrom' else unit}]", fontsize=9)
        axes[0, 0].legend(loc="lower left", ncols=1, fontsize=8)
        figure.suptitle(f"{title}\n{_star(example)}", fontsize=9.5)
    return figure


def _star(example: Example) -> str:
    """Describe the drawn star: its number, its nuisance and its twin's."""
    described = zip(
        example.nuisance_names, example.nuisance_units, example.nuisance, example.twin_nuisance,
        strict=False,
    )  # fmt: skip
    parts = [
        f"{name} {own:.4g} (twin {twin:.4g}) {unit}".rstrip() for name, unit, own, twin in described
    ]
    star = f"test pair {example.pair}, the star of median swapped error"
    return ": ".join([star, ", ".join(parts)]) if parts else star


def figure_history(
    history: Sequence[Epoch],
    title: str,
    selected: int | None,
    diagnostics: Sequence[Diagnostic] = (),
) -> Figure | None:
    """Draw the losses and diagnostics of a fit over its epochs; None if there are none.

    Parameters
    ----------
    history : sequence of Epoch
    title : str
    selected : int or None
        The epoch whose state was scored.
    diagnostics : sequence of Diagnostic
        Those that the method declares.
    """
    names = list(dict.fromkeys(name for row in history for name in row))
    panels = history_panels(names, diagnostics)
    if not panels:
        return None
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(6.4, 0.9 + 1.9 * len(panels)), layout="constrained")
        grid = figure.subplots(len(panels), 1, sharex=True, squeeze=False)[:, 0]
        for axes, panel in zip(grid, panels, strict=True):
            colours = (INK, BLUE, ORANGE, GREY) * len(panel.quantities)
            drawn: list[float] = []
            for name, colour in zip(panel.quantities, colours, strict=False):
                epochs, values = series(history, name)
                drawn += values
                axes.plot(
                    epochs, values, color=colour, lw=1.2, label=name.replace("_", " "),
                    marker="o" if name == MEASURE else None, ms=3,
                )  # fmt: skip
            for name in panel.references:
                label = name.replace("_", " ")
                axes.plot(*series(history, name), color=GREY, ls="--", lw=1.2, label=label)
            panel.scale(axes, drawn)
            if selected is not None:
                axes.axvline(selected, color=ORANGE, lw=0.8, ls=":")
            if not panel.is_share:
                axes.legend(fontsize=8)
        if selected is not None:
            grid[0].annotate(
                "selected", (selected, 0), (-3, 4), xycoords=("data", "axes fraction"),
                textcoords="offset points", ha="right", color=ORANGE, fontsize=8,
            )  # fmt: skip
        grid[-1].set_xlabel("epoch")
        figure.suptitle(title, fontsize=9.5)
    return figure


def draw_run(folder: RunFolder, diagnostics: Sequence[Diagnostic] | None = None) -> list[Path]:
    """Draw all figures of a finished run into its ``figures/`` and return their paths.

    Parameters
    ----------
    folder : RunFolder
    diagnostics : sequence of Diagnostic, optional
        By default those of the method that has the row's name.

    Raises
    ------
    starbench.results.text.RowError
        If the folder holds no readable row, or a file that a figure needs is damaged.
    """
    row = read_row(folder.row)
    title = f"{row.method} on {row.task}, scale {row.scale}, seed {row.seed}"
    figures: dict[Path, Figure | None] = {}
    if folder.example.exists():
        figures[folder.spectra_figure] = figure_spectra(read_example(folder.example), title)
    if folder.history.exists():
        if diagnostics is None:
            diagnostics = declared_diagnostics(row.method)
        figures[folder.history_figure] = figure_history(
            read_history(folder.history), title, row.selection.epoch, diagnostics
        )
    paths = []
    for path, figure in figures.items():
        if figure is not None:
            paths.append(path)
            with atomic_path(path) as temporary:
                # Without the library's version in the file, the same figure gives the same bytes.
                figure.savefig(temporary, format="png", metadata={"Software": None})
    return paths
