"""The picture of a track: two twins, and some stars, before and after what it changes.

The numbers lie in ``pictures/<task>.json``, as making them anew takes the emulators;
``python -m starbench.leaderboard.web.make_pictures`` writes them.
"""

from functools import cache
from importlib.resources import files
from typing import Annotated

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from pydantic import BaseModel, ConfigDict, Field

from starbench.leaderboard.web.drawing import (
    GREY,
    HUES,
    WIDTH,
    Panel,
    SiteFigure,
    legend,
    panel_axes,
    style,
    svg,
)
from starbench.leaderboard.web.model import OF_PAIRS, Track, Words

PLANES = (("Teff", "logg"), ("Fe/H", "Na/Fe"))
"""The planes in which stars are drawn, each by the names of its two columns."""

Points = npt.NDArray[np.float64]

_Pair = Annotated[list[float], Field(min_length=2, max_length=2)]
_N_VALUES = 3  # parameters of the twins in a caption
_N_JOINED = 12  # twins that a line joins; more would hide the stars


class Stars(BaseModel):
    """Two twins of a task, and some pairs of its stars.

    Attributes
    ----------
    title : str
        Name of the task, or what its spectra are without the track's changes.
    flux : list [2][n_pixels]
        Of two twins, as methods get it.
    labels, unseen : dict of str to list [2]
        Of the two twins, by name with its unit: what methods may be told, and what none is told.
    columns : dict of str to list [n_pairs][2]
        Labels of pairs by the names in `PLANES`, as methods may be told them, and by ``true`` and
        the name where that is another value.
    stranger : float or None
        Median over stars of the L1 distance [dex] to the nearest other composition of the test
        split; None without a composition.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    title: str
    flux: Annotated[list[list[float]], Field(min_length=2, max_length=2)]
    labels: dict[str, _Pair]
    unseen: dict[str, _Pair]
    columns: dict[str, list[_Pair]]
    stranger: float | None


class Picture(BaseModel):
    """The numbers of a track's picture.

    Attributes
    ----------
    task : str
    version : int
        Of the track that it was made from.
    pair : int
        Number of the pair in the test split.
    wavelength : list [n_pixels]
        In `unit`.
    unit : str
    before : Stars or None
        The same stars without the track's changes, or those of the track that it is based on; None
        without one.
    after : Stars
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    task: str
    version: int
    pair: int
    wavelength: list[float]
    unit: str
    before: Stars | None
    after: Stars


def read_picture(task: str, version: int) -> Picture | None:
    """Return the numbers of a track's picture; None where starbench has none of this version."""
    path = files("starbench.leaderboard.web").joinpath("pictures", f"{task}.json")
    if not path.is_file():
        return None
    picture = Picture.model_validate_json(path.read_text(encoding="utf-8"))
    return picture if picture.version == version else None


def track_picture(track: Track) -> tuple[SiteFigure, ...]:
    """Draw the picture of a track; empty where starbench has none."""
    return _drawn(track.task, track.card.version, track.words) if track.card else ()


@cache  # it depends on nothing but the file
def _drawn(task: str, version: int, words: Words) -> tuple[SiteFigure, ...]:
    picture = read_picture(task, version)
    if picture is None:
        return ()
    panels = [_twins(picture, words)]
    panels += [_plane(picture, x, y, words) for x, y in PLANES if _differ(picture, x, y)]
    title = f"Two {words.several}{'' if picture.before is None else ', before and after'}"
    return (SiteFigure("picture", title, _caption(picture, words), tuple(panels)),)


def _twins(picture: Picture, words: Words) -> Panel:
    names = f"one {words.one}", f"the other {words.one}"
    stars = [each for each in (picture.before, picture.after) if each is not None]
    with style():
        figure = Figure(figsize=(WIDTH, 0.75 + 1.25 * len(stars)), layout="constrained")
        grid = figure.subplots(len(stars), 1, squeeze=False, sharex=True, sharey=True)[:, 0]
        for axes, each in zip(grid, stars, strict=True):
            for flux, colour, name in zip(each.flux, HUES, names, strict=False):
                axes.plot(picture.wavelength, flux, color=colour, lw=1.0, label=name)
            axes.set_title(each.title, loc="left")
            axes.set_ylabel("flux")
        grid[-1].set_xlim(picture.wavelength[0], picture.wavelength[-1])
        grid[-1].set_xlabel(f"wavelength [{'Å' if picture.unit == 'Angstrom' else picture.unit}]")
        legend(figure, grid[-1])
        differences = [float(np.std(np.diff(each.flux, axis=0))) for each in stars]
        return Panel(
            f"{picture.task}-picture",
            f"Line charts of a stretch of the spectra of two {words.several}: "
            + "; ".join(
                f"on {each.title} they differ by {difference:.3f} rms"
                for each, difference in zip(stars, differences, strict=True)
            )
            + ".",
            svg(figure),
        )


