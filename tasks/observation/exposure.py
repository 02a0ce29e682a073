"""What an exposure of a star leaves in its spectrum: errors, masked pixels and persistence.

Pure functions of arrays, on pixels of equal steps in the logarithm of the wavelength. Spectra are
in the frame of their star, while sky and detector stay where they are: at a velocity v of the star
to the observatory, pixel i of a spectrum lies at observed pixel i + v / (velocity of a pixel), here
to the nearest whole one.

The parameters of a spectrum's exposure, with this project's choices of size:

SNR            log-normal about 110 with a deviation of 0.4 in ln SNR, cut to 40-300
velocity       normal, deviation 40 km/s, cut at 4: the star's own and the Earth's. Each spectrum
               has its own, so that the pattern of its errors does not tell the members of a
               cluster, as their common velocity would
persistence    a tenth of the spectra have it: level log-uniform in 0.02-0.2, slope uniform in
               -0.5-0.5; the others have level 0
cosmic rays    96 candidates at uniform places, each of which hits with probability 1/2
"""

from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from starbench.tasks.arrays import Floats, Spectra
from starbench.tasks.observation.instrument import detectors, pixel_velocity
from starbench.tasks.observation.sky import relative_error, sky_brightness
from starbench.tasks.streams import cut_normal

SNR_MEDIAN, SNR_SCATTER, SNR_RANGE = 110.0, 0.4, (40.0, 300.0)
VELOCITY, VELOCITY_CUT = 40.0, 4.0  # deviation [km/s], and deviations at which it ends
PERSISTENT_SHARE = 0.1
PERSISTENCE_LEVEL, PERSISTENCE_SLOPE = (0.02, 0.2), 0.5
RAY_CANDIDATES, RAY_PROBABILITY = 96, 0.5
VARIATES = 5 + 2 * RAY_CANDIDATES
"""Number of uniform variates of an exposure."""

BAD_SHARE = 0.0103  # of a detector's pixels, each of which spoils both neighbours too
SKY_LIMIT = 2.0
"""Sky over a star's continuum (of SNR 110) from which pixels are masked."""

Mask = npt.NDArray[np.bool_]
T = TypeVar("T", bound=np.generic)


@dataclass(frozen=True)
class Exposures:
    """The exposures of n spectra.

    Attributes
    ----------
    snr : numpy.ndarray [n]
        Signal-to-noise ratio per pixel of the continuum beside the sky's lines.
    velocity : numpy.ndarray [n]
        Of the star, away from the observatory [km/s].
    persistence : numpy.ndarray [n, 2]
        Level of the persistence, over the star's continuum, and its slope along the detector.
    rays : numpy.ndarray [n, RAY_CANDIDATES]
        Places of cosmic rays as a share of the spectrum; NaN for none.
    """

    snr: Floats
    velocity: Floats
    persistence: Floats
    rays: Floats

    @classmethod
    def drawn(cls, uniform: Floats) -> "Exposures":
        """Turn uniform variates [n, VARIATES] into exposures."""
        bounds = np.log(np.array(SNR_RANGE) / SNR_MEDIAN) / SNR_SCATTER
        snr = SNR_MEDIAN * np.exp(SNR_SCATTER * cut_normal(uniform[:, 0], *bounds))
        velocity = VELOCITY * cut_normal(uniform[:, 1], -VELOCITY_CUT, VELOCITY_CUT)
        low, high = PERSISTENCE_LEVEL
        level = low * (high / low) ** uniform[:, 3]
        slope = PERSISTENCE_SLOPE * (2 * uniform[:, 4] - 1)
        has = uniform[:, 2] < PERSISTENT_SHARE
        persistence = np.where(has[:, None], np.column_stack([level, slope]), 0)
        places, chances = np.split(uniform[:, 5:], 2, axis=1)
        rays = np.where(chances < RAY_PROBABILITY, places, np.nan)
        # Rounded, so as to be the same on every machine.
        return cls(snr.round(3), velocity.round(4), persistence.round(6), rays)


