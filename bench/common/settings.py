"""Settings given as ``key=value``."""


class SettingError(ValueError):
    """A method or setting cannot be used; the message names what to change."""


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
