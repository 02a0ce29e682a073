"""The figures of the report."""

from typing import TYPE_CHECKING, Any

import numpy as np

from starbench.tasks.arrays import Floats, Spectra
from starbench.tasks.synthesis.fidelity import DEEP, FIGURES, TARGET_RMS
from starbench.tasks.synthesis.fidelity.second import deep_lines
from starbench.tasks.synthesis.wavelengths import CHIPS, aspcap_wavelengths

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from pandas import DataFrame


def draw_emulator_figure(numbers: dict[str, Any], arrays: dict[str, Floats]) -> "Figure":
    """Return a figure of the held-out error over wavelength, stars and number of training stars."""
    from matplotlib.figure import Figure  # takes a second

    figure = Figure(figsize=(10, 6.4), layout="constrained")
    grid = figure.add_gridspec(2, 2)
    axis = figure.add_subplot(grid[0, :])
    edges = np.cumsum([last - first for first, last in CHIPS])[:-1]
    for x, y in zip(
        np.split(aspcap_wavelengths(), edges), np.split(arrays["pixel_rms"], edges), strict=True
    ):
        axis.plot(x, y, color="tab:blue", linewidth=0.5)
    axis.set(
        xlabel="vacuum wavelength [Angstrom]",
        ylabel="rms over held-out stars",
        yscale="log",
        title="Emulator minus PySME",
    )
    axis = figure.add_subplot(grid[1, 0])
    points = axis.scatter(
        arrays["star_labels"][:, 0],
        arrays["star_rms"],
        c=arrays["star_labels"][:, 2],
        s=14,
        cmap="viridis",
    )
    figure.colorbar(points, label="[Fe/H]")
    axis.set(xlabel="Teff [K]", ylabel="rms over pixels", yscale="log")
    axis = figure.add_subplot(grid[1, 1])
    count = [row["training_stars"] for row in numbers["learning_curve"]]
    for key, label in (("p99", "99th percentile"), ("rms", "rms"), ("median", "median")):
        axis.plot(count, [row[key] for row in numbers["learning_curve"]], "o-", label=label)
    axis.axhline(TARGET_RMS, color="grey", linestyle=":", label="target rms")
    axis.set(xlabel="training stars", ylabel="held-out error", xscale="log", yscale="log")
    axis.set_xticks(count, map(str, count))
    axis.minorticks_off()
    axis.legend(frameon=False)
    return figure


def draw_published_figure(own: Spectra, flux: Floats, labels: Floats) -> "Figure":
    """Return a figure of two published spectra beside ours, in a stretch of each chip.

    Parameters
    ----------
    own, flux : numpy.ndarray [n, 7214]
        Emulated and published.
    labels : numpy.ndarray [n, 19]
        Their labels.
    """
    from matplotlib.figure import Figure

    wavelength = aspcap_wavelengths()
    stretches = ((15_650, 15_800), (16_120, 16_270), (16_650, 16_800))
    figure = Figure(figsize=(10, 6.4), layout="constrained")
    axes = figure.subplots(len(stretches), 2, sharey=True)
    for column, star in enumerate((1, 7)):
        for axis, stretch in zip(axes[:, column], stretches, strict=True):
            part = (stretch[0] < wavelength) & (wavelength < stretch[1])
            x, ours, theirs = wavelength[part], own[star, part], flux[star, part]
            axis.plot(x, theirs, color="black", linewidth=0.8, label="published")
            axis.plot(x, ours, color="tab:red", linewidth=0.8, label="this project")
            axis.plot(
                x, ours - theirs + 0.35, color="tab:blue", linewidth=0.6, label="difference + 0.35"
            )
            axis.set(xlim=stretch, ylim=(0.1, 1.08))
        teff, logg, metallicity = labels[star, :3]
        axes[0, column].set_title(f"{teff:.0f} K, log g {logg:.1f}, [M/H] {metallicity:+.2f}")
        axes[-1, column].set_xlabel("vacuum wavelength [Angstrom]")
    for axis in axes[:, 0]:
        axis.set_ylabel("flux")
    axes[-1, 0].legend(frameon=False, ncols=3, fontsize=7, loc="lower left")
    return figure