@dataclass(frozen=True)
class Detector:
    """Sky and bad pixels, as the observatory has them, of spectra on some pixels.

    Attributes
    ----------
    wavelength : numpy.ndarray [n_pixels]
        Of the spectra, in vacuum [Angstrom].
    bad : numpy.ndarray [n_observed], bool
        Which observed pixels cannot be used: each detector's, with `margin` more at both ends.
    sky : numpy.ndarray [n_observed]
        The sky's flux over a star's continuum, as `sky_brightness` returns it.
    margin : int
    """

    wavelength: Floats
    bad: Mask
    sky: Floats
    margin: int

    @classmethod
    def of(cls, wavelength: Floats, uniform: Floats) -> "Detector":
        """Return the detector of some pixels.

        Parameters
        ----------
        wavelength : numpy.ndarray [n_pixels]
        uniform : numpy.ndarray
            Variates in (0, 1), at least as many as observed pixels, by which bad ones are drawn.
        """
        margin = int(np.ceil(VELOCITY * VELOCITY_CUT / pixel_velocity(wavelength)))
        observed = np.concatenate(
            [_extended(wavelength[part], margin) for part in detectors(wavelength)]
        )
        bad = np.zeros(len(observed), bool)
        bad[np.argsort(uniform[: len(observed)])[: round(BAD_SHARE * len(observed))]] = True
        return cls(wavelength, _spread(bad), sky_brightness(observed), margin)

    def observed(self, pattern: npt.NDArray[T], velocity: Floats) -> npt.NDArray[T]:
        """Return a pattern [n_observed] on the pixels [n, n_pixels] of spectra of some velocity."""
        shift = np.rint(velocity / pixel_velocity(self.wavelength)).astype(np.int64)
        parts, start = [], 0
        for part in detectors(self.wavelength):
            n_pixels = part.stop - part.start
            windows = np.lib.stride_tricks.sliding_window_view(
                pattern[start : start + n_pixels + 2 * self.margin], n_pixels
            )
            parts.append(windows[self.margin + shift])
            start += n_pixels + 2 * self.margin
        return np.concatenate(parts, axis=1)

    def errors(self, exposures: Exposures) -> Spectra:
        """Return the error [n, n_pixels] of each pixel; infinite where it is masked.

        The error of the others is (1 / SNR) sqrt(1 + S (110 / SNR)^2), with S of the sky at the
        pixel. Masked are bad pixels, pixels under lines of the sky with S above `SKY_LIMIT`, and
        cosmic rays, of which bad pixels and cosmic rays take both neighbours with them, as
        resampling to the pixels of the spectra mixes them.
        """
        sky = self.observed(self.sky, exposures.velocity)
        masked = self.observed(self.bad, exposures.velocity) | (sky > SKY_LIMIT)
        masked |= hit_pixels(exposures.rays, len(self.wavelength))
        error = relative_error(sky, exposures.snr) / exposures.snr[:, None]
        error[masked] = np.inf
        return error.astype(np.float32)


def hit_pixels(rays: Floats, n_pixels: int) -> Mask:
    """Return which pixels [n, n_pixels] cosmic rays [n, k] at shares of the spectrum hit."""
    hit = np.zeros((len(rays), n_pixels), bool)
    spectrum, ray = np.nonzero(np.isfinite(rays))
    hit[spectrum, (rays[spectrum, ray] * n_pixels).astype(np.int64)] = True
    return _spread(hit)


def persistent_light(wavelength: Floats, persistence: Floats) -> Spectra:
    """Return what earlier exposures left on the detector of the shortest wavelengths.

    Charge that the detector's traps hold from an earlier exposure is released during the next ones.
    Of APOGEE's detectors the blue one has most of it (Nidever et al. 2015, AJ 150, 173). Lines of
    the earlier star, at another velocity, are left out, so that it is smooth:

        p(x) = level (1 + slope x),    x from -1 to 1 along the detector.

    The flux is f + p, over the star's continuum. Its lines become shallower, and p is no part of
    the error.

    Parameters
    ----------
    wavelength : numpy.ndarray [n_pixels]
    persistence : numpy.ndarray [n, 2]
        Level and slope.

    Returns
    -------
    numpy.ndarray [n, n_pixels], float32
        0 on the other detectors.
    """
    light = np.zeros((len(persistence), len(wavelength)), np.float32)
    blue = detectors(wavelength)[0]
    x = np.linspace(-1, 1, blue.stop - blue.start)
    light[:, blue] = persistence[:, :1] * (1 + persistence[:, 1:] * x)
    return light


def _extended(wavelength: Floats, margin: int) -> Floats:
    """Return the wavelengths of a detector continued by `margin` pixels at both ends."""
    step = np.log(wavelength[-1] / wavelength[0]) / (len(wavelength) - 1)
    extended: Floats = wavelength[0] * np.exp(step * np.arange(-margin, len(wavelength) + margin))
    return extended


def _spread(hit: Mask) -> Mask:
    """Return which pixels [..., n_pixels] are hit or beside a hit one."""
    spread = hit.copy()
    spread[..., 1:] |= hit[..., :-1]
    spread[..., :-1] |= hit[..., 1:]
    return spread
