"""The stars of ``apogee-giants``: compositions like those of the Galactic disc, free nuisances.

A composition is [Fe/H] and [X/Fe] of sixteen elements. A quarter of the pairs belong to the
high-alpha sequence, the others to the low-alpha one; each sequence has a Gaussian in [Fe/H] and a
mean [alpha/Fe] that falls with [Fe/H], and each element follows

    [X/Fe] = offset + slope [Fe/H] + share [alpha/Fe] + scatter * n,        n ~ N(0, 1) cut at 3.

The shape (two sequences, the plateau near [alpha/Fe] = 0.2-0.25, carbon lowered and nitrogen raised
by the first dredge-up, manganese and nickel rising with metallicity) follows what APOGEE finds for
the disc (Hayden et al. 2015, ApJ 808, 132; Holtzman et al. 2018, AJ 156, 125). The scatters are of
the size of DR14's abundance spread at fixed [Fe/H] and [alpha/Fe], including observational scatter,
as in the set of de Mijolla et al. (2021), which used APOGEE's abundances. The numbers in the table
below are this project's choice and define version 1 of the task.

Teff and log g are uniform, independent of the composition and of each other, for each spectrum of a
pair.
"""

import numpy as np

from starbench.tasks.arrays import Floats
from starbench.tasks.streams import cut_normal

ELEMENTS = (
    "C", "N", "O", "Na", "Mg", "Al", "Si", "S", "K", "Ca", "Ti", "V", "Cr", "Mn", "Co", "Ni",
)  # fmt: skip
COMPOSITION_NAMES = ("Fe/H", *(f"{x}/Fe" for x in ELEMENTS))
NUISANCE_NAMES = ("Teff", "logg")
NUISANCE_UNITS = ("K", "dex")

TEFF_RANGE = (4000.0, 5000.0)
LOGG_RANGE = (1.5, 3.0)

HIGH_ALPHA_SHARE = 0.25
FEH_RANGE = (-1.0, 0.45)
FEH_LOW_ALPHA = (-0.05, 0.20)  # mean and standard deviation [dex]
FEH_HIGH_ALPHA = (-0.35, 0.25)
ALPHA_SCATTER = 0.03
ALPHA_RANGE = (-0.15, 0.45)
SCATTER_CUT = 3.0

# element: offset [dex], slope with [Fe/H], share of [alpha/Fe], scatter [dex]
ABUNDANCES = {
    "C": (-0.08, 0.05, 0.5, 0.08),
    "N": (0.18, 0.10, 0.0, 0.10),
    "O": (0.00, 0.00, 1.0, 0.05),
    "Na": (0.00, 0.15, 0.2, 0.10),
    "Mg": (0.00, 0.00, 1.0, 0.04),
    "Al": (0.02, 0.00, 0.8, 0.07),
    "Si": (0.00, 0.00, 0.8, 0.04),
    "S": (0.02, 0.00, 0.8, 0.06),
    "K": (0.00, 0.00, 0.6, 0.06),
    "Ca": (0.00, -0.03, 0.6, 0.04),
    "Ti": (0.00, 0.00, 0.7, 0.05),
    "V": (0.00, 0.10, 0.3, 0.08),
    "Cr": (0.00, 0.02, 0.0, 0.05),
    "Mn": (-0.02, 0.25, -0.2, 0.05),
    "Co": (0.00, 0.10, 0.3, 0.08),
    "Ni": (0.02, 0.08, 0.1, 0.03),
}

# Variates of one pair: 2 x 2 for the nuisance, 3 for sequence, [Fe/H] and alpha, 16 for the
# elements, and some to spare.
UNIFORMS_PER_PAIR = 32
TEFF_DECIMALS, DEX_DECIMALS = 2, 5  # labels are rounded, to hash alike on every machine


