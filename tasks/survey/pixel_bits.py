"""APOGEE's bit mask of pixels (APOGEE_PIXMASK), and which of its bits mask a pixel.

Masked are the bits that APOGEE's own reduction calls bad (Nidever et al. 2015, AJ 150, 173), and
SIG_SKYLINE, under which ASPCAP inflates the errors until the pixel plays no part (García Pérez et
al. 2016, AJ 151, 144). Bits that only warn, such as persistence, do not mask: a benchmark of
methods on real spectra is to show what persistence does to them.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

BITS = {
    0: ("BADPIX", "marked as bad in the mask of bad pixels", True),
    1: ("CRPIX", "cosmic ray", True),
    2: ("SATPIX", "saturated", True),
    3: ("UNFIXABLE", "could not be repaired", True),
    4: ("BADDARK", "bad in the dark frame", True),
    5: ("BADFLAT", "bad in the flat field", True),
    6: ("BADERR", "error set to a very high value", True),
    7: ("NOSKY", "no sky fibre measured it", True),
    8: ("LITTROW_GHOST", "in the Littrow ghost", False),
    9: ("PERSIST_HIGH", "in a region of high persistence", False),
    10: ("PERSIST_MED", "in a region of medium persistence", False),
    11: ("PERSIST_LOW", "in a region of low persistence", False),
    12: ("SIG_SKYLINE", "near a sky line that is strong beside the star", True),
    13: ("SIG_TELLURIC", "near a strong telluric line", False),
    14: ("NOT_ENOUGH_PSF", "less than half of its light fell on good pixels", True),
    16: ("INACTIVE_PIXEL", "not used (FERRE_MASK before SDSS-V)", True),
    24: ("BAD_EXTRACTION", "extraction failed (SDSS-V)", True),
}
"""Name and meaning of each bit, and whether it masks a pixel."""

BAD = tuple(bit for bit, (_, _, masks) in BITS.items() if masks)
"""Bits that mask a pixel."""

_BAD = sum(1 << bit for bit in BAD)


def is_bad(bits: npt.NDArray[np.integer[Any]]) -> npt.NDArray[np.bool_]:
    """Return which pixels are masked.

    Parameters
    ----------
    bits : numpy.ndarray of int
        APOGEE_PIXMASK of each pixel.

    Examples
    --------
    >>> is_bad(np.array([0, 1 << 0, 1 << 9, 1 << 12 | 1 << 9]))
    array([False,  True, False,  True])
    """
    masked: npt.NDArray[np.bool_] = (bits.astype(np.int64) & _BAD) != 0
    return masked
