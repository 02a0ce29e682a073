"""The colours of heat maps: cells of tables, by classes of a style sheet.

The scale runs from near the page to far from it, in lightness as much as in hue, so that
colour-blind readers and both schemes order it alike. The text of a cell is black or white,
whichever reads better.
"""

import matplotlib
from matplotlib.colors import to_hex

LEVELS = 21  # steps of five per cent


def level(share: float | None) -> int | None:
    """Return the step of a share, from 0 to 20; None without one.

    Examples
    --------
    >>> level(0.0), level(0.52), level(1.2), level(None)
    (0, 10, 20, None)
    """
    return None if share is None else round(min(max(share, 0.0), 1.0) * (LEVELS - 1))


def style_sheet() -> str:
    """Return the rules of the classes ``h0`` to ``h20``, for light and for dark pages."""
    scale = matplotlib.colormaps["YlGnBu"]
    steps = [step / (LEVELS - 1) for step in range(LEVELS)]
    light = _rules([scale(step) for step in steps])
    dark = _rules([scale(1 - step) for step in steps])
    return f"{light}\n@media (prefers-color-scheme: dark) {{\n{dark}\n}}\n"


def _rules(colours: list[tuple[float, float, float, float]]) -> str:
    return "\n".join(
        f".h{step} {{ background: {to_hex(colour)}; "
        f"color: {'#000000' if _luminance(colour) > _EVEN else '#ffffff'}; }}"
        for step, colour in enumerate(colours)
    )


_EVEN = 0.179  # the luminance on which black and white have the same contrast


def _luminance(colour: tuple[float, float, float, float]) -> float:
    """Return the relative luminance as in WCAG 2."""
    red, green, blue = (
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in colour[:3]
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
