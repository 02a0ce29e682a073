"""Spectra with line widths, velocities and continua that no label tells."""

from dataclasses import replace

import numpy as np

from starbench.common.parallel import in_parts
from starbench.tasks.arrays import Floats
from starbench.tasks.base import Split, Task
from starbench.tasks.forward import Constraint, ForwardModel, LinearBasis
from starbench.tasks.observation.observed import Observed
from starbench.tasks.observation.recorded import (
    MACROTURBULENCE,
    N_DETECTORS,
    RESOLVING_POWER,
    RecordedSpectra,
    recorded,
)
from starbench.tasks.streams import cut_normal, uniforms

VELOCITY = 0.4  # standard deviation of what the correction of the velocity leaves [km/s]
CONTINUUM = 0.003  # standard deviation of level and tilt on each detector

_PART = 16  # spectra that are worth a thread
_CUT = 4.0  # standard deviations at which the Gaussians end
_DECIMALS = 6  # of the parameters, which are rounded so as to be the same on every machine


class HiddenInstrument(Observed):
    """A task whose spectra differ in line width, velocity and continuum, without labels of them.

    Each spectrum has its own resolving power, macroturbulence, residual velocity, and on each
    detector an error of the continuum's level and tilt: the parameters of `recorded`, drawn for
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

    def forward_model(self) -> ForwardModel | None:
        """Return the base's forward model, recorded with parameters of which a prior is known.

        The prior of each is a Gaussian of its mean and variance, also of the two uniform ones.
        """
        base = self.base.forward_model()
        if base is None or not isinstance(base.model, LinearBasis):
            return None
        model = RecordedSpectra(base.model, self.wavelength)
        low, high = np.array([RESOLVING_POWER, MACROTURBULENCE]).T
        rest = [VELOCITY, *[CONTINUUM] * (2 * N_DETECTORS)]
        mean = np.concatenate([(low + high) / 2, np.zeros(len(rest))])
        deviation = np.concatenate([(high - low) / np.sqrt(12), rest])
        own = np.arange(base.model.n_parameters)
        slopes = np.eye(model.n_parameters)[len(own) :]
        return base.extended(model, own, Constraint(slopes, -mean, np.diag(deviation**2)))


def _names(parameter: str) -> tuple[str, ...]:
    return tuple(f"{parameter} {i + 1}" for i in range(N_DETECTORS))
