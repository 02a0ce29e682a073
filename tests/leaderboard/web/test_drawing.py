"""SVG that is shorter than matplotlib's shows the same."""

import re
from typing import Any
from xml.etree import ElementTree

from hypothesis import given
from hypothesis import strategies as st
from matplotlib.figure import Figure

from starbench.leaderboard.web.drawing import _relative, style, svg

NUMBER = st.floats(-400, 400, allow_nan=False).map(lambda value: f"{value:.6f}")


@st.composite
def paths(draw: Any) -> str:
    """Paths as matplotlib writes them: subpaths that begin with M, and may be closed."""
    commands = []
    for _ in range(draw(st.integers(1, 3))):
        inner = draw(st.lists(st.sampled_from("LLLQC"), max_size=6))
        for command in ["M", *inner]:
            count = {"M": 1, "L": 1, "Q": 2, "C": 3}[command]
            points = [f"{draw(NUMBER)} {draw(NUMBER)}" for _ in range(count)]
            commands.append(f"{command} {' '.join(points)}")
        if draw(st.booleans()):
            commands.append("z")
    return " \n".join(commands)


def points_of(path: str) -> list[tuple[str, float, float]]:
    """The points of a path in lower case, in tenths, after the rules of SVG."""
    found = []
    at = start = (0.0, 0.0)
    for command, text in re.findall(r"([mlqcz])([^mlqcz]*)", path):
        if command == "z":
            at = start
            continue
        numbers = [10 * float(number) for number in re.findall(r"-?(?:\d+\.?\d*|\.\d+)", text)]
        steps = list(zip(numbers[::2], numbers[1::2], strict=True))
        size = {"m": 1, "l": 1, "q": 2, "c": 3}[command]
        for first in range(0, len(steps), size):
            part = [(at[0] + right, at[1] + down) for right, down in steps[first : first + size]]
            found += [(command.upper(), *point) for point in part]
            at = part[-1]
        if command == "m":
            start = at
    return found


@given(path=paths())
def test_a_relative_path_has_the_points_of_the_absolute_one(path: str) -> None:
    expected = [
        (command, round(10 * float(right)), round(10 * float(down)))
        for command, text in re.findall(r"([MLQC])([^MLQCz]*)", path)
        for right, down in re.findall(r"(\S+) (\S+)", text)
    ]
    found = [(command, round(x, 6), round(y, 6)) for command, x, y in points_of(_relative(path))]
    assert found == expected


def test_what_is_referred_to_is_there_and_what_is_not_has_no_name() -> None:
    with style():
        figure = Figure(figsize=(2, 2))
        axes = figure.subplots()
        axes.plot([1, 2, 3], [2, 1, 2], marker="o")
        axes.imshow([[1.0, 2.0]])
    image = svg(figure)
    root = ElementTree.fromstring(image)
    names = {element.get("id") for element in root.iter() if element.get("id")}
    used = {
        match[1]
        for element in root.iter()
        for name in ("href", "clip-path")
        if (match := re.search(r"^(?:url\()?#(\w+)\)?$", element.get(name, "")))
    }
    assert used
    assert names == used
    assert b"xlink:href" not in image
    assert any(element.get("href", "").startswith("data:image/png") for element in root.iter())
