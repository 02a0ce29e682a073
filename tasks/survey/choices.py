"""What a user can choose for an import."""

from dataclasses import dataclass, field
from pathlib import Path

DEFAULT_MAX_DROPPED = 0.1


@dataclass(frozen=True)
class WavelengthScale:
    """How wavelengths are to be read where a file does not say.

    Attributes
    ----------
    unit : {"angstrom", "nm", "um", "log10"}
        ``log10`` is the logarithm of Angstrom.
    medium : {"vacuum", "air"}
    """

    unit: str = "angstrom"
    medium: str = "vacuum"


@dataclass(frozen=True)
class Choices:
    """What the user chose for an import.

    Attributes
    ----------
    groups, labels : pathlib.Path or None
        Tables of sibling groups and of labels, by star.
    nuisances : tuple of str
        Labels that are the nuisance; empty for those of the files, or Teff and log g.
    spectra : {"visits", "combined", "all"}
        Which spectra of a star in APOGEE's files.
    continuum : {"auto", "all", "none"}
        Which spectra are divided by a pseudo-continuum: those in flux units, all or none.
    pixels : {"aspcap", "source"} or None
        ASPCAP's pixels or those of the first spectrum; by default those of a survey that starbench
        wrote, and otherwise ASPCAP's.
    shares : tuple of float or None
        Of train, validation and test; by default the splits that the files state, or
        `starbench.tasks.survey.splits.DEFAULT_SHARES`.
    max_dropped : float
        Largest share of bad spectra.
    wavelengths : WavelengthScale
        Unit and medium of wavelengths in files that do not state them.
    """

    groups: Path | None = None
    labels: Path | None = None
    nuisances: tuple[str, ...] = ()
    spectra: str = "visits"
    continuum: str = "auto"
    pixels: str | None = None
    shares: tuple[float, float, float] | None = None
    max_dropped: float = DEFAULT_MAX_DROPPED
    wavelengths: WavelengthScale = field(default_factory=WavelengthScale)
