"""The style of the site's figures, and their output as SVG for light and dark pages.

A figure is a set of panels as wide as a phone, which a page lays out side by side where it has the
room. A panel is drawn once, in colours for a light page; a style sheet inside the SVG replaces them
where the reader prefers a dark one. Text stays text, in the reader's own font: outlines of it would
be larger than all the curves.
"""

import io
import math
import re
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias
from xml.etree import ElementTree

import matplotlib
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
_MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
_DASHES: tuple[Dash, ...] = (
    "-",
    (0, (5, 1.5)),
    (0, (1.2, 1.2)),
    (0, (5, 1.5, 1.2, 1.5)),
    (0, (9, 2)),
    (0, (2, 3)),
    "-",
    (0, (5, 1.5)),
)
MAX_CURVES = 8  # with a label, in one panel
WIDTH = 3.3  # inches, 317 pixels: a phone's screen without the margins of the page
_HALF_WIDTH = 21  # characters of a name of which two stand side by side in a legend

_SVG = "{http://www.w3.org/2000/svg}"
_LINK = "{http://www.w3.org/1999/xlink}href"
_FONT = "text{font-family:'DejaVu Sans',system-ui,sans-serif}"
ElementTree.register_namespace("", _SVG.strip("{}"))
ElementTree.register_namespace("xlink", "http://www.w3.org/1999/xlink")

