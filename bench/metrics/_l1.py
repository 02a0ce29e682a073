"""The twin ranking's kernel for the CPU: L1 distances, tile by tile, compared with thresholds.

It is a separate module because importing numba takes half a second, which only rankings need.

Four things make the kernel fast without changing a bit of a distance:

- In a tile, stars lie along the fast axis, so that the loop over them vectorises, while every
  distance still adds its terms in the order of the dimensions. `fastmath` would let the compiler
  reorder that sum, differently for different callers, and a twin could miss its own threshold by a
  unit in the last place.
- |a - b| = |b - a| exactly, so one distance serves both stars, and only tiles on and above the
  diagonal are visited.
- A tile stays in the first-level cache while all stars of another pass over it.
- The compiler knows the number of dimensions that a pass adds, so that the running sum stays in a
  register, and so do the comparisons that follow.
"""

import numpy as np
import numpy.typing as npt

from starbench.common.compilation import compiled, with_widest_vectors

TILE = 512  # stars; 40 kB of 20 dimensions

_WIDEST = 24  # dimensions that a pass adds; LLVM does not unroll, nor vectorise, many more
_STEP = 4  # widths are multiples of it, so that fewer are compiled

Floats = npt.NDArray[np.float32]
Counts = npt.NDArray[np.int32]


class CpuBands:
    """A ranking on the CPU in bands: tile b among tiles b, b + 1, ... for every tile b.

    Parameters
    ----------
    rows : numpy.ndarray [n_stars, d], float32
        Latents; stars 2k and 2k + 1 are twins.
    thresholds : numpy.ndarray [n_stars], float32
        Distance of each star to its twin.

    Attributes
    ----------
    kind : str
        How the work is divided; counts of another kind cannot be continued.
    costs : numpy.ndarray [n_bands], int64
        Work of each band: the distances that it computes, but for a last tile that is not full.
    """

    def __init__(self, rows: Floats, thresholds: Floats) -> None:
        n_stars, d = rows.shape
        n_tiles, n_passes = -(-n_stars // TILE), -(-d // _WIDEST)
        width = -(-d // (n_passes * _STEP)) * _STEP
        # Dimensions of padding add 0 to every distance, at the end of the sum.
        self._tiles = np.zeros((n_tiles, n_passes * width, TILE), np.float32)
        for tile, start in zip(self._tiles, range(0, n_stars, TILE), strict=True):
            stars = rows[start : start + TILE]
            tile[:d, : len(stars)] = stars.T
        self._thresholds = thresholds
        self._width = (0,) * width
        self.kind = f"triangle of tiles of {TILE}"
        self.costs = np.arange(n_tiles, 0, -1) * TILE**2

    def count(self, band: int, counts: Counts) -> None:
        """Add the counts of a band to `counts`.

        Parameters
        ----------
        band : int
        counts : numpy.ndarray [2, n_stars], int32
            For each star the strangers closer than its twin, and those closer or tied.
        """
        count_band(self._tiles, self._thresholds, band, counts[0], counts[1], self._width)


@compiled
def _add(query: Floats, tile: Floats, n: int, width: tuple[int, ...], distance: Floats) -> None:
    """Add the terms of `len(width)` dimensions to distances from one star to those of a tile."""
    with_widest_vectors()
    for j in range(n):
        total = distance[j]
        for k in range(len(width)):
            total += abs(query[k] - tile[k, j])
        distance[j] = total


@compiled
def count_band(
    tiles: Floats,
    thresholds: Floats,
    band: int,
    closer: Counts,
    within: Counts,
    width: tuple[int, ...],
) -> None:
    """Compare each star of a tile with those of this tile and of all later ones, for both stars.

    Parameters
    ----------
    tiles : numpy.ndarray [n_tiles, d, TILE], float32
    thresholds : numpy.ndarray [n_stars], float32
    band : int
        The tile.
    closer, within : numpy.ndarray [n_stars], int32
        The strangers closer than a star's threshold, and those closer or tied, are added to them.
    width : tuple
        Of as many elements as a pass adds dimensions, which divides d. The elements mean nothing:
        their number is part of the type, so that the compiler knows it.
    """
    with_widest_vectors()
    n_stars, n_last = len(thresholds), tiles.shape[1] - len(width)
    first = band * TILE
    n_queries = min(TILE, n_stars - first)
    queries = tiles[band].T.copy()
    distance = np.zeros(TILE, np.float32)  # of the earlier passes; stays 0 if there is only one
    unused = np.zeros((2, TILE), np.int32)
    for other in range(band, len(tiles)):
        start = other * TILE
        n = min(TILE, n_stars - start)
        tile, last = tiles[other], tiles[other, n_last:]
        limits = thresholds[start : start + n]
        closer_there, within_there = closer[start : start + n], within[start : start + n]
        if other == band:  # where every star is a query once: count one way only
            closer_there, within_there = unused[0, :n], unused[1, :n]
        for i in range(n_queries):
            limit = thresholds[first + i]
            if n_last:
                distance[:] = 0
                for k in range(0, n_last, len(width)):
                    _add(queries[i, k:], tile[k:], n, width, distance)
            query = queries[i, n_last:]
            n_closer = n_within = np.int32(0)
            for j in range(n):
                total = distance[j]
                for k in range(len(width)):
                    total += abs(query[k] - last[k, j])
                n_closer += np.int32(total < limit)
                n_within += np.int32(total <= limit)
                closer_there[j] += np.int32(total < limits[j])
                within_there[j] += np.int32(total <= limits[j])
            if other == band:
                # The star itself was counted, at distance 0, and its twin, at the threshold. Where
                # either is not finite that is not so, but then its count is not used.
                n_closer -= np.int32(limit > 0)
                n_within -= np.int32(2)
            closer[first + i] += n_closer
            within[first + i] += n_within
