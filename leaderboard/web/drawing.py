"""How the site's figures look, and how they are written: SVG that follows the reader's scheme.

A figure is drawn once, in colours for a light page; a style sheet inside the file replaces them
where the reader prefers a dark one. Text is drawn as outlines, so that it needs no font.
"""

import io
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullFormatter

INK, GREY, FAINT = "#1b1f24", "#667079", "#d5dade"

# Each on a light page and on a dark one: at least 3 : 1 against its page. The hues, after Okabe and
# Ito's, stay apart for colour-blind readers; marker and dash tell apart those that share a hue.
_PAIRS = {
    "#0068a8": "#5ab4f0",
    "#c44d00": "#ff9142",
    "#007a58": "#2fcf9f",
    "#a02c78": "#ef8cc8",
    "#8a6100": "#e0b040",
    "#4a5560": "#aeb9c4",
}
HUES = list(_PAIRS)
_DARK = {INK: "#e8ebee", GREY: "#9aa5af", FAINT: "#3a424a", **_PAIRS}
_MARKERS = ("o", "s", "^", "D", "v", "P")
_DASHES = ("-", (0, (5, 1.5)), (0, (1.2, 1.2)), (0, (5, 1.5, 1.2, 1.5)), (0, (9, 2)), (0, (2, 3)))

_STYLE = {
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],  # ships with matplotlib, and so is the same everywhere
    "font.size": 9,
    "text.color": INK,
    "text.parse_math": False,  # names in labels are foreign text
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "axes.titlesize": 9.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.6,
    "axes.facecolor": "none",
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": FAINT,
    "grid.linewidth": 0.5,
    "xtick.color": INK,
    "ytick.color": INK,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "figure.facecolor": "none",
    "savefig.facecolor": "none",
    "legend.frameon": False,
    "legend.fontsize": 8.5,
    "lines.linewidth": 1.4,
    "lines.markersize": 4.5,
    "svg.fonttype": "path",
    "svg.hashsalt": "starbench",  # otherwise the identifiers inside a file differ each time
    "path.simplify": True,
}


@dataclass(frozen=True)
class Look:
    """How a method is drawn, in every figure alike."""

    colour: str
    marker: str
    dash: Any


def looks(names: Sequence[str]) -> dict[str, Look]:
    """Give each name a look of its own; from the 37th on they repeat."""
    return {
        name: Look(
            HUES[place % len(HUES)],
            _MARKERS[place // len(HUES) % len(_MARKERS)],
            _DASHES[place // len(HUES) % len(_DASHES)],
        )
        for place, name in enumerate(names)
    }


def powers(axis: Axis) -> None:
    """Label the powers of ten of a logarithmic axis in plain text: the style reads no formulae."""
    axis.set_major_formatter(
        FuncFormatter(
            lambda x, _: f"{x:,.0f}" if 1 <= x < 1e5 or x <= 0 else f"1e{round(math.log10(x))}"
        )
    )
    axis.set_minor_formatter(NullFormatter())


def style() -> Any:
    """Return the context in which figures are drawn and written."""
    return matplotlib.rc_context(_STYLE)


def svg(figure: Figure) -> bytes:
    """Return a figure as SVG: the same figure gives the same bytes."""
    image = io.BytesIO()
    with style():
        figure.savefig(image, format="svg", metadata={"Date": None, "Creator": None})
    rules = "".join(
        f'[style*="{paint}: {light}"]{{{paint}:{dark}!important}}'
        for light, dark in _DARK.items()
        for paint in ("fill", "stroke")
    )
    # Comments hold the labels' text, and so foreign text that the picture itself does not need.
    text = re.sub("<!--.*?-->\n?", "", image.getvalue().decode(), flags=re.DOTALL)
    sheet = f"<style>@media (prefers-color-scheme: dark){{{rules}}}</style>"
    begin, defs, rest = text.partition("<defs>")
    return f"{begin}{defs}{sheet}{rest}".encode()