def draw_second_figure(arrays: dict[str, Floats]) -> "Figure":
    """Return a figure of the second emulator's error, and of the generators' difference."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 5.4), layout="constrained")
    axes = figure.subplots(2, 1, sharex=True)
    edges = np.cumsum([last - first for first, last in CHIPS])[:-1]
    wavelength = np.split(aspcap_wavelengths(), edges)
    for axis, name, title in zip(
        axes,
        ("pixel_rms", "difference_rms"),
        ("Second emulator minus MOOG", "Second generator minus first, same labels"),
        strict=True,
    ):
        for x, y in zip(wavelength, np.split(arrays[name], edges), strict=True):
            axis.plot(x, y, color="tab:blue", linewidth=0.5)
        axis.set(ylabel="rms over held-out stars", yscale="log", title=title)
    axes[-1].set_xlabel("vacuum wavelength [Angstrom]")
    return figure


def draw_corrections_figure(lines: "DataFrame") -> "Figure":
    """Return a figure of the corrections of log gf: their distribution, and against depth.

    Parameters
    ----------
    lines : pandas.DataFrame
        The line list of the second generator.
    """
    from matplotlib.figure import Figure

    listed = lines[lines["origin"] != "anonymous"]
    molecule = listed["species"].astype(float) > 100
    figure = Figure(figsize=(10, 3.6), layout="constrained")
    left, right = figure.subplots(1, 2)
    edges = np.arange(-2.5, 1.05, 0.1)
    for name, part, colour in (
        ("atoms", listed[~molecule], "tab:red"),
        ("molecules", listed[molecule], "tab:blue"),
    ):
        deep = deep_lines(part)["correction"]
        label = f"{name}, {len(deep)} lines"
        left.hist(deep, edges, histtype="step", color=colour, label=label)
        seen = part["depth"] > 0.01
        right.plot(part["depth"][seen], part["correction"][seen], ".", color=colour, markersize=2)
    left.set(
        xlabel="correction of log gf [dex]",
        ylabel="lines",
        yscale="log",
        title=f"Lines deeper than {100 * DEEP:.0f} %, before or after",
    )
    left.legend(frameon=False, loc="upper left")
    right.set(
        xlabel="change of Arcturus's flux with ln gf, in the line's centre",
        ylabel="correction [dex]",
        xscale="log",
    )
    return figure


def draw_arcturus_figure(spectra: dict[str, Floats]) -> "Figure":
    """Return a figure of Arcturus in the atlas and by both generators, in a stretch of each chip.

    Parameters
    ----------
    spectra : dict of numpy.ndarray [7214]
        As `starbench.tasks.synthesis.fidelity.second.arcturus_spectra` returns them.
    """
    from matplotlib.figure import Figure

    wavelength, atlas = aspcap_wavelengths(), spectra["atlas"]
    figure = Figure(figsize=(10, 7.2), layout="constrained")
    axes = figure.subplots(3, 1)
    curves = (
        ("first", "first generator", "tab:blue"),
        ("before", "MOOG before the fit", "tab:green"),
        ("after", "MOOG after the fit", "tab:red"),
    )
    for axis, stretch in zip(
        axes, ((15_650, 15_780), (16_120, 16_250), (16_650, 16_780)), strict=True
    ):
        part = (stretch[0] < wavelength) & (wavelength < stretch[1])
        axis.plot(wavelength[part], atlas[part], color="black", linewidth=1, label="atlas")
        for level, (name, label, colour) in enumerate(curves):
            difference = spectra[name][part] - atlas[part] + 0.42 - 0.16 * level
            axis.plot(
                wavelength[part], difference, color=colour, linewidth=0.7, label=f"{label} - atlas"
            )
            axis.axhline(0.42 - 0.16 * level, color="grey", linewidth=0.3)
        axis.set(xlim=stretch, ylim=(0, 1.18), ylabel="flux; differences, shifted")
    axes[-1].set_xlabel("vacuum wavelength [Angstrom]")
    axes[0].legend(frameon=False, ncols=4, fontsize=7, loc="upper center")
    return figure


def save(figure: "Figure", name: str) -> None:
    """Write a figure of the report; equal figures are equal files."""
    FIGURES.mkdir(exist_ok=True)
    # The date and the library's name would differ.
    figure.savefig(FIGURES / name, dpi=110, metadata={"Software": None})
