"""Reconstruction metrics: errors from a star's own latent, and from its twin's.

For a spectrum x with nuisance u and its twin x', u', an encoder E and a decoder D:

    plain error of a star   = mean over pixels of (D(E(x, u), u) - x)^2
    swapped error of a star = mean over pixels of (D(E(x', u'), u) - x)^2

The two are equal if the latent holds the composition and nothing of the nuisance. Errors are means
over stars, in continuum-normalised flux squared.

In a survey the latent of each sibling takes the place of the twin's, so that an error belongs to an
ordered pair of siblings. Errors are means over the ordered pairs of a group, then over groups of
two or more; stars of the field have no part in them. Where the noiseless flux is not known, x is
the observed flux in the pixels that are not masked, and errors include its noise.
"""

import numpy as np

from starbench.common.parallel import in_parts
from starbench.metrics.bootstrap import estimate, group_means, resample_pairs, resampled_sums
from starbench.metrics.definitions import METRICS, Estimate

_PART = 256  # stars that are worth a thread
_BLOCK_BYTES = 1 << 20  # of float64 differences at a time, which fit the second-level cache


def per_star_mse(
    reconstruction: np.ndarray, flux: np.ndarray, masked: np.ndarray | None = None
) -> np.ndarray:
    """Return the mean squared error of each spectrum.

    Squares are summed in float64, block by block, without a float64 copy of the spectra.

    Parameters
    ----------
    reconstruction, flux : numpy.ndarray [..., n_pixels]
        Usually float32; the leading axes are those of the stars.
    masked : numpy.ndarray [..., n_pixels], bool, optional
        Pixels to leave out; NaN results where all are.

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
    if masked is not None:
        masked = masked.reshape(-1, n_pixels)
    mse = np.empty(len(flux))
    block = max(1, _BLOCK_BYTES // (8 * n_pixels))

    def measure(stars: range) -> None:
        with np.errstate(all="ignore"):  # inf - inf gives NaN in the result
            for start in stars[::block]:
                rows = slice(start, min(start + block, stars.stop))
                error = np.subtract(reconstruction[rows], flux[rows], dtype=np.float64)
                n_used: int | np.ndarray = n_pixels
                if masked is not None:
                    error[masked[rows]] = 0
                    n_used = n_pixels - masked[rows].sum(axis=1)
                mse[rows] = np.einsum("ij,ij->i", error, error) / n_used

    in_parts(measure, len(flux), _PART)
    return mse.reshape(shape)


def reconstruction_estimates(
    plain_mse: np.ndarray | None,
    swapped_mse: np.ndarray | None,
    large_shift: np.ndarray | None = None,
    *,
    counts: np.ndarray | None = None,
    group: np.ndarray | None = None,
) -> dict[str, Estimate | None]:
    """Compute all estimates of reconstruction from the errors of single stars.

    Parameters
    ----------
    plain_mse, swapped_mse : numpy.ndarray [n_pairs, 2], float64, or None
        From `per_star_mse`; None without such a reconstruction. In a survey [n_ordered], of each
        ordered pair of siblings: the plain error of the star, and that from the sibling's latent.
    large_shift : numpy.ndarray [n_pairs] or [n_ordered], bool, optional
        Pairs whose effective temperatures differ by more than 500 K.
    counts : numpy.ndarray [n_resamples, n_pairs], int16, optional
        Bootstrap resamples, by default those of `resample_pairs`.
    group : numpy.ndarray [n_ordered], int64, optional
        In a survey the group of each ordered pair, as in `starbench.metrics.siblings`; groups are
        resampled then.

    Returns
    -------
    dict of str to Estimate or None
        ``reconstruction_mse``, ``swapped_reconstruction_mse``, ``swap_gap``,
        ``swapped_reconstruction_mse_large_shift``. None if the errors it needs are missing or not
        all finite, or if no pair has a large shift.
    """
    plain, swapped = _means(plain_mse, group), _means(swapped_mse, group)
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
    if large_shift is not None and group is not None and swapped is not None:
        assert swapped_mse is not None
        swapped, large_shift = _subset_means(swapped_mse, large_shift, group)
    estimates[name] = None if large_shift is None else _mean(name, swapped, large_shift, counts)
    return estimates


def _means(mse: np.ndarray | None, group: np.ndarray | None) -> np.ndarray | None:
    """Return the mean error of each pair or group; None if there are none or one is not finite."""
    if mse is None or not np.isfinite(mse).all():
        return None
    if group is not None:
        if mse.shape != group.shape or len(mse) == 0:
            raise ValueError(f"errors must be shaped [{len(group)}], not {list(mse.shape)}")
        return group_means(mse, group)
    if mse.ndim != 2 or mse.shape[1] != 2 or len(mse) == 0:
        raise ValueError(f"errors must be shaped [n_pairs, 2], not {list(mse.shape)}")
    means: np.ndarray = mse.mean(axis=1, dtype=np.float64)
    return means


def _subset_means(
    mse: np.ndarray, subset: np.ndarray, group: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return mean errors over the ordered pairs of a subset, and which groups have such pairs."""
    n_groups = int(group.max()) + 1
    size = np.bincount(group[subset], minlength=n_groups)
    sums = np.bincount(group[subset], weights=mse[subset], minlength=n_groups)
    return sums / np.maximum(1, size), size > 0


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
