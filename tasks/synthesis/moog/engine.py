"""Interface to MOOG: a model, abundances and lines in, normalised flux out.

MOOG reads and writes files, so that each call runs it in a temporary folder of its own. It solves
the transfer equation in LTE and plane-parallel layers, with its own equilibrium of molecules and
continuous opacities, and prints line depths with four decimals, whose rounding is below 2e-5 rms
once a pixel averages them.
"""

import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from starbench.tasks.arrays import Floats
from starbench.tasks.synthesis.engine import EngineError
from starbench.tasks.synthesis.moog.install import BINARY, installed

# The range that the pixels and their broadening need, air Angstrom; the step; and how far from a
# line its opacity is computed (the Brackett lines': everywhere).
FIRST, LAST, STEP, REACH = 15_142.0, 16_962.0, 0.07, 1.5

# MOOG numbers the elements.
ELEMENTS = (
    "H", "He", "Li", "Be", "B", "C", "N", "O", "F", "Ne", "Na", "Mg", "Al", "Si", "P", "S", "Cl",
    "Ar", "K", "Ca", "Sc", "Ti", "V", "Cr", "Mn", "Fe", "Co", "Ni", "Cu", "Zn",
)  # fmt: skip

# Molecules and ions of the equilibrium, in MOOG's code: 608 is CO, 12.1 is Mg II.
_EQUILIBRIUM = (
    606.0, 106.0, 607.0, 608.0, 107.0, 108.0, 112.0,
    707.0, 708.0, 808.0, 12.1, 60808.0, 10108.0, 101.0,
    60606.0, 822.0, 22.1, 6.1, 7.1, 8.1, 14.1,
    20.1, 26.1, 13.1, 11.1, 114.0,
)  # fmt: skip

_TIMEOUT = 300.0  # seconds; a spectrum takes one or two


@dataclass(frozen=True)
class Star:
    """What MOOG needs to know of a star besides the lines.

    Parameters
    ----------
    layers : numpy.ndarray [n, 5]
        As `starbench.tasks.synthesis.moog.atmosphere.atmosphere` returns them.
    microturbulence : float
        In km/s.
    metallicity : float
        [M/H] [dex] of the elements that are not in `abundances`.
    abundances : dict
        log10 (N_X / N_H) + 12 by symbol.
    carbon_isotopes : float
        12C/13C.
    """

    layers: Floats
    microturbulence: float
    metallicity: float
    abundances: dict[str, float]
    carbon_isotopes: float

    def model(self) -> str:
        """Return MOOG's file of the model."""
        form = " {:14.7E} {:9.2f} {:12.5E} {:12.5E} {:12.5E}"
        rows = [form.format(*layer) for layer in self.layers]
        molecules = [f"{code:10.1f}" for code in _EQUILIBRIUM]
        abundances = [
            f"  {ELEMENTS.index(symbol) + 1:6.1f}  {value:8.4f}"
            for symbol, value in self.abundances.items()
        ]
        return "\n".join(
            [
                "KURUCZ",
                "a star",
                f"            {len(rows)}",
                *rows,
                f"    {self.microturbulence:.4f}",
                f"NATOMS      {len(abundances)}   {self.metallicity:.4f}",
                *abundances,
                f"NMOL        {len(molecules)}",
                *("".join(molecules[i : i + 7]) for i in range(0, len(molecules), 7)),
                "",
            ]
        )

    def isotopes(self) -> list[tuple[float, float]]:
        """Return codes of isotopologues and what MOOG divides their opacity by.

        Oxygen and nitrogen are terrestrial.
        """
        carbon12 = 1 + 1 / self.carbon_isotopes
        carbon13 = 1 + self.carbon_isotopes
        return [
            (607.01214, carbon12),
            (607.01314, carbon13),
            (607.01215, 290.0),
            (608.01216, carbon12),
            (608.01217, 2700.0),
            (608.01218, 530.0),
            (608.01316, carbon13),
            (108.00116, 1.002),
        ]


def _parameters(star: Star, step: float, reach: float) -> str:
    isotopes = star.isotopes()
    return "\n".join(
        [
            "synth",
            "standard_out   'standard'",
            "summary_out    'depths'",
            "model_in       'model'",
            "lines_in       'lines'",
            "strong         1",
            "stronglines_in 'hydrogen'",
            "atmosphere     0",
            "molecules      1",
            "lines          0",
            "flux/int       0",
            "damping        0",
            "freeform       1",
            "plot           0",
            f"isotopes      {len(isotopes)} 1",
            *(f"   {code:.5f}  {divisor:.4f}" for code, divisor in isotopes),
            "synlimits",
            f"  {FIRST:.3f}  {LAST:.3f}  {step:.4f}  {reach:.2f}",
            "",
        ]
    )


def grid(step: float = STEP) -> Floats:
    """Return the wavelengths [air Angstrom] that MOOG computes."""
    return np.asarray(FIRST + step * np.arange(round((LAST - FIRST) / step + 0.25) + 1))


def spectrum(
    star: Star, lines: str, hydrogen: str, step: float = STEP, reach: float = REACH
) -> Floats:
    """Return a star's spectrum as it leaves the star.

    Parameters
    ----------
    star : Star
        Model and abundances.
    lines, hydrogen : str
        Line lists in MOOG's format (`starbench.tasks.synthesis.moog.lines`): the ordinary ones, and
        those whose wings are computed everywhere.
    step, reach : float
        See `STEP` and `REACH`.

    Returns
    -------
    numpy.ndarray [n]
        Flux over continuum at the wavelengths of `grid`.

    Raises
    ------
    EngineError
        If MOOG fails, or its result is not a normalised spectrum.
    """
    program = installed(BINARY)
    with tempfile.TemporaryDirectory(prefix="starbench-moog-") as name:
        folder = Path(name)
        files = {
            "batch.par": _parameters(star, step, reach),
            "model": star.model(),
            "lines": lines,
            "hydrogen": hydrogen,
        }
        for file, text in files.items():
            (folder / file).write_text(text)
        try:
            subprocess.run(
                [program.resolve()],
                cwd=folder,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=_TIMEOUT,
            )
        except subprocess.TimeoutExpired:
            raise EngineError(f"MOOG gave no result within {_TIMEOUT:.0f} s") from None
        depths = _read_depths(folder / "depths")
    flux = 1 - depths
    if len(flux) != (expected := len(grid(step))):
        raise EngineError(f"MOOG returned {len(flux)} of {expected} wavelengths")
    if not (np.isfinite(flux).all() and flux.min() > -0.01 and flux.max() < 1.01):
        raise EngineError(
            f"the flux should lie in 0-1.01 but ranges from {flux.min():.3g} to {flux.max():.3g}"
        )
    return flux


def _read_depths(path: Path) -> Floats:
    """Return the depths in MOOG's summary, which follow the line after that of the model."""
    if not path.exists():
        raise EngineError("MOOG wrote no spectrum")
    text = path.read_text()
    _, separator, rest = text.partition("MODEL:")
    if not separator:
        raise EngineError("MOOG wrote no spectrum")
    values: Floats = np.array(" ".join(rest.splitlines()[2:]).split(), float)
    return values
