"""The twin ranking's kernel for the CPU: L1 distances, tile by tile, compared with thresholds.

It is a separate module because importing numba takes half a second, which only rankings need.

Four things make the kernel fast without changing a bit of a distance:

- In a tile, stars lie along the fast axis, so that the loop over them vectorises, while every
  distance still adds its terms in the order of the dimensions. `fastmath` would let the compiler
  reorder that sum, differently for different callers, and a twin could miss its own threshold by a
  unit in the last place.
- |a - b| = |b - a| exactly, so one distance serves both stars, and only tiles on and above the
  diagonal are visited.
- A tile, or the dimensions of it that a pass adds, stays in a cache while all stars of another, or
  a block of them, pass over it. Spectra as latents have 7,214 dimensions: a tile of them is 15 MB,
  and to read it once for each star takes three times as long.
- The compiler knows the number of dimensions that a pass adds, so that the running sum stays in a
  register, and so do the comparisons that follow.
"""

import zlib

import numpy as np
import numpy.typing as npt

from starbench.common.compilation import compiled, with_widest_vectors

TILE = 512  # stars; 40 kB of 20 dimensions
QUERIES = 64  # stars that pass over a tile together; of those with siblings, a band

_WIDEST = 24  # dimensions of a single pass; LLVM does not unroll, nor vectorise, many more
_NARROW = 12  # of each pass where there are several; so many of a query stay in registers
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
        self._tiles, self._width = tiled(rows)
        n_tiles = len(self._tiles)
        self._thresholds = thresholds
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


class SiblingBands:
    """A ranking of siblings on the CPU in bands: `QUERIES` stars with siblings among all stars.

    Parameters
    ----------
    rows : numpy.ndarray [n_stars, d], float32
    queries : numpy.ndarray [n_queries], int64
        Stars that have siblings.
    ends : numpy.ndarray [n_queries], int64
        Where the distances of each query to its siblings end in `distances`.
    distances : numpy.ndarray [n_counted], float32
        From each query to each of its siblings.

    Attributes
    ----------
    kind : str
        How the work is divided; counts of another kind cannot be continued.
    costs : numpy.ndarray [n_bands], int64
        Work of each band: the distances that it computes.
    """

    def __init__(
        self,
        rows: Floats,
        queries: npt.NDArray[np.int64],
        ends: npt.NDArray[np.int64],
        distances: Floats,
    ) -> None:
        self._tiles, self._width = tiled(rows)
        n, n_stars = len(queries), len(rows)
        self._n_stars = n_stars
        self._queries = np.zeros((n, self._tiles.shape[1]), np.float32)
        self._queries[:, : rows.shape[1]] = rows[queries]
        self._starts = np.concatenate([[0], ends])
        self._distances = distances
        # Stars and groups are part of the identity of a count, as the latents do not tell them.
        crc = zlib.crc32(self._starts.data, zlib.crc32(queries.data))
        self.kind = f"siblings of {QUERIES} stars, {crc:08x}"
        self.costs = np.diff([*range(0, n, QUERIES), n]) * n_stars

    def count(self, band: int, counts: Counts) -> None:
        """Add the counts of a band to `counts`.

        Parameters
        ----------
        band : int
        counts : numpy.ndarray [2, n_counted], int32
            For each sibling the strangers closer than it is, and those closer or tied.
        """
        first = band * QUERIES
        last = min(first + QUERIES, len(self._queries))
        count_among(
            self._tiles,
            self._n_stars,
            self._queries[first:last],
            self._starts[first : last + 1],
            self._distances,
            counts[0],
            counts[1],
            self._width,
        )


def tiled(rows: Floats) -> tuple[Floats, tuple[int, ...]]:
    """Return rows [n_stars, d] as tiles [n_tiles, d', TILE], and the width of a pass.

    The width is a tuple of as many zeros as a pass adds dimensions: their number is part of the
    type, so that the compiler knows it. It divides d'; dimensions of padding add 0 to every
    distance, at the end of the sum.
    """
    n_stars, d = rows.shape
    n_tiles, n_passes = -(-n_stars // TILE), 1 if d <= _WIDEST else -(-d // _NARROW)
    width = -(-d // (n_passes * _STEP)) * _STEP
    tiles = np.zeros((n_tiles, n_passes * width, TILE), np.float32)
    for tile, start in zip(tiles, range(0, n_stars, TILE), strict=True):
        stars = rows[start : start + TILE]
        tile[:d, : len(stars)] = stars.T
    return tiles, (0,) * width


@compiled
def _measure(
    queries: Floats, tile: Floats, n: int, n_dimensions: int, width: tuple[int, ...], out: Floats
) -> None:
    """Set distances from stars to the first `n` of a tile, in the first dimensions of them.

    Parameters
    ----------
    queries : numpy.ndarray [n_queries, d], float32
    tile : numpy.ndarray [d, TILE], float32
    n, n_dimensions : int
    width : tuple
        See `tiled`.
    out : numpy.ndarray [n_queries, TILE], float32
    """
    with_widest_vectors()
    out[: len(queries)] = 0
    for k in range(0, n_dimensions, len(width)):
        part = tile[k:]
        for i in range(len(queries)):
            query, distance = queries[i, k:], out[i]
            for j in range(n):
                total = distance[j]
                for m in range(len(width)):
                    total += abs(query[m] - part[m, j])
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
    earlier = np.zeros((QUERIES, TILE), np.float32)  # passes; stays 0 if there is only one
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
            if n_last and i % QUERIES == 0:
                _measure(queries[i : min(i + QUERIES, n_queries)], tile, n, n_last, width, earlier)
            query, distance = queries[i, n_last:], earlier[i % QUERIES]
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


@compiled
def count_among(
    tiles: Floats,
    n_stars: int,
    queries: Floats,
    starts: npt.NDArray[np.int64],
    distances: Floats,
    closer: Counts,
    within: Counts,
    width: tuple[int, ...],
) -> None:
    """Compare the distances of stars to their siblings with those to all strangers.

    Parameters
    ----------
    tiles : numpy.ndarray [n_tiles, d, TILE], float32
    n_stars : int
    queries : numpy.ndarray [n_queries, d], float32
    starts : numpy.ndarray [n_queries + 1], int64
        Where the siblings of each query begin in `distances`, and where those of the last end.
    distances : numpy.ndarray [n_counted], float32
        From queries to their siblings.
    closer, within : numpy.ndarray [n_counted], int32
        The strangers closer than each sibling, and those closer or tied, are added to them.
    width : tuple
        See `tiled`.
    """
    with_widest_vectors()
    distance = np.empty((len(queries), TILE), np.float32)
    for t in range(len(tiles)):
        n = min(TILE, n_stars - t * TILE)
        _measure(queries, tiles[t], n, tiles.shape[1], width, distance)
        for i in range(len(queries)):
            for s in range(starts[i], starts[i + 1]):
                limit = distances[s]
                n_closer = n_within = np.int32(0)
                for j in range(n):
                    n_closer += np.int32(distance[i, j] < limit)
                    n_within += np.int32(distance[i, j] <= limit)
                closer[s] += n_closer
                within[s] += n_within
    for i in range(len(queries)):
        # The star itself was counted, at distance 0, and so were all its siblings. Where the star
        # is not finite that is not so, but then its counts are not used.
        for s in range(starts[i], starts[i + 1]):
            limit = distances[s]
            closer[s] -= np.int32(limit > 0)
            within[s] -= np.int32(1)
            for other in range(starts[i], starts[i + 1]):
                closer[s] -= np.int32(distances[other] < limit)
                within[s] -= np.int32(distances[other] <= limit)
