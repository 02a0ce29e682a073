"""What a method may report of its fit, so that a row and the history can hold it."""

import math
from collections.abc import Iterable
from numbers import Integral

from starbench.common.settings import MAX_INT
from starbench.results.history import MEASURE

LARGEST = 1e150
"""Largest size of a number in a row: squares and sums in aggregates of rows do not overflow."""

_RESERVED = ("epoch", MEASURE)


class ReportError(RuntimeError):
    """A method reports what no row can hold; the sentence says what it must report."""


def count_of(value: object, what: str, least: int = 0) -> int:
    """Return a count as Python's integer, which JSON holds; those of NumPy are converted.

    Raises
    ------
    ReportError
        If it is no integer, or below `least`.

    Examples
    --------
    >>> import numpy as np
    >>> count_of(np.int64(5), "n_parameters")
    5
    """
    if isinstance(value, Integral) and not isinstance(value, bool):
        count = int(value)
        if least <= count < MAX_INT:
            return count
    raise ReportError(f"{what} is {str(value)[:40]}; give an integer of at least {least}.")


def check_names(names: Iterable[object]) -> None:
    """Refuse names of watched quantities that the harness uses itself, and those that are no text.

    Raises
    ------
    ReportError
    """
    for name in names:
        if not isinstance(name, str) or not name:
            raise ReportError(f"fit reports a value of the name {name!a:.40}; give it a text.")
        if name in _RESERVED:
            raise ReportError(f"fit reports a value named {name}, as starbench's own; rename it.")


def is_bounded(value: float, name: str) -> bool:
    """Return whether a reported value is finite and not too large for a row.

    Raises
    ------
    ReportError
        If it is no number.
    """
    try:
        return math.isfinite(value) and abs(float(value)) <= LARGEST
    except (TypeError, ValueError, OverflowError, RuntimeError):  # of arrays and tensors, too
        raise ReportError(
            f"fit reports {name} as {type(value).__name__}; give a single number."
        ) from None
