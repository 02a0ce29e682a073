"""Latents that a file holds: what is refused of them, and how they become float32."""

import h5py
import numpy as np

from starbench.common.hdf5_guards import MAX_CHUNK_BYTES, mostly_unwritten, oversized

MAX_LATENT = 2048  # dimensions; the time of the ranking is proportional to them


def storage_fault(dataset: h5py.Dataset) -> str | None:
    """Return what to change of a dataset that cannot be read as numbers; None if it can.

    It continues a sentence that begins with the dataset's name.
    """
    if dataset.dtype.kind != "f":
        return f"holds {dataset.dtype}; give floating-point numbers."
    if oversized(dataset):
        return (
            f"is stored in chunks larger than {MAX_CHUNK_BYTES // 2**20} MB; write it in smaller "
            "ones."
        )
    if mostly_unwritten(dataset):
        return (
            f"has shape {dataset.shape}, but the file holds {dataset.id.get_storage_size():,} "
            "bytes of it; write all its numbers."
        )
    return None


def offset_of(latent: np.ndarray) -> np.ndarray:
    """Return what is subtracted from latents before they become float32.

    Distances do not depend on it, but float32 would round those of latents that lie far from zero.

    Parameters
    ----------
    latent : numpy.ndarray [..., d]
        Of all spectra of a split.

    Returns
    -------
    numpy.ndarray [d]
        The median of the spectra whose latents are finite; 0 for those of float32 or less.

    Examples
    --------
    >>> offset_of(np.array([[1e9, 0.0], [1e9 + 1, 2.0], [np.inf, 5.0]])).tolist()
    [1000000000.5, 1.0]
    """
    width = latent.shape[-1]
    if latent.dtype.itemsize > 4:
        spectra = latent.reshape(-1, width)
        spectra = spectra[np.isfinite(spectra).all(axis=1)]
        if len(spectra):
            median: np.ndarray = np.median(spectra, axis=0)
            return median
    return np.zeros(width)


def as_float32(values: np.ndarray) -> np.ndarray:
    """Return values as a contiguous float32 array; what overflows is infinite, and ranks last."""
    with np.errstate(over="ignore"):
        return np.ascontiguousarray(values, np.float32)
