"""Spectra divided by a pseudo-continuum, and their derivatives.

The parameters of a spectrum are those of the model that makes it, then the level and slope of its
persistence, and the coefficients of its pseudo-continuum.
"""

import numpy as np

from starbench.tasks.arrays import Floats, Labels, Spectra
from starbench.tasks.forward import SpectralModel
from starbench.tasks.observation.exposure import persistent_light
from starbench.tasks.observation.instrument import detectors
from starbench.tasks.survey.continuum import ORDER, pseudo_continuum

_DECIMALS = 7  # of its coefficients


class Continuum:
    """The pseudo-continua of spectra on some pixels: a polynomial on each detector.

    Parameters
    ----------
    wavelength : numpy.ndarray [n_pixels]

    Attributes
    ----------
    basis : numpy.ndarray [n_coefficients, n_pixels], float32
        Chebyshev polynomials of each detector, 0 on the others.
    """

    def __init__(self, wavelength: Floats):
        self._wavelength = wavelength
        parts = detectors(wavelength)
        terms = ORDER + 1
        self.n_coefficients = terms * len(parts)
        self.basis: Spectra = np.zeros((self.n_coefficients, len(wavelength)), np.float32)
        self._solve = np.zeros((self.n_coefficients, len(wavelength)))
        for i, part in enumerate(parts):
            pixels = wavelength[part]
            x = 2 * (pixels - pixels[0]) / (pixels[-1] - pixels[0]) - 1
            own = np.polynomial.chebyshev.chebvander(x, ORDER)
            rows = slice(i * terms, (i + 1) * terms)
            self.basis[rows, part] = own.T
            self._solve[rows, part] = np.linalg.pinv(own)
        self.names = tuple(
            f"continuum {i + 1}.{k}" for i in range(len(parts)) for k in range(terms)
        )

    @property
    def flat(self) -> Floats:
        """The coefficients of a continuum of 1."""
        return np.tile(np.eye(ORDER + 1)[0], self.n_coefficients // (ORDER + 1))

    def fitted(self, flux: Spectra, error: Spectra) -> Floats:
        """Fit the pseudo-continuum of noisy spectra; return its coefficients [n, n_coefficients].

        They are rounded, so as to be the same whatever spectra are fitted at once.
        """
        continuum = pseudo_continuum(self._wavelength, flux, error)
        return np.round(continuum @ self._solve.T, _DECIMALS)

    def __call__(self, coefficients: Floats) -> Spectra:
        """Return continua [n, n_pixels], float32, of coefficients [n, n_coefficients]."""
        continua = np.empty((len(coefficients), self.basis.shape[1]), np.float32)
        for row, own in zip(continua, coefficients.astype(np.float32), strict=True):
            np.matmul(own, self.basis, out=row)  # one by one, for the same bits in any range
        return continua


class NormalisedSpectra:
    """Spectra of a model with persistence, divided by pseudo-continua.

    Parameters
    ----------
    base : SpectralModel
        Its coordinates are the pixels.
    wavelength : numpy.ndarray [n_pixels]
    continuum : Continuum
    """

    def __init__(self, base: SpectralModel, wavelength: Floats, continuum: Continuum):
        self._base, self._wavelength, self._continuum = base, wavelength, continuum
        self.n_pixels = self.n_coordinates = base.n_pixels
        self.n_parameters = base.n_parameters + 2 + continuum.n_coefficients

    def coordinates(self, parameters: Labels) -> Spectra:
        """Return the noiseless flux [n, n_pixels], without a check of range."""
        stars, persistence, coefficients = self._split(parameters)
        return self._normalised(self._base.coordinates(stars), persistence, coefficients)

    def spectra(self, parameters: Labels) -> Spectra:
        """Return the noiseless flux [n, n_pixels]."""
        stars, persistence, coefficients = self._split(parameters)
        return self._normalised(self._base.spectra(stars), persistence, coefficients)

    def project(self, flux: Spectra) -> Spectra:
        """Return the flux itself."""
        return flux

    def tangents(self, parameters: Labels, directions: Floats) -> tuple[Spectra, Spectra]:
        """Return the noiseless flux, and its derivatives [n, n_pixels, m] along directions."""
        stars, persistence, coefficients = self._split(parameters)
        n = self._base.n_parameters
        _, of_light, of_continuum = np.split(directions.astype(np.float32), [n, n + 2], axis=1)
        star_moves = directions[:, :n].any(axis=1)
        flux, changes = self._base.tangents(stars, directions[star_moves, :n])
        flux = self._normalised(flux, persistence, coefficients)
        continuum = self._continuum(coefficients)
        tangents = np.zeros((len(stars), len(directions), self.n_pixels), np.float32)
        tangents[:, star_moves] = changes.transpose(0, 2, 1)
        if of_light.any():
            level, slope = persistence.T
            flat = persistent_light(self._wavelength, np.column_stack([np.ones_like(slope), slope]))
            tilted = persistent_light(self._wavelength, np.column_stack([level, 1 + 0 * slope]))
            tilted -= persistent_light(self._wavelength, np.column_stack([level, 0 * slope]))
            tangents += np.einsum("ml,lnp->nmp", of_light, np.stack([flat, tilted]))
        moves = of_continuum.any(axis=1)
        tangents[:, moves] -= flux[:, None] * (of_continuum[moves] @ self._continuum.basis)
        tangents /= continuum[:, None]
        return flux, tangents.transpose(0, 2, 1)

    def _split(self, parameters: Labels) -> tuple[Labels, Floats, Floats]:
        """Return the base's parameters, the persistence, and the continuum's coefficients."""
        n = self._base.n_parameters
        stars, persistence, coefficients = np.split(parameters, [n, n + 2], axis=1)
        return stars, persistence.astype(np.float64), coefficients.astype(np.float64)

    def _normalised(self, flux: Spectra, persistence: Floats, coefficients: Floats) -> Spectra:
        light = persistent_light(self._wavelength, persistence)
        return (flux + light) / self._continuum(coefficients)
