"""The glow of the night sky in the H band: where a survey's spectra are noisier, or of no use.

Hydroxyl of the upper atmosphere emits in pairs of lines (Lambda doublets). ``assets/airglow.csv``
holds the 47 unblended doublets of the bands 3-1, 4-2 and 5-3 between 15,180 and 16,960 Angstrom
that are brighter than 300 units: the vacuum wavelengths of both components [Angstrom] of Brooke et
al. (2016, JQSRT 168, 142) and the photon flux of the doublet as Oliva et al. (2015, A&A 581, A47)
measured it, in units in which the brightest has 10,000. Absorption by the Earth's atmosphere, its
weaker lines and the continuum between the lines are left out.
"""

import csv
from functools import cache
from pathlib import Path

import numpy as np

from starbench.tasks.arrays import Floats

RESOLVING_POWER = 22_500.0  # at which the sky's lines are seen
SNR_OF_REFERENCE = 110.0
BRIGHTEST = 13.0
"""Sky over a star's continuum at the peak of the brightest line, of a star of SNR 110.

In an APOGEE spectrum of public DR14 (2M17334253-1654573, two visits of SNR 97) the line at 16,692
Angstrom peaks at 17.4 times the star's continuum, and its error at 4.5 times the error beside it,
which is sqrt(1 + 17.4) within 5 %.
"""

_PATH = Path(__file__).resolve().parents[1] / "assets" / "airglow.csv"


@cache
def airglow() -> tuple[Floats, Floats]:
    """Return vacuum wavelength [n] [Angstrom] and share [n] of the brightest doublet, line by line.

    The two components of a doublet are equally bright.
    """
    with _PATH.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    flux = np.array([float(row["flux"]) for row in rows])
    components = [[float(row[component]) for row in rows] for component in ("first", "second")]
    return np.concatenate(components), np.tile(flux / flux.max() / 2, 2)


def sky_brightness(wavelength: Floats) -> Floats:
    """Return the sky's flux [n_pixels] over the continuum of a star of SNR `SNR_OF_REFERENCE`.

        S(l) = 13 sum_i share_i exp(-(l - l_i)^2 / (2 s_i^2)),    s_i = l_i / (R sqrt(8 ln 2))

    Parameters
    ----------
    wavelength : numpy.ndarray [n_pixels]
        In vacuum [Angstrom], in the frame of the observatory.

    Examples
    --------
    >>> sky_brightness(np.array([16_692.38, 16_694.0])).round(2).tolist()
    [11.75, 0.0]
    """
    centres, shares = airglow()
    deviations = centres / (RESOLVING_POWER * np.sqrt(8 * np.log(2)))
    apart = (np.asarray(wavelength)[:, None] - centres) / deviations
    brightness: Floats = BRIGHTEST * np.exp(-(apart**2) / 2) @ shares
    return brightness


def relative_error(brightness: Floats, snr: Floats) -> Floats:
    """Return the error of pixels under the sky over that beside its lines.

    Photons of star and sky are counted together, and exposures are of one length: the fainter a
    star, the more the sky outshines it. Where a star's SNR is that of its photons, the sky over
    its continuum is S (110 / SNR)^2, and the error

        e(l) = (1 / SNR) sqrt(1 + S(l) (110 / SNR)^2).

    The star's own lines do not lower the error. They would tell the noiseless flux.

    Parameters
    ----------
    brightness : numpy.ndarray [n, n_pixels]
        S of each spectrum's pixels, as `sky_brightness` returns it.
    snr : numpy.ndarray [n]
        Signal-to-noise ratio per pixel of the continuum beside the sky's lines.
    """
    fainter = (SNR_OF_REFERENCE / np.asarray(snr)) ** 2
    error: Floats = np.sqrt(1 + brightness * fainter[:, None])
    return error
