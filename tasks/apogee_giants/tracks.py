"""The noise tracks of ``apogee-giants``."""

from functools import partial
from pathlib import Path

from starbench.tasks.apogee_giants.task import ApogeeGiants
from starbench.tasks.observation.noise import NoiseTrack

SNRS = (100, 50, 30)


def noise_track(snr: int, cache: Path | None = None) -> NoiseTrack:
    """Return ``apogee-giants`` with noise, checked against the manifest.

    Parameters
    ----------
    snr : int
        One of `SNRS`.
    cache : pathlib.Path, optional
        Folder for the data without noise.
    """
    base = ApogeeGiants(cache)
    return NoiseTrack(base, snr, check=base.check_noise)


snr100, snr50, snr30 = (partial(noise_track, snr) for snr in SNRS)
