"""Settings given as ``key=value``."""

from collections.abc import Iterable
from numbers import Integral

MAX_INT = 2**63  # whole numbers are smaller, as those of rows and of array libraries are
_MAX_DIGITS = 100  # Python refuses to read numbers of thousands of digits


class SettingError(ValueError):
    """A method or setting cannot be used; the message names what to change."""


def checked_seed(seed: object) -> int:
    """Return a seed as Python's integer, which JSON holds; those of NumPy are converted.

    Raises
    ------
    SettingError
        If it is no integer, or one that random generators or rows do not take.
    """
    if not isinstance(seed, Integral) or isinstance(seed, bool):
        raise SettingError(f"seed is {seed!r}; give an integer.")
    number = int(seed)
    if not 0 <= number < MAX_INT:
        raise SettingError(f"seed is {number}; give an integer from 0 to 2^63 - 1.")
    return number


def split_setting(setting: str) -> tuple[str, str]:
    """Split ``key=value`` at the first equals sign.

    Raises
    ------
    SettingError
        If there is no equals sign, or no key before it.

    Examples
    --------
    >>> split_setting("widths=(64, 32)")
    ('widths', '(64, 32)')
    """
    key, equals, value = setting.partition("=")
    if not equals or not key:
        raise SettingError(f"--set needs key=value, but got '{setting}'.")
    return key, value


def split_settings(settings: Iterable[str]) -> dict[str, str]:
    """Split settings given as ``key=value``.

    Raises
    ------
    SettingError
        If one is no such text, or a key is given twice: one value would replace the other.

    Examples
    --------
    >>> split_settings(["epochs=8", "widths=(64, 32)"])
    {'epochs': '8', 'widths': '(64, 32)'}
    """
    values: dict[str, str] = {}
    for setting in settings:
        key, value = split_setting(setting)
        if key in values:
            raise SettingError(f"--set {key} is given twice; give it once.")
        values[key] = value
    return values


def bounded_int(digits: str) -> int | None:
    """Return the number of decimal digits, or None if it is not less than `MAX_INT`.

    Examples
    --------
    >>> bounded_int("12"), bounded_int("9" * 5000)
    (12, None)
    """
    if len(digits) > _MAX_DIGITS or (number := int(digits)) >= MAX_INT:
        return None
    return number
