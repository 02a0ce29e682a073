"""Import matplotlib, whichever backend the environment names."""

import os
import sys
from contextlib import suppress


def import_matplotlib() -> None:
    """Import matplotlib even if MPLBACKEND names a backend that is not installed.

    The figures of a run need none, but matplotlib cannot be imported then.
    """
    if "matplotlib" in sys.modules:
        return
    backend = os.environ.pop("MPLBACKEND", None)
    import matplotlib

    if backend:
        os.environ["MPLBACKEND"] = backend
        with suppress(ValueError):  # a known one, such as a notebook's, counts as usual
            matplotlib.rcParams["backend"] = backend
