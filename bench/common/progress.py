"""Progress bars: on standard error, or as widgets in a notebook."""

import warnings
from collections.abc import Iterable
from typing import Any

from tqdm import TqdmWarning

with warnings.catch_warnings():
    # Without ipywidgets a notebook gets the bars of a terminal, and needs no warning of it.
    warnings.simplefilter("ignore", TqdmWarning)
    from tqdm.autonotebook import tqdm


def bar(
    items: Iterable | None = None,
    *,
    label: str,
    total: int | None = None,
    quiet: bool,
    **options: Any,
) -> tqdm:
    """Return a progress bar, or one that draws nothing.

    Parameters
    ----------
    items : iterable, optional
        What to count through; without it the caller advances the bar.
    label : str
        What is being done.
    total : int, optional
        How many items there are.
    quiet : bool
        Draw nothing.
    **options
        Further arguments of `tqdm.tqdm`.
    """
    return tqdm(items, desc=label, total=total, disable=quiet, dynamic_ncols=True, **options)


def say(message: str, *, quiet: bool = False) -> None:
    """Print a line without breaking a progress bar."""
    if not quiet:
        tqdm.write(message)
