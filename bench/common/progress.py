"""Progress bars and messages: on the terminal, or as widgets in a notebook."""

import sys
import warnings
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, TypeVar

from tqdm import TqdmWarning

if TYPE_CHECKING:
    from tqdm import tqdm
else:
    with warnings.catch_warnings():
        # A notebook without ipywidgets shows text bars; tqdm need not warn about that.
        warnings.simplefilter("ignore", TqdmWarning)
        from tqdm.autonotebook import tqdm

T = TypeVar("T")


def bar(
    items: Iterable[T] = (),
    *,
    label: str,
    total: int | None = None,
    quiet: bool,
    **options: Any,
) -> "tqdm[T]":
    """Return a progress bar on standard error, or one that draws nothing.

    Parameters
    ----------
    items : iterable, optional
        Items to iterate over; without it the caller advances the bar.
    label : str
        Name of the work, drawn before the bar.
    total : int, optional
        Number of items.
    quiet : bool
        Draw nothing.
    **options
        Further arguments of `tqdm.tqdm`.
    """
    drawn: tqdm[T] = tqdm(
        items, desc=label, total=total, disable=quiet, dynamic_ncols=True, **options
    )
    return drawn


def say(message: str, *, quiet: bool = False, error: bool = False) -> None:
    """Print a line, on standard error if it is an `error`, without breaking a progress bar."""
    if not quiet:
        tqdm.write(message, file=sys.stderr if error else None)
