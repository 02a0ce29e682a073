"""The nearest other star of each star by L1, among those of another nuisance.

It is a separate module because importing numba takes half a second.

Stars are visited outwards from the query in the order of the first axis. As soon as the difference
along that axis alone exceeds the least distance found, no star beyond can be nearer. With an axis
along which stars scatter far more than nearest stars differ, few stars are visited.
"""

import numpy as np
import numpy.typing as npt

from starbench.common.compilation import compiled

Floats = npt.NDArray[np.float32]
Rows = npt.NDArray[np.int64]


@compiled
def nearest_rows(latent: Floats, nuisance: Floats, least_shift: float) -> Rows:
    """Return for each star the row of its nearest neighbour by L1, or -1 if it has none.

    Parameters
    ----------
    latent : numpy.ndarray [n, d], float32
        Sorted by its first column.
    nuisance : numpy.ndarray [n, n_nuisance], float32
    least_shift : float
        A star whose nuisance differs by less than this along every axis does not count.
    """
    n, d = latent.shape
    nearest = np.full(n, -1)
    for i in range(n):
        least = np.float32(np.inf)
        for direction in (-1, 1):
            j = i + direction
            while 0 <= j < n:
                total = abs(latent[i, 0] - latent[j, 0])
                if total >= least:
                    break
                k = 1
                while k < d and total < least:
                    total += abs(latent[i, k] - latent[j, k])
                    k += 1
                if total < least:
                    shift = np.float32(0)
                    for axis in range(nuisance.shape[1]):
                        shift = max(shift, abs(nuisance[i, axis] - nuisance[j, axis]))
                    if shift >= least_shift:
                        least, nearest[i] = total, j
                j += direction
    return nearest