_STYLE: "dict[RcKeyType, Any]" = {
    # Drawn with the first, which ships with matplotlib and is wider than what a reader may have.
    "font.family": ["DejaVu Sans", "sans-serif"],
    "font.size": 8.5,
    "text.color": INK,
    "text.parse_math": False,  # names in labels are untrusted text
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "axes.titlesize": 8.5,
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
    "legend.fontsize": 8,
    "lines.linewidth": 1.3,
    "lines.markersize": 4,
    "svg.fonttype": "none",
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
class Panel:
    """A part of a figure, in a file of its own.

    Attributes
    ----------
    name : str
        Of its file, without the extension.
    alt : str
        What it shows, for readers who do not see it.
    image : bytes
        SVG.
    """

    name: str
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
            raise ValueError(f"the SVG of the panel {self.name} has no viewBox")
        return round(float(box[1]) / 0.75), round(float(box[2]) / 0.75)  # from points


@dataclass(frozen=True)
class SiteFigure:
    """A figure for a page: panels with one title and one caption.

    Attributes
    ----------
    name : str
        Of its place on the page.
    title, caption : str
    panels : tuple of Panel
    """

    name: str
    title: str
    caption: str
    panels: tuple[Panel, ...]


def look(place: int) -> Look:
    """Return the look of a curve by its place in a panel; the first eight are distinct."""
    return Look(
        HUES[place % len(HUES)], _MARKERS[place % len(_MARKERS)], _DASHES[place % len(_DASHES)]
    )


def panel_axes(height: float) -> tuple[Figure, Axes]:
    """Return the figure of one panel, `height` inches high, and its axes."""
    figure = Figure(figsize=(WIDTH, height), layout="constrained")
    return figure, figure.subplots()


def label_powers_of_ten(axis: Axis) -> None:
    """Label the powers of ten of a logarithmic axis as text, as the style parses no formulae."""
    axis.set_major_formatter(
        FuncFormatter(
            lambda x, _: f"{x:,.0f}" if 1 <= x < 1e5 or x <= 0 else f"1e{round(math.log10(x))}"
        )
    )
    axis.set_minor_formatter(NullFormatter())


def legend(figure: Figure, axes: Axes) -> None:
    """Draw a legend below a panel: two columns where the names are short enough."""
    handles, labels = axes.get_legend_handles_labels()
    distinct = dict(zip(labels, handles, strict=True))
    short = all(len(label) <= _HALF_WIDTH for label in distinct)
    figure.legend(
        list(distinct.values()), list(distinct), loc="outside lower left", ncols=2 if short else 1,
        handlelength=2.4, columnspacing=1.0, borderpad=0.0, labelspacing=0.35,
        markerscale=1.3,
    )  # fmt: skip


def style() -> AbstractContextManager[None]:
    """Return the context in which figures are drawn and written."""
    return matplotlib.rc_context(_STYLE)


def svg(figure: Figure) -> bytes:
    """Return a figure as SVG, reproducible to the byte and without what viewers do not need."""
    image = io.BytesIO()
    with style():
        figure.savefig(image, format="svg", metadata={"Date": None, "Creator": None})
    # Parsing leaves out comments, which repeat labels: untrusted text.
    root = ElementTree.fromstring(image.getvalue())
    root.attrib.pop("version", None)
    metadata = root.find(f"{_SVG}metadata")
    if metadata is not None:
        root.remove(metadata)
    styles = _with_classes(root)
    _without_shells(root)
    sheet = root.find(f".//{_SVG}style")
    if sheet is None:
        raise ValueError("matplotlib's SVG has no style sheet")
    sheet.text = f"{sheet.text}{_FONT}{_rules(styles)}"
    return ElementTree.tostring(root, encoding="unicode").encode()


def _with_classes(root: ElementTree.Element) -> dict[str, str]:
    """Replace the styles of elements by classes; return each style's class."""
    styles: dict[str, str] = {}
    for element in root.iter():
        # All text has the font of the sheet, and nothing is turned by no angle.
        written = re.sub(r"font-family: [^;]*; ?", "", element.attrib.pop("style", ""))
        if written:
            element.set("class", styles.setdefault(written, f"s{len(styles)}"))
        if element.get("transform", "").startswith("rotate(-0 "):
            del element.attrib["transform"]
        for name in ("x", "y", "transform"):
            if name in element.attrib:  # a tenth of a point is a seventh of a pixel
                element.set(name, _rounded(element.attrib[name]))
        if "d" in element.attrib:
            element.set("d", _relative(element.attrib["d"]))
    return styles


def _without_shells(root: ElementTree.Element) -> None:
    """Shorten names, and drop those unused, groups that do nothing, space between elements."""
    short: dict[str, str] = {}

    def renamed(match: "re.Match[str]") -> str:
        return f"#{short.setdefault(match[1], f'i{len(short)}')}"

    for element in root.iter():
        if _LINK in element.attrib:  # without the prefix since SVG 2
            element.set("href", element.attrib.pop(_LINK))
        for key, value in element.attrib.items():
            if key == "href" or value.startswith("url(#"):
                element.set(key, re.sub(r"#([\w.-]+)", renamed, value))
    for element in root.iter():
        name = element.attrib.pop("id", None)
        if name in short:
            element.set("id", short[name])

    def flat(element: ElementTree.Element) -> list[ElementTree.Element]:
        element[:] = [inner for child in element for inner in flat(child)]
        element.tail = None
        if len(element):
            element.text = None
        return list(element) if element.tag == f"{_SVG}g" and not element.attrib else [element]

    flat(root)


def _rules(styles: dict[str, str]) -> str:
    """Return the rules of classes, for light pages and what differs on dark ones."""
    light = "".join(
        f".{name}{{{written.replace(': ', ':').replace('; ', ';')}}}"
        for written, name in styles.items()
    )
    dark = "".join(
        f".{name}{{{paint}:{_DARK[colour]}}}"
        for written, name in styles.items()
        for paint, colour in re.findall(r"(fill|stroke): (#\w+)", written)
        if colour in _DARK
    )
    return f"{light}@media (prefers-color-scheme: dark){{{dark}}}"


def _rounded(numbers: str) -> str:
    """Round the numbers in a text to one decimal.

    Examples
    --------
    >>> _rounded("rotate(-90 9.458912 -0.04)")
    'rotate(-90 9.5 0)'
    """
    return re.sub(r"-?\d+\.\d+", lambda number: f"{round(float(number[0]), 1) + 0.0:g}", numbers)


def _relative(path: str) -> str:
    """Write a path with one decimal, each point relative to the one before it.

    Points are rounded before they are subtracted, so that errors do not add up. Differences have
    fewer digits than places: a third less to load.

    Examples
    --------
    >>> _relative("M 1.25001 -0.04 L 3 4.96 L 3.11 4.1 z")
    'm1.3 0l1.7 5 .1-.9z'
    >>> _relative("M 0 -1 C 1 -1 2 0 2 1 z M 5 5 L 6 5")
    'm0-1c1 0 2 1 2 2zm5 6l1 0'
    """
    written: list[str] = []
    at = start = (0, 0)  # in tenths
    for command, numbers in re.findall(r"([A-Za-z])([^A-Za-z]*)", path):
        if command in "zZ":
            at = start
            written.append("z")
            continue
        if command not in "MLQC":
            raise ValueError(f"a path of matplotlib has no command {command}")
        tenths = [round(10 * float(number)) for number in numbers.split()]
        points = list(zip(tenths[::2], tenths[1::2], strict=True))
        differences = [
            place - origin for point in points for place, origin in zip(point, at, strict=True)
        ]
        at = points[-1]
        if command == "M":
            start = at
        text = _joined(differences)
        if command == "L" and written[-1][0] == "l":  # need not be written again
            written[-1] += text if text.startswith("-") else f" {text}"
        else:
            written.append(f"{command.lower()}{text}")
    return "".join(written)


def _joined(tenths: Sequence[int]) -> str:
    """Write numbers of tenths: no zero before a point, no space before a minus."""
    numbers = [re.sub(r"^(-?)0\.", r"\1.", f"{number / 10:g}") for number in tenths]
    return " ".join(numbers).replace(" -", "-")