def draw_compositions(
    uniform: Floats, scatter_scale: float = 1.0, *, element_scatter: float = 1.0
) -> Floats:
    """Turn uniform variates into compositions.

    Parameters
    ----------
    uniform : numpy.ndarray [n, 19]
        Variates in (0, 1): sequence, [Fe/H], [alpha/Fe], then one for each of `ELEMENTS`.
    scatter_scale : float
        Factor on all scatters; above 1 for the training set of an emulator, which needs a margin.
    element_scatter : float
        Factor on the scatter of each element at fixed [Fe/H] and [alpha/Fe].

    Returns
    -------
    numpy.ndarray [n, 17], float64
        [Fe/H] and [X/Fe] in dex, in the order of `COMPOSITION_NAMES`.
    """
    high = uniform[:, 0] < HIGH_ALPHA_SHARE
    mean = np.where(high, FEH_HIGH_ALPHA[0], FEH_LOW_ALPHA[0])
    width = np.where(high, FEH_HIGH_ALPHA[1], FEH_LOW_ALPHA[1]) * scatter_scale
    feh = mean + width * cut_normal(
        uniform[:, 1], (FEH_RANGE[0] - mean) / width, (FEH_RANGE[1] - mean) / width
    )
    sequence = np.where(high, 0.22 - 0.12 * (feh + 0.35), 0.03 - 0.14 * feh)
    scatter = scatter_scale * cut_normal(uniform[:, 2:19], -SCATTER_CUT, SCATTER_CUT)
    alpha = np.clip(sequence + ALPHA_SCATTER * scatter[:, 0], *ALPHA_RANGE)
    offset, slope, share, width = np.array([ABUNDANCES[x] for x in ELEMENTS]).T
    own = element_scatter * scatter[:, 1:]
    ratios = offset + slope * feh[:, None] + share * alpha[:, None] + width * own
    return np.round(np.column_stack([feh, ratios]), DEX_DECIMALS)


def draw_nuisance(uniform: Floats) -> Floats:
    """Turn uniform variates [n, 2, 2] into Teff [K] and log g [dex, cgs]."""
    low, high = np.array([TEFF_RANGE, LOGG_RANGE]).T
    nuisance: Floats = low + uniform * (high - low)
    nuisance[..., 0] = np.round(nuisance[..., 0], TEFF_DECIMALS)
    nuisance[..., 1] = np.round(nuisance[..., 1], DEX_DECIMALS)
    return nuisance


def draw_pairs(uniform: Floats) -> tuple[Floats, Floats]:
    """Draw pairs of stars that share their composition.

    Parameters
    ----------
    uniform : numpy.ndarray [n, UNIFORMS_PER_PAIR]
        Variates in (0, 1) from `starbench.tasks.streams.uniforms`.

    Returns
    -------
    nuisance : numpy.ndarray [n, 2, 2], float64
        Teff [K] and log g [dex, cgs] of both spectra.
    composition : numpy.ndarray [n, 17], float64
        [Fe/H] and [X/Fe] [dex].
    """
    nuisance = draw_nuisance(uniform[:, :4].reshape(-1, 2, 2))
    return nuisance, draw_compositions(uniform[:, 4:23])


def microturbulence(logg: Floats) -> Floats:
    """Return APOGEE's microturbulence of giants [km/s] (Holtzman et al. 2018, eq. 2)."""
    return 10 ** (0.226 - 0.0228 * logg + 0.0297 * logg**2 - 0.0113 * logg**3)


def draw_metallicity(sequence: Floats, uniform: Floats) -> Floats:
    """Draw [Fe/H] [n, k] [dex] from the Gaussian of each pair's sequence.

    Parameters
    ----------
    sequence : numpy.ndarray [n, 1]
        The first variate of `draw_compositions`, which chooses the sequence.
    uniform : numpy.ndarray [n, k]
    """
    high = sequence < HIGH_ALPHA_SHARE
    mean = np.where(high, FEH_HIGH_ALPHA[0], FEH_LOW_ALPHA[0])
    width = np.where(high, FEH_HIGH_ALPHA[1], FEH_LOW_ALPHA[1])
    low, high_limit = ((limit - mean) / width for limit in FEH_RANGE)
    return np.round(mean + width * cut_normal(uniform, low, high_limit), DEX_DECIMALS)
