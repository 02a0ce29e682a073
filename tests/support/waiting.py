"""Waiting for what another process or thread does, with an end."""

import time
from collections.abc import Callable
from typing import TypeVar

Value = TypeVar("Value")


def wait_until(condition: Callable[[], Value], seconds: float = 60.0) -> Value:
    """Return the first true value of `condition`, which is asked again and again.

    Raises
    ------
    AssertionError
        If it is still false after a time.
    """
    end = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < end, f"nothing came within {seconds:.0f} s"
        time.sleep(0.01)
    return value
