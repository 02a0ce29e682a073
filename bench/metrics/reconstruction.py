"""Reconstruction metrics: errors from a star's own latent, and from its twin's.

For a spectrum x with nuisance u and its twin x', u', an encoder E and a decoder D:

    plain error of a star   = mean over pixels of (D(E(x, u), u) - x)^2
    swapped error of a star = mean over pixels of (D(E(x', u'), u) - x)^2

The two are equal if the latent holds the composition and nothing of the nuisance. Errors are means
over stars, in continuum-normalised flux squared.
"""

import numpy as np

from starbench.common.parallel import in_parts
from starbench.metrics.bootstrap import estimate, resample_pairs, resampled_sums
from starbench.metrics.definitions import METRICS, Estimate

_PART = 256  # stars that are worth a thread
_BLOCK_BYTES = 1 << 20  # of float64 differences at a time, which fit the second-level cache


def per_star_mse(reconstruction: np.ndarray, flux: np.ndarray) -> np.ndarray:
    """Return the mean squared error of each spectrum.

    Squares are summed in float64, block by block, without a float64 copy of the spectra.

    Parameters
    ----------
    reconstruction, flux : numpy.ndarray [..., n_pixels]
        Usually float32; the leading axes are those of the stars.

    Returns
    -------
    numpy.ndarray [...], float64
        In flux units squared; not finite where the reconstruction is not.

    Raises
    ------
    ValueError
        If the shapes differ or there are no pixels.

    Examples
    --------
    >>> per_star_mse(np.array([[1.0, 0.5], [1.0, 1.0]]), np.ones((2, 2))).tolist()
    [0.125, 0.0]
    """
    if reconstruction.shape != flux.shape or flux.ndim == 0 or flux.shape[-1] == 0:
        raise ValueError(
            "reconstruction and flux must have the same shape [..., n_pixels], "
            f"not {list(reconstruction.shape)} and {list(flux.shape)}"
        )
    shape, n_pixels = flux.shape[:-1], flux.shape[-1]
    reconstruction, flux = reconstruction.reshape(-1, n_pixels), flux.reshape(-1, n_pixels)
    mse = np.empty(len(flux))
    block = max(1, _BLOCK_BYTES // (8 * n_pixels))

    def measure(stars: range) -> None:
        with np.errstate(invalid="ignore", over="ignore"):  # inf - inf gives NaN in the result
            for start in stars[::block]:
                rows = slice(start, min(start + block, stars.stop))
                error = np.subtract(reconstruction[rows], flux[rows], dtype=np.float64)
                mse[rows] = np.einsum("ij,ij->i", error, error) / n_pixels

    in_parts(measure, len(flux), _PART)
    return mse.reshape(shape)


def reconstruction_estimates(
    plain_mse: np.ndarray | None,
    swapped_mse: np.ndarray | None,
    large_shift: np.ndarray | None = None,
    *,
    counts: np.ndarray | None = None,
) -> dict[str, Estimate | None]:
    """Compute all estimates of reconstruction from the errors of single stars.

    Parameters
    ----------
    plain_mse, swapped_mse : numpy.ndarray [n_pairs, 2], float64, or None
        From `per_star_mse`; None without such a reconstruction.
    large_shift : numpy.ndarray [n_pairs], bool, optional
        Pairs whose effective temperatures differ by more than 500 K.
    counts : numpy.ndarray [n_resamples, n_pairs], int16, optional
        Bootstrap resamples, by default those of `resample_pairs`.

    Returns
    -------
    dict of str to Estimate or None
        ``reconstruction_mse``, ``swapped_reconstruction_mse``, ``swap_gap``,
        ``swapped_reconstruction_mse_large_shift``. None if the errors it needs are missing or not
        all finite, or if no pair has a large shift.
    """
    plain, swapped = _pair_means(plain_mse), _pair_means(swapped_mse)
    if plain is not None and swapped is not None and plain.shape != swapped.shape:
        raise ValueError(
            "plain and swapped errors must have the same number of pairs, "
            f"not {len(plain)} and {len(swapped)}"
        )
    quantities = {
        "reconstruction_mse": plain,
        "swapped_reconstruction_mse": swapped,
        "swap_gap": None if plain is None or swapped is None else swapped - plain,
    }
    estimates = {name: _mean(name, values, None, counts) for name, values in quantities.items()}
    name = "swapped_reconstruction_mse_large_shift"
    estimates[name] = None if large_shift is None else _mean(name, swapped, large_shift, counts)
    return estimates


def _pair_means(mse: np.ndarray | None) -> np.ndarray | None:
    """Return the mean error of each pair; None if there are none or one is not finite."""
    if mse is None or not np.isfinite(mse).all():
        return None
    if mse.ndim != 2 or mse.shape[1] != 2 or len(mse) == 0:
        raise ValueError(f"errors must be shaped [n_pairs, 2], not {list(mse.shape)}")
    means: np.ndarray = mse.mean(axis=1, dtype=np.float64)
    return means


def _mean(
    name: str, values: np.ndarray | None, subset: np.ndarray | None, counts: np.ndarray | None
) -> Estimate | None:
    """Return the mean of per-pair values over a subset of the pairs, with its interval."""
    if values is None:
        return None
    inside = np.ones(len(values), bool) if subset is None else np.asarray(subset, bool)
    if inside.shape != values.shape:
        raise ValueError(f"the subset must be shaped [{len(values)}], not {list(inside.shape)}")
    if not inside.any():
        return None
    if counts is None:
        counts = resample_pairs(len(values))
    sums = resampled_sums(counts, np.stack([values * inside, inside.astype(np.float64)], axis=1))
    with np.errstate(invalid="ignore"):  # a resample may draw no pair of a small subset
        resampled = sums[:, 0] / sums[:, 1]
    return estimate(METRICS[name], float(values[inside].mean()), resampled)
