"""The rank of every star's twin among all stars, by L1 distance in the latent space.

For a star q with twin t, each other star c (a stranger) lies at a distance

    D(q, c) = sum_k |z_qk - z_ck|

in float32, added in the order of the dimensions. With

    closer = number of strangers with D(q, c) < D(q, t)
    tied   = number of strangers with D(q, c) = D(q, t)

the rank of the twin is 1 + closer + tied: ties count against the method. The query and its twin do
not count as strangers; they are excluded by index, not by distance, so that equal latents gain
nothing. With N pairs the gallery holds 2N - 1 stars, and a rank lies between 1 and 2N - 1.

A star whose latent is not finite is infinitely far from every other, so its twin ranks last, and so
does it for its twin. If all latents are equal, all strangers tie and all twins rank last. Finite
latents so large that their distance overflows float32 are infinitely far apart too.

The distance to the twin is computed by the same code as those to the candidates, so that equal
latents give equal bits. Compared with sums in float64, an order can differ only where two distances
agree to a few units in the last place of float32.

The twin as ground truth for chemical similarity, and "doppelgangers": de Mijolla, Ness, Viti &
Wheeler 2021, ApJ 913, 12 (arXiv:2103.06377).
"""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from starbench.common.threads import default_threads


@dataclass(frozen=True)
class TwinRanks:
    """The rank of every star's twin, from which all recovery metrics follow.

    Attributes
    ----------
    rank : numpy.ndarray [n_pairs, 2], int64
        From 1, if the twin is closer than every stranger, to 2 n_pairs - 1, if no stranger is
        farther.
    tied : numpy.ndarray [n_pairs, 2], int64
        Number of strangers exactly as far as the twin; `rank` counts them too.
    """

    rank: np.ndarray
    tied: np.ndarray

    def __len__(self) -> int:
        """Return the number of pairs."""
        return len(self.rank)


def twin_ranks(
    latent: np.ndarray, *, n_threads: int | None = None, device: str = "cpu"
) -> TwinRanks:
    """Rank every star's twin by L1 distance, exactly.

    The time is proportional to n_pairs^2 d and the memory to n_pairs d: about half a second for
    12,500 pairs of 20 dimensions on one core. The first call on a machine compiles for a second or
    two.

    Parameters
    ----------
    latent : numpy.ndarray [n_pairs, 2, d], float32
        Other real types are rounded to float32 first.
    n_threads : int, optional
        On the CPU; by default that of the run, or one for each available core. It does not change
        the result.
    device : str
        A torch device. Distances are the same to the bit on all.

    Returns
    -------
    TwinRanks

    Raises
    ------
    ValueError
        If `latent` is not of that shape, or empty.

    Examples
    --------
    Three pairs on a line, at 0 and 1, 4 and 6, and 2 and 9. The star at 2 is as far from that at 1
    as its twin is: a tie. From the star at 2 all others are nearer than its twin.

    >>> latent = np.array([[[0.0], [1.0]], [[4.0], [6.0]], [[2.0], [9.0]]], np.float32)
    >>> ranks = twin_ranks(latent)
    >>> ranks.rank.tolist()
    [[1, 2], [2, 1], [5, 3]]
    >>> ranks.tied.tolist()
    [[0, 1], [1, 0], [0, 0]]
    """
    latent = np.asarray(latent)
    if latent.ndim != 3 or latent.shape[1] != 2 or 0 in latent.shape:
        raise ValueError(
            "latents must be shaped [n_pairs, 2, d] with n_pairs and d at least 1, "
            f"not {list(latent.shape)}"
        )
    n_stars = 2 * len(latent)
    with np.errstate(over="ignore"):  # what overflows float32 is not finite, and ranks last
        rows = np.ascontiguousarray(latent.reshape(n_stars, -1), dtype=np.float32)
    broken: np.ndarray = ~np.all(np.isfinite(rows), axis=1)
    if broken.any():
        # Infinite values are infinitely far from all; NaN would be neither near nor far.
        rows = np.where(broken[:, None], np.float32(np.inf), rows)
    thresholds = _twin_distances(rows)
    if device == "cpu":  # "cpu:0" uses the kernel for accelerators, for tests
        n_workers = default_threads() if n_threads is None else n_threads
        closer, within = _count_on_cpu(rows, thresholds, n_workers)
    else:
        closer, within = _count_on_device(rows, thresholds, device)
    # All stars are infinitely far from one that is not finite, hence tied. That holds for another
    # such star too, where the difference of infinities gave NaN.
    within[broken], closer[broken] = n_stars - 2, 0
    return TwinRanks((1 + within).reshape(-1, 2), (within - closer).reshape(-1, 2))


def _twin_distances(rows: np.ndarray) -> np.ndarray:
    """Return each star's distance to its twin [n_stars], float32; stars 2k and 2k + 1 are twins."""
    distance = np.zeros((len(rows) // 2, 1), np.float32)
    with np.errstate(over="ignore", invalid="ignore"):
        for first, second in zip(rows[::2].T, rows[1::2].T, strict=True):
            distance[:, 0] += np.abs(first - second)
    return np.repeat(distance, 2)


def _count_on_cpu(
    rows: np.ndarray, thresholds: np.ndarray, n_threads: int
) -> tuple[np.ndarray, np.ndarray]:
    # Imported here because it loads the compiler, which takes half a second.
    from starbench.metrics._l1 import TILE, count_closer

    columns = np.ascontiguousarray(rows.T)
    # The kernel releases the GIL, so Python threads run in parallel; numba's thread pool would not
    # survive a fork.
    n_workers = max(1, min(n_threads, -(-len(rows) // TILE)))
    with ThreadPoolExecutor(n_workers) as pool:
        counts = list(
            pool.map(
                lambda first: count_closer(rows, columns, thresholds, first, n_workers),
                range(n_workers),
            )
        )
    closer, within = (np.stack(parts).sum(0, np.int64) for parts in zip(*counts, strict=True))
    return closer, within


def _count_on_device(
    rows: np.ndarray, thresholds: np.ndarray, device: str
) -> tuple[np.ndarray, np.ndarray]:
    from starbench.metrics._l1_torch import BAND, GalleryOnDevice

    gallery = GalleryOnDevice(rows, thresholds, device)
    n_stars = len(rows)
    bands = [gallery.count(first, min(first + BAND, n_stars)) for first in range(0, n_stars, BAND)]
    closer, within = np.concatenate(bands, axis=1).astype(np.int64)
    return closer, within
