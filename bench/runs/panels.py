"""Drawing code shared by the figures of runs and of the leaderboard."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from textwrap import wrap

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import PercentFormatter

from starbench.methods.base import Diagnostic
from starbench.results.example import Example, Spectrum
from starbench.results.history import MEASURE, Epoch

_LABEL_WIDTH = 18  # characters of one line beside a panel
_DASHES = ("-", (0, (4, 1.5)))


@dataclass(frozen=True)
class Panel:
    """One panel of a figure of histories.

    Attributes
    ----------
    label : str
        Of the vertical axis.
    quantities : tuple of str
        Columns of the history to draw.
    references : tuple of str
        Columns to draw for comparison.
    logarithmic : bool
        Whether the axis is logarithmic if all values are positive.
    """

    label: str
    quantities: tuple[str, ...]
    references: tuple[str, ...] = ()
    logarithmic: bool = False

    @property
    def is_share(self) -> bool:
        """Whether the values are shares of stars."""
        return self.quantities == (MEASURE,)

    def scale(self, axes: Axes, values: Iterable[float]) -> bool:
        """Set the vertical axis up for values; return whether it is logarithmic."""
        axes.set_ylabel(self.label)
        if self.is_share:
            axes.yaxis.set_major_formatter(PercentFormatter(1.0))
        if self.logarithmic and all(value > 0 for value in values):
            axes.set_yscale("log")
            return True
        return False


def history_panels(names: Collection[str], diagnostics: Sequence[Diagnostic]) -> list[Panel]:
    """Return the panels for the columns of a history; columns of one kind share a panel.

    Parameters
    ----------
    names : collection of str
        Columns; ``epoch`` is ignored.
    diagnostics : sequence of Diagnostic
        Those that the method declares; each has its own panel.

    Examples
    --------
    >>> for panel in history_panels(["epoch", "loss", "reconstruction_mse"], []):
    ...     print(panel.label, panel.quantities)
    mean squared error ('reconstruction_mse',)
    loss ('loss',)
    """
    panels = [Panel("validation stars\nwith twin nearest", (MEASURE,))] if MEASURE in names else []
    declared = {"epoch", MEASURE}
    watched = []
    for diagnostic in diagnostics:
        if diagnostic.name not in names:
            continue
        references: tuple[str, ...] = ()
        if diagnostic.reference is not None and diagnostic.reference in names:
            references = (diagnostic.reference,)
        label = "\n".join(wrap(diagnostic.label, _LABEL_WIDTH, break_on_hyphens=False))
        watched.append(Panel(label, (diagnostic.name,), references))
        declared |= {diagnostic.name, *references}
    others = [name for name in names if name not in declared]
    errors = tuple(name for name in others if name.endswith("mse"))
    losses = tuple(name for name in others if not name.endswith("mse"))
    if errors:
        panels.append(Panel("mean squared error", errors, logarithmic=True))
    panels += watched
    if losses:
        panels.append(Panel("loss", losses, logarithmic=True))
    return panels


def series(history: Iterable[Epoch], name: str) -> tuple[list[float], list[float]]:
    """Return the epochs that reported a quantity, and its values."""
    reported = [row for row in history if name in row]
    return [row["epoch"] for row in reported], [row[name] for row in reported]


def draw_star(
    flux_axes: Axes,
    residual_axes: tuple[Axes, Axes],
    example: Example,
    window: slice,
    colours: tuple[str, str, str],
    labels: tuple[str, str, str],
) -> None:
    """Draw a stretch of a star's spectra and of their residuals.

    Parameters
    ----------
    flux_axes : Axes
    residual_axes : tuple of Axes
        For the residual of the reconstruction, and of the swapped one; may be the same.
    example : Example
    window : slice
        Of the pixels.
    colours, labels : tuple of str
        Of the noiseless, the reconstructed and the swapped spectrum.
    """
    x, truth = example.wavelength[window], example.flux[window]
    flux_axes.plot(x, truth, color=colours[0], lw=1.8, label=labels[0])
    reconstructions = (example.reconstruction, example.swapped_reconstruction)
    for axes, spectrum, colour, dash, label in zip(
        residual_axes, reconstructions, colours[1:], _DASHES, labels[1:], strict=True
    ):
        flux = spectrum[window]
        flux_axes.plot(x, flux, color=colour, lw=0.9, ls=dash, label=label)
        axes.plot(x, flux - truth, color=colour, lw=0.8, ls=dash)


def rms_residuals(example: Example) -> tuple[float, float]:
    """Return the root mean square residuals of the reconstruction and of the swapped one.

    Masked pixels do not count.
    """
    residuals = (
        example.reconstruction - example.flux,
        example.swapped_reconstruction - example.flux,
    )
    plain, swapped = (_rms(residual) for residual in residuals)
    return plain, swapped


def _rms(residual: Spectrum) -> float:
    measured = residual[np.isfinite(residual)]
    return float(np.sqrt(np.mean(measured.astype(np.float64) ** 2))) if len(measured) else np.nan
