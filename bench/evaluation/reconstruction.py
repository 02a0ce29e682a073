"""Reconstructions of pairs, and their errors.

They are computed or read in pieces: those of a split never fill the memory at once.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np

from starbench import metrics
from starbench.evaluation.encoding import BATCH, checked_output
from starbench.methods.base import Diverged, Method


@dataclass(frozen=True)
class Errors:
    """Mean squared error of each star's reconstructions, flux units squared.

    Attributes
    ----------
    plain : numpy.ndarray [n_pairs, 2], float64
        From the star's own latent and nuisance.
    swapped : numpy.ndarray [n_pairs, 2], float64
        From the twin's latent and the star's own nuisance.

    In a survey both are [n_ordered], of the first and the second star of each ordered pair of
    siblings (`starbench.metrics.ordered_pairs`).
    """

    plain: np.ndarray
    swapped: np.ndarray


def reconstruction_errors(
    pieces: Iterable[tuple[slice, np.ndarray]],
    n_pairs: int,
    reconstruct: Callable[[slice], tuple[np.ndarray, np.ndarray]],
    advance: Callable[[int], object] | None = None,
) -> Errors:
    """Compare reconstructions with the noiseless flux, piece by piece.

    Parameters
    ----------
    pieces : iterable of (slice, numpy.ndarray [m, 2, n_pixels])
        The noiseless flux of the split in pieces, as `Task.noiseless_flux` yields it. Pixels in
        which it is NaN are left out.
    n_pairs : int
    reconstruct : callable
        Given a range of pairs, returns their plain and their swapped reconstruction, each
        [m, 2, n_pixels].
    advance : callable, optional
        Called with the number of spectra after each piece.

    Raises
    ------
    Diverged
        If a reconstruction is not finite.
    """
    errors = Errors(np.empty((n_pairs, 2)), np.empty((n_pairs, 2)))
    for pairs, flux in pieces:
        for step in range(pairs.start, pairs.stop, BATCH // 2):
            part = slice(step, min(step + BATCH // 2, pairs.stop))
            truth = flux[part.start - pairs.start : part.stop - pairs.start]
            masked = np.isnan(truth)
            left_out = masked if masked.any() else None
            plain, swapped = reconstruct(part)
            for kind, reconstruction, of_kind in (
                ("plain", plain, errors.plain),
                ("swapped", swapped, errors.swapped),
            ):
                mse = metrics.per_star_mse(reconstruction, truth, left_out)
                require_finite(mse, kind)
                of_kind[part] = mse
            if advance:
                advance(2 * (part.stop - part.start))
    return errors


def require_finite(mse: np.ndarray, kind: str) -> None:
    """Raise `Diverged` if the squared error of a plain or swapped reconstruction is not finite."""
    n_bad = int((~np.isfinite(mse)).sum())
    if n_bad:
        raise Diverged(f"{n_bad} {kind} reconstructions are not finite")


def decoder(
    method: Method, latent: np.ndarray, nuisance: np.ndarray, n_pixels: int
) -> Callable[[slice], tuple[np.ndarray, np.ndarray]]:
    """Return a function that reconstructs a range of pairs, for `reconstruction_errors`.

    Parameters
    ----------
    method : Method
    latent : numpy.ndarray [n_pairs, 2, d]
    nuisance : numpy.ndarray [n_pairs, 2, n_nuisance]
    n_pixels : int
    """

    def reconstruct(pairs: slice) -> tuple[np.ndarray, np.ndarray]:
        own = latent[pairs]
        at = None
        if method.label_access != "none":
            at = nuisance[pairs].reshape(2 * len(own), -1)

        def decoded(source: np.ndarray) -> np.ndarray:
            # Contiguous, as torch refuses the negative stride of a swap.
            stars = np.ascontiguousarray(source).reshape(2 * len(own), -1)
            flux = checked_output(
                method.decode(stars, at), len(stars), f"decode of {method.name}", n_pixels
            )
            return flux.reshape(len(own), 2, n_pixels)

        return decoded(own), decoded(own[:, ::-1])

    return reconstruct