def _plane(picture: Picture, x: str, y: str, words: Words) -> Panel:
    """Draw pairs of stars in a plane, each joined by a line."""
    with style():
        figure, axes = panel_axes(2.75)
        columns, before = picture.after.columns, picture.before
        told = _points(columns, x, y)
        if f"true {x}" in columns and f"true {y}" in columns:
            true = _points(columns, f"true {x}", f"true {y}")
            _join(axes, true, told, GREY)
            _draw(axes, true, GREY, "true")
            _draw(axes, told, HUES[0], "as methods are told")
        else:
            if before is not None:
                _pairs(axes, before, x, y, GREY)
            _pairs(axes, picture.after, x, y, HUES[0])
        axes.set(xlabel=_axis(x), ylabel=_axis(y))
        if x == "Teff":  # as in a Hertzsprung-Russell diagram
            axes.invert_xaxis()
            axes.invert_yaxis()
        if picture.before is not None:
            legend(figure, axes)
        return Panel(
            f"{picture.task}-picture-{x.replace('/', '')}",
            f"Scatter chart: {_axis(y)} against {_axis(x)} of {len(picture.after.columns[x])} "
            f"pairs, {words.several} joined.",
            svg(figure),
        )


def _differ(picture: Picture, x: str, y: str) -> bool:
    """Return whether a plane shows what the track changes, or the stars of a track without base."""
    before, after = picture.before, picture.after
    if x not in after.columns or y not in after.columns:
        return False
    return before is None or any(before.columns.get(name) != after.columns[name] for name in (x, y))


def _points(columns: dict[str, list[list[float]]], x: str, y: str) -> Points:
    """Return the stars [2, n_stars] in a plane, twins after each other."""
    return np.array([columns[x], columns[y]]).reshape(2, -1)


def _pairs(axes: Axes, stars: Stars, x: str, y: str, colour: str) -> None:
    points = _points(stars.columns, x, y)
    twins = points.reshape(2, -1, 2)[:, :_N_JOINED]
    _join(axes, twins[..., 0], twins[..., 1], colour)
    _draw(axes, points, colour, stars.title)


def _join(axes: Axes, ones: Points, others: Points, colour: str) -> None:
    """Join points [2, n] each with another by a line."""
    gaps = np.full_like(ones, np.nan)
    axes.plot(*np.stack([ones, others, gaps], axis=2).reshape(2, -1), color=colour, lw=0.6)


def _draw(axes: Axes, points: Points, colour: str, label: str) -> None:
    axes.plot(*points, color=colour, ls="none", marker="o", ms=2.2, mew=0, label=label)


def _axis(name: str) -> str:
    return {"Teff": "Teff [K]", "logg": "log g"}.get(name, f"[{name}]")


def _caption(picture: Picture, words: Words) -> str:
    """Say who the two stars are, and how near the nearest stranger is."""
    before, after = picture.before, picture.after
    pair = f"Test pair {picture.pair}" if words == OF_PAIRS else "Two test stars of one group"
    parts = [f"{pair}: {_values(after.labels)}."]
    if after.unseen:
        parts.append(f"No method sees {_values(after.unseen)}.")
    if any(_differ(picture, x, y) for x, y in PLANES):
        n_pairs = len(next(iter(after.columns.values())))
        joined = (
            "lines join what methods are told with what is true"
            if any(name.startswith("true ") for name in after.columns)
            else f"lines join the first {_N_JOINED} {words.several}"
        )
        parts.append(f"The other panels show the first {n_pairs} pairs; {joined}.")
    strangers = {each.title: each.stranger for each in (before, after)
                 if each is not None and each.stranger is not None}  # fmt: skip
    if len(set(strangers.values())) == 1:
        strangers = {after.title: next(iter(strangers.values()))}
    if strangers:
        distances = ", ".join(f"{value:.2f} dex ({title})"
                              for title, value in strangers.items())  # fmt: skip
        parts.append(
            "Median distance of a composition to the most similar other one, summed over the "
            f"elements: {distances}."
        )
    return " ".join(parts)


def _values(labels: dict[str, list[float]]) -> str:
    """Write the labels of the two twins."""
    shown = list(labels.items())[:_N_VALUES]
    text = ", ".join(f"{name} {a:g} and {b:g}" for name, (a, b) in shown)
    others = len(labels) - len(shown)
    return f"{text}, and {others} other parameters" if others else text
