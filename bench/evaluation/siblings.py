"""Reconstructions of a survey's siblings: from a star's own latent, and from those of its siblings.

Stars of the field have no siblings, and take no part.
"""

from collections.abc import Callable, Iterable

import numpy as np

from starbench import metrics
from starbench.evaluation.encoding import BATCH, checked_output
from starbench.evaluation.reconstruction import Errors, require_finite
from starbench.methods.base import Method

Decode = Callable[[np.ndarray, np.ndarray], np.ndarray]


def sibling_decoder(
    method: Method, latent: np.ndarray, nuisance: np.ndarray, n_pixels: int
) -> Decode:
    """Return a function that decodes latents of some stars at the nuisances of others.

    Parameters
    ----------
    method : Method
    latent : numpy.ndarray [n_stars, d]
    nuisance : numpy.ndarray [n_stars, n_nuisance]
    n_pixels : int

    Returns
    -------
    callable
        From the numbers [n] of the stars whose latents are decoded, and of those at whose nuisance,
        to flux [n, n_pixels].
    """

    def decode(of: np.ndarray, at: np.ndarray) -> np.ndarray:
        flux = method.decode(latent[of], None if method.label_access == "none" else nuisance[at])
        return checked_output(flux, len(of), f"decode of {method.name}", n_pixels)

    return decode


def sibling_errors(
    pieces: Iterable[tuple[slice, np.ndarray]],
    group: np.ndarray,
    decode: Decode,
    advance: Callable[[int], object] | None = None,
) -> Errors:
    """Compare the reconstructions of siblings with their flux, piece by piece.

    It is the noiseless flux where the task knows it, and otherwise the observed flux in pixels that
    are not masked.

    Parameters
    ----------
    pieces : iterable of (slice, numpy.ndarray [m, 1, n_pixels])
        The flux of a survey's split, as `Task.noiseless_flux` yields it. Pixels in which it is NaN
        are left out.
    group : numpy.ndarray [n_stars], int64
    decode : callable
        As `sibling_decoder` returns it.
    advance : callable, optional
        Called with the number of stars after each piece.

    Returns
    -------
    Errors
        Of each ordered pair of siblings; without siblings of none.

    Raises
    ------
    Diverged
        If a reconstruction is not finite.
    """
    pairs = metrics.ordered_pairs(group)
    errors = Errors(np.empty(len(pairs)), np.empty(len(pairs)))
    for stars, flux in pieces:
        truth, masked = flux[:, 0], np.isnan(flux[:, 0])
        # Ordered pairs are sorted by their first star.
        low, high = np.searchsorted(pairs.query, [stars.start, stars.stop])
        for start in range(low, high, BATCH):
            part = slice(start, min(start + BATCH, high))
            query = pairs.query[part]
            own, place = np.unique(query, return_inverse=True)
            row = own - stars.start
            plain = metrics.per_star_mse(decode(own, own), truth[row], masked[row])
            row = query - stars.start
            swapped = metrics.per_star_mse(
                decode(pairs.sibling[part], query), truth[row], masked[row]
            )
            for kind, mse in (("plain", plain), ("swapped", swapped)):
                require_finite(mse, kind)
            errors.plain[part], errors.swapped[part] = plain[place], swapped
        if advance:
            advance(len(flux))
    return errors
