"""Spectra with line widths, velocities and continua that no label tells."""

from dataclasses import replace

import numpy as np

from starbench.common.parallel import in_parts
from starbench.tasks.arrays import Floats, Spectra
from starbench.tasks.base import Split, Task
from starbench.tasks.observation import instrument
from starbench.tasks.observation.observed import Observed
from starbench.tasks.streams import cut_normal, uniforms

RESOLVING_POWER = (19_000.0, 22_500.0)  # range, uniform; the spectra are made at the larger one
MACROTURBULENCE = (3.0, 6.0)  # range [km/s], uniform; the spectra are made at the smaller one
VELOCITY = 0.4  # standard deviation of what the correction of the velocity leaves [km/s]
CONTINUUM = 0.003  # standard deviation of level and tilt on each detector

N_DETECTORS = 3

_PART = 16  # spectra that are worth a thread
_CUT = 4.0  # standard deviations at which the Gaussians end
_DECIMALS = 6  # of the parameters, which are rounded so as to be the same on every machine


class HiddenInstrument(Observed):
    """A task whose spectra differ in line width, velocity and continuum, without labels of them.

    Each spectrum has its own resolving power, macroturbulence, residual velocity, and on each
    detector an error of the continuum's level and tilt: the parameters of `observed`, drawn for
    spectrum ``h`` of pair ``i`` from item ``i`` of the stream ``<track>/<version>/<split>/hidden``.

    Parameters
    ----------
    base : Task
        Noiseless spectra of the resolving power and macroturbulence of the generators.
    """

    def __init__(self, base: Task):
        super().__init__(
            base,
            base.card.then(
                "gives each spectrum a line width, a velocity and errors of the continuum that no "
                "label tells",
                unseen_names=("R", "vmacro", "velocity", *_names("level"), *_names("tilt")),
                unseen_units=("1", "km/s", "km/s", *("1",) * (2 * N_DETECTORS)),
            ),
        )

    def parameters(self, split: str, start: int, stop: int, each: int) -> Floats:
        """Draw the parameters [stop - start, each, n_unseen] of a range of pairs."""
        n = len(self.card.unseen_names)
        stream = f"{self.name}/{self.version}/{split}/hidden"
        uniform = uniforms(stream, start, stop, 2 * n).reshape(-1, 2, n)[:, :each]
        low, high = np.array([RESOLVING_POWER, MACROTURBULENCE]).T
        widths = low + (high - low) * uniform[..., :2]
        rest = cut_normal(uniform[..., 2:], -_CUT, _CUT)
        scale = np.array([VELOCITY, *[CONTINUUM] * (2 * N_DETECTORS)])
        return np.round(np.concatenate([widths, rest * scale], axis=2), _DECIMALS)

    def observe(self, split: str, rows: slice, piece: Split) -> Split:
        """Return the pairs as the instrument records them, with its parameters as `unseen`."""
        n, each, n_pixels = piece.flux.shape
        unseen = self.parameters(split, rows.start, rows.stop, each).astype(np.float32)
        flux = np.empty((n * each, n_pixels), np.float32)
        spectra, parameters = piece.flux.reshape(n * each, -1), unseen.reshape(n * each, -1)

        def record(part: range) -> None:
            for start in range(part.start, part.stop, _PART):
                some = slice(start, min(start + _PART, part.stop))
                flux[some] = recorded(spectra[some], self.wavelength, parameters[some])

        in_parts(record, n * each, _PART)
        flux = flux.reshape(n, each, n_pixels)
        return replace(piece, flux=flux, noiseless_flux=flux, unseen=unseen)


def _names(parameter: str) -> tuple[str, ...]:
    return tuple(f"{parameter} {i + 1}" for i in range(N_DETECTORS))


def recorded(flux: Spectra, wavelength: Floats, parameters: Spectra) -> Spectra:
    """Return spectra [n, n_pixels] as an instrument of some parameters records them.

    Parameters
    ----------
    flux : numpy.ndarray [n, n_pixels], float32
        Of the largest resolving power and the smallest macroturbulence.
    wavelength : numpy.ndarray [n_pixels]
        Of `N_DETECTORS` detectors.
    parameters : numpy.ndarray [n, 3 + 2 N_DETECTORS]
        Resolving power, macroturbulence [km/s], velocity [km/s], then level and tilt of the
        continuum on each detector.
    """
    values = parameters.astype(np.float64)
    deviation = np.hypot(
        instrument.resolution_deviation(values[:, 0], RESOLVING_POWER[1]),
        instrument.macroturbulence_deviation(values[:, 1], MACROTURBULENCE[0]),
    )
    changed = instrument.broadened(flux, wavelength, deviation, values[:, 2])
    level, tilt = np.split(values[:, 3:], 2, axis=1)
    return instrument.recontinued(changed, wavelength, level, tilt)
