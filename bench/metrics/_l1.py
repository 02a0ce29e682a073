"""The compiled kernel of the twin ranking: L1 distances, tile by tile, compared with thresholds.

It is a separate module because importing numba takes half a second, which only rankings need.

Three things make the kernel fast without changing a bit of a distance:

- Latents are stored with stars along the fast axis, so that the inner loop runs over candidates and
  vectorises, while every distance still adds its terms in the order of the dimensions. `fastmath`
  would let the compiler reorder that sum, differently for different callers, and a twin could miss
  its own threshold by a unit in the last place.
- |a - b| = |b - a| exactly, so one distance serves both stars, and only tiles on and above the
  diagonal are visited.
- A tile of candidates stays in the first-level cache while a tile of queries passes over it.
"""

import numpy as np
import numpy.typing as npt

from starbench.common.compilation import compiled

# Stars in a tile. Even, so that a tile holds both twins, and only tiles on the diagonal hold pairs.
TILE = 512

Floats = npt.NDArray[np.float32]
Counts = npt.NDArray[np.int32]


@compiled
def l1_distances(query: Floats, columns: Floats, start: int, stop: int, distance: Floats) -> None:
    """Write the L1 distances from one star to stars `start` to `stop` into the head of `distance`.

    Parameters
    ----------
    query : numpy.ndarray [d], float32
    columns : numpy.ndarray [d, n_stars], float32
        Latents of all stars, transposed.
    start, stop : int
    distance : numpy.ndarray [>= stop - start], float32
    """
    n = stop - start
    value, column = query[0], columns[0, start:stop]
    for j in range(n):
        distance[j] = abs(value - column[j])
    # Four dimensions a pass save three of four loads and stores of the running sum; the
    # parentheses keep its order.
    k = 1
    while k + 4 <= len(query):
        a, b, c, d = query[k], query[k + 1], query[k + 2], query[k + 3]
        column_a, column_b = columns[k, start:stop], columns[k + 1, start:stop]
        column_c, column_d = columns[k + 2, start:stop], columns[k + 3, start:stop]
        for j in range(n):
            distance[j] = (
                ((distance[j] + abs(a - column_a[j])) + abs(b - column_b[j])) + abs(c - column_c[j])
            ) + abs(d - column_d[j])
        k += 4
    while k < len(query):
        value, column = query[k], columns[k, start:stop]
        for j in range(n):
            distance[j] += abs(value - column[j])
        k += 1


@compiled
def _below(distance: Floats, threshold: float) -> tuple[int, int]:
    """Count the distances below one threshold, and those below or equal."""
    closer = within = 0
    for j in range(len(distance)):
        closer += distance[j] < threshold
        within += distance[j] <= threshold
    return closer, within


@compiled
def _add_below(distance: Floats, thresholds: Floats, closer: Counts, within: Counts) -> None:
    """Add 1 for each star whose own threshold a distance falls below, and for below or equal."""
    for j in range(len(distance)):
        closer[j] += distance[j] < thresholds[j]
        within[j] += distance[j] <= thresholds[j]


@compiled
def count_closer(
    rows: Floats, columns: Floats, thresholds: Floats, first: int, step: int
) -> tuple[Counts, Counts]:
    """Count for each star the strangers closer than its threshold, and those closer or tied.

    Rows of tiles `first`, `first + step`, ... of the triangle are visited, so that `step` workers
    share it evenly; the counts of all workers are added up.

    Parameters
    ----------
    rows : numpy.ndarray [n_stars, d], float32
        Latents; stars 2k and 2k + 1 are twins, which are not counted for each other.
    columns : numpy.ndarray [d, n_stars], float32
        The same transposed.
    thresholds : numpy.ndarray [n_stars], float32
    first, step : int

    Returns
    -------
    closer, within : numpy.ndarray [n_stars], int32
    """
    n_stars = len(rows)
    closer, within = np.zeros(n_stars, np.int32), np.zeros(n_stars, np.int32)
    buffer = np.empty(TILE, np.float32)
    for queries in range(first * TILE, n_stars, step * TILE):
        end_of_queries = min(queries + TILE, n_stars)
        for start in range(queries, n_stars, TILE):
            stop = min(start + TILE, n_stars)
            distance = buffer[: stop - start]
            for star in range(queries, end_of_queries):
                threshold = thresholds[star]
                l1_distances(rows[star], columns, start, stop, distance)
                if start == queries:
                    # On the diagonal every star is a query once: count one way only.
                    pair = star - star % 2 - start
                    closer_before, within_before = _below(distance[:pair], threshold)
                    closer_after, within_after = _below(distance[pair + 2 :], threshold)
                    closer[star] += closer_before + closer_after
                    within[star] += within_before + within_after
                else:
                    n_closer, n_within = _below(distance, threshold)
                    closer[star] += n_closer
                    within[star] += n_within
                    _add_below(
                        distance, thresholds[start:stop], closer[start:stop], within[start:stop]
                    )
    return closer, within
