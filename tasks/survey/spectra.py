"""What readers of files give to an import: a catalogue of spectra, and then the spectra in pieces.

A catalogue is a data frame with one row for each spectrum that a source offers, in reading order:

==================  ========================================================================
column              content
==================  ========================================================================
``identifier``      name of the spectrum
``star``            name of its star, by which tables of labels and groups find it
``source``          file that it comes from
``combined``        whether it is the sum of visits
``velocity``        radial velocity of the star [km/s], NaN where not known
``snr``             signal-to-noise ratio that the source states, NaN where it states none
``labels_of``       where its labels come from
``replaced``        optional: why it is not imported, in favour of others; empty where it is
``flagged``         optional: whether the source calls the labels that it gives bad
``split``           optional: the split that the source gives it
``group``           optional: the group that the source gives it
labels              see `starbench.tasks.survey.labels`
==================  ========================================================================
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt
import pandas as pd

from starbench.tasks.arrays import Floats, Spectra
from starbench.tasks.survey.choices import WavelengthScale

LIGHT = 299_792.458  # km/s
CHUNK_BYTES = 2**25  # of flux that a reader holds at once
COMBINED = "is combined from visits that are imported"
"""Why a spectrum is replaced that takes the place of its star's visits if none can be used."""


@dataclass(frozen=True)
class Piece:
    """Spectra of one source that share their wavelengths.

    Attributes
    ----------
    rows : numpy.ndarray [n] of int
        Rows of the source's catalogue.
    wavelength : numpy.ndarray [n_old]
        Angstrom in vacuum.
    flux : numpy.ndarray [n, n_old], float32
    error : numpy.ndarray [n, n_old], float32, or None
        Infinite in masked pixels; None where the source has none.
    is_normalised : bool or None
        Whether the flux is divided by a continuum already; None, which counts as not, where the
        source does not say.
    shift : numpy.ndarray [n] or None
        Velocity by which the spectra are shifted to the red [km/s]; None in the rest frame.
    """

    rows: npt.NDArray[np.int64]
    wavelength: Floats
    flux: Spectra
    error: Spectra | None
    is_normalised: bool | None
    shift: Floats | None = None


class Source(Protocol):
    """Files of one kind.

    Attributes
    ----------
    name : str
        For messages.
    pixels : numpy.ndarray or None
        Wavelengths [Angstrom, vacuum] of a survey that starbench wrote, which imports keep.
    nuisances : tuple of str or None
        Nuisances of such a survey.
    units : dict of str to str
        Units of nuisances, as far as the files state them.
    states_combined : bool
        Whether the files state which spectrum of a star is combined, so that it can be chosen.
    scale : WavelengthScale or None
        How the user chose to read wavelengths; None where the files state it.
    """

    name: str
    pixels: Floats | None
    nuisances: tuple[str, ...] | None
    units: dict[str, str]
    states_combined: bool
    scale: WavelengthScale | None

    def catalogue(self, nuisances: tuple[str, ...]) -> pd.DataFrame:
        """Return the catalogue, with the labels of these nuisances where the source has them."""

    def pieces(self, wanted: npt.NDArray[np.bool_]) -> Iterator[Piece]:
        """Yield the wanted spectra, in order of the catalogue."""
