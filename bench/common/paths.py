"""Paths as users write them."""

import os
from contextlib import suppress
from pathlib import Path


def user_path(path: str | os.PathLike[str]) -> Path:
    """Return a path with a leading ``~`` expanded; unchanged if the home folder is unknown."""
    try:
        return Path(path).expanduser()
    except RuntimeError:
        return Path(path)


def short_path(path: str | os.PathLike[str]) -> str:
    """Return a path as others may see it: from here, or from the home folder, where it lies there.

    Examples
    --------
    >>> short_path("data/pairs.h5"), short_path(Path.cwd() / "pairs.h5")
    ('data/pairs.h5', 'pairs.h5')
    """
    path = Path(path)
    if not path.is_absolute():
        return str(path)
    with suppress(ValueError):
        return str(path.relative_to(Path.cwd()))
    with suppress(ValueError, RuntimeError):  # the latter where the home folder is unknown
        return str("~" / path.relative_to(Path.home()))
    return str(path)
