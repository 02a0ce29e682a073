"""The twin ranking's kernel of starbench 0.1.0, to compare with; its tiles fit the cache as well.

It adds four dimensions a pass to sums in memory and counts in 64 bits; today's kernel,
`starbench.metrics._l1`, keeps sums in registers, counts in 32 bits and uses wider vectors.
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
def twin_distances(rows: Floats, columns: Floats) -> Floats:
    """Return each star's distance to its twin [n_stars], float32; stars 2k and 2k + 1 are twins."""
    result = np.empty(len(rows), np.float32)
    for star in range(len(rows)):
        twin = star ^ 1
        l1_distances(rows[star], columns, twin, twin + 1, result[star : star + 1])
    return result


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


def rank_first(latent: Floats) -> npt.NDArray[np.int64]:
    """Return the rank of every star's twin [n_stars] on one thread; latents must be finite."""
    rows = np.ascontiguousarray(latent.reshape(-1, latent.shape[2]))
    columns = np.ascontiguousarray(rows.T)
    _, within = count_closer(rows, columns, twin_distances(rows, columns), 0, 1)
    return 1 + within.astype(np.int64)
