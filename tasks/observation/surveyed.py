"""Spectra as a survey publishes them: with errors, masks and a continuum that is fitted to them."""

from dataclasses import replace
from functools import cached_property

import numpy as np

from starbench.common.parallel import in_parts
from starbench.tasks.arrays import Spectra
from starbench.tasks.base import Split, Task
from starbench.tasks.forward import Constraint, ForwardModel
from starbench.tasks.observation.exposure import VARIATES, Detector, Exposures, persistent_light
from starbench.tasks.observation.normalised import Continuum, NormalisedSpectra
from starbench.tasks.observation.observed import Observed, with_unseen
from starbench.tasks.streams import normals, uniforms

CONTINUUM_PRIOR = 0.1
"""Standard deviation of the continuum's coefficients in the information bound: any continuum."""

_PART = 64  # vectors of noise that are worth a thread
_DECIMALS = 7  # of the continuum's coefficients


class SurveyedSpectra(Observed):
    """A task whose spectra are exposed by a survey, and divided by a pseudo-continuum.

    In this order: persistence adds light to the blue detector of some spectra; noise of each
    pixel's error is added; masked pixels are set to 1; and flux and errors are divided by the
    pseudo-continuum of the noisy flux, which a survey's pipeline fits with the errors and masks.
    `noiseless_flux` is the spectrum without noise, with its persistence and divided by the same
    pseudo-continuum.

    The exposure of a spectrum is item ``i`` of the stream ``<track>/<version>/<split>/exposure``,
    its noise item ``i`` of ``.../noise``, with ``i = 2 pair + half`` for pairs. The bad pixels are
    those of the stream ``<track>/<version>/detector``, for all spectra alike.

    Parameters
    ----------
    base : Task
        Without noise.
    persistence : bool
        False for spectra of a model, of whose makers nobody knows a survey's persistence.
    """

    def __init__(self, base: Task, *, persistence: bool = True):
        self.continuum = Continuum(base.wavelength)
        names = ("persistence", "persistence slope", *self.continuum.names)
        super().__init__(
            base,
            base.card.then(
                "has an SNR for each spectrum, larger errors under lines of the sky, masked pixels,"
                " persistence, and a pseudo-continuum fitted to the noisy flux",
                unseen_names=(*base.card.unseen_names, *names),
                unseen_units=(*base.card.unseen_units, *("1",) * len(names)),
            ),
        )
        self._persistence = persistence

    @cached_property
    def detector(self) -> Detector:
        """The detector, with its bad pixels."""
        spare = 1000  # more than the pixels beyond the ends of all detectors
        n = len(self.wavelength) + spare
        variates = uniforms(f"{self.name}/{self.version}/detector", 0, 1, n)[0]
        return Detector.of(self.wavelength, variates)

    def exposures(self, split: str, start: int, stop: int) -> Exposures:
        """Draw the exposures of any range of spectra."""
        stream = f"{self.name}/{self.version}/{split}/exposure"
        drawn = Exposures.drawn(uniforms(stream, start, stop, VARIATES))
        if self._persistence:
            return drawn
        return replace(drawn, persistence=np.zeros_like(drawn.persistence))

    def noise(self, split: str, start: int, stop: int) -> Spectra:
        """Draw the noise [stop - start, n_pixels] of any range of spectra, of unit deviation."""
        stream = f"{self.name}/{self.version}/{split}/noise"
        noise = np.empty((stop - start, len(self.wavelength)), np.float32)

        def draw(rows: range) -> None:
            for i in rows:
                normals(stream, start + i, noise.shape[1], out=noise[i])

        in_parts(draw, len(noise), _PART)
        return noise

    def observe(self, split: str, rows: slice, piece: Split) -> Split:
        """Return the spectra as the survey publishes them, with their errors."""
        n, each, n_pixels = piece.flux.shape
        start, stop = each * rows.start, each * rows.stop
        exposures = self.exposures(split, start, stop)
        error = self.detector.errors(exposures)
        masked = np.isinf(error)
        noiseless = persistent_light(self.wavelength, exposures.persistence)
        noiseless += piece.flux.reshape(n * each, n_pixels)
        flux = self.noise(split, start, stop)
        flux *= np.where(masked, 0, error)
        flux += noiseless
        coefficients = self.continuum.fitted(flux, error)
        continuum = self.continuum(coefficients)
        for spectra in (flux, error, noiseless):
            spectra /= continuum
        flux[masked] = 1
        unseen = np.hstack([exposures.persistence, coefficients]).astype(np.float32)
        shape = (n, each, -1)
        return replace(
            piece,
            flux=flux.reshape(shape),
            noiseless_flux=noiseless.reshape(shape),
            error=error.reshape(shape),
            unseen=with_unseen(piece, unseen.reshape(shape)),
        )

    def forward_model(self) -> ForwardModel | None:
        """Return the base's forward model, with persistence and divided by any continuum.

        The division by a pseudo-continuum removes from a spectrum just what its product with a
        smooth function changes, so that it tells as much as the spectrum before the division if
        nothing is known of its continuum: the coefficients have a wide prior. The persistence is
        taken as known, as if a perfect pipeline told it.
        """
        base = self.base.forward_model()
        if base is None or base.model.n_coordinates != base.model.n_pixels:
            return None
        model = NormalisedSpectra(base.model, self.wavelength, self.continuum)
        own, n_base = self.continuum.n_coefficients, base.model.n_parameters
        slopes = np.eye(model.n_parameters)[-own:]
        mean = self.continuum.flat
        prior = Constraint(slopes, -mean, np.eye(own) * CONTINUUM_PRIOR**2)
        known = (n_base, n_base + 1)
        return base.extended(model, np.arange(n_base), prior, known=known)
