"""The style of the site's figures, and their output as SVG for light and dark pages.

A figure is drawn once, in colours for a light page; a style sheet inside the SVG replaces them
where the reader prefers a dark one. Text is drawn as outlines, so that it needs no font.
"""

import io
import math
import re
from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import matplotlib
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullFormatter

if TYPE_CHECKING:
    from matplotlib.typing import RcKeyType  # not in the oldest matplotlib that works

Dash: TypeAlias = str | tuple[float, tuple[float, ...]]

INK, GREY, FAINT = "#1b1f24", "#667079", "#d5dade"

# Colours on a light and on a dark page, with a contrast of at least 3:1. The hues, after Okabe and
# Ito, are distinct to colour-blind readers; markers and dashes distinguish lines of the same hue.
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
_DASHES: tuple[Dash, ...] = (
    "-",
    (0, (5, 1.5)),
    (0, (1.2, 1.2)),
    (0, (5, 1.5, 1.2, 1.5)),
    (0, (9, 2)),
    (0, (2, 3)),
)

_STYLE: "dict[RcKeyType, Any]" = {
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],  # ships with matplotlib
    "font.size": 9,
    "text.color": INK,
    "text.parse_math": False,  # names in labels are untrusted text
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
    "svg.hashsalt": "starbench",  # otherwise identifiers in the SVG are random
    "path.simplify": True,
}


@dataclass(frozen=True)
class Look:
    """How a method is drawn in all figures."""

    colour: str
    marker: str
    dash: Dash

    def keywords(self, label: str) -> dict[str, Any]:
        """Return the look and a label for the legend as keywords of matplotlib."""
        return {"color": self.colour, "marker": self.marker, "ls": self.dash, "label": label}


@dataclass(frozen=True)
class SiteFigure:
    """A figure for a page.

    Attributes
    ----------
    name : str
        Of its file, without the extension.
    title, caption, alt : str
    image : bytes
        SVG.
    """

    name: str
    title: str
    caption: str
    alt: str
    image: bytes

    @property
    def width(self) -> int:
        """Width of the image in pixels, so that a page reserves its space while it loads."""
        return self._size[0]

    @property
    def height(self) -> int:
        """Height of the image in pixels."""
        return self._size[1]

    @property
    def _size(self) -> tuple[int, int]:
        box = re.search(rb'viewBox="0 0 ([0-9.]+) ([0-9.]+)"', self.image)
        if box is None:
            raise ValueError(f"the SVG of the figure {self.name} has no viewBox")
        return round(float(box[1]) / 0.75), round(float(box[2]) / 0.75)  # from points


def looks(names: Sequence[str]) -> dict[str, Look]:
    """Return a distinct look for each name; from the 37th on they repeat."""
    return {
        name: Look(
            HUES[place % len(HUES)],
            _MARKERS[place // len(HUES) % len(_MARKERS)],
            _DASHES[place // len(HUES) % len(_DASHES)],
        )
        for place, name in enumerate(names)
    }


def label_powers_of_ten(axis: Axis) -> None:
    """Label the powers of ten of a logarithmic axis as text, as the style parses no formulae."""
    axis.set_major_formatter(
        FuncFormatter(
            lambda x, _: f"{x:,.0f}" if 1 <= x < 1e5 or x <= 0 else f"1e{round(math.log10(x))}"
        )
    )
    axis.set_minor_formatter(NullFormatter())


def legend(
    figure: Figure,
    grid: Iterable[Axes],
    *,
    loc: Literal["outside lower center", "outside upper center"] = "outside lower center",
    ncols: int = 3,
) -> None:
    """Draw one legend for all panels, each label once."""
    handles: dict[str, Artist] = {}
    for axes in grid:
        for handle, label in zip(*axes.get_legend_handles_labels(), strict=True):
            handles.setdefault(label, handle)
    figure.legend(list(handles.values()), list(handles), loc=loc, ncols=ncols)


def style() -> AbstractContextManager[None]:
    """Return the context in which figures are drawn and written."""
    return matplotlib.rc_context(_STYLE)


def svg(figure: Figure) -> bytes:
    """Return a figure as SVG, reproducible to the byte."""
    image = io.BytesIO()
    with style():
        figure.savefig(image, format="svg", metadata={"Date": None, "Creator": None})
    rules = "".join(
        f'[style*="{paint}: {light}"]{{{paint}:{dark}!important}}'
        for light, dark in _DARK.items()
        for paint in ("fill", "stroke")
    )
    # Comments repeat the labels, which are untrusted text.
    text = re.sub("<!--.*?-->\n?", "", image.getvalue().decode(), flags=re.DOTALL)
    sheet = f"<style>@media (prefers-color-scheme: dark){{{rules}}}</style>"
    begin, defs, rest = text.partition("<defs>")
    return f"{begin}{defs}{sheet}{rest}".encode()
