"""Exact ranks of twins by a distance that allows for the uncertainty of every star.

Stars are distributed as y ~ N(0, I), and star j is measured as x_j = y_j + e_j, e_j ~ N(0, C_j).
The posterior of star q is N(m_q, V_q). If j is q's twin, x_j ~ N(m_q, V_q + C_j); if it is any
star, x_j ~ N(0, I + C_j). The distance is minus twice the logarithm of the two densities' ratio,

    D(q, j) = (x_j - m_q)^T (V_q + C_j)^-1 (x_j - m_q) + ln|V_q + C_j|
              - x_j^T (I + C_j)^-1 x_j - ln|I + C_j|.

V_q + C_j = L diag(p) L^T is factorised row by row, and most pairs can be excluded after a few rows.
After k rows

    D(q, j) >= sum_{i<=k} (z_i^2 / p_i + ln p_i) + R_k - (terms of j alone),    L z = x_j - m_q,

as the further z_i^2 / p_i are not negative, and R_k bounds the further ln p_i from below: the Schur
complement of a sum is at least the sum of the Schur complements, and by Minkowski
|A + B|^(1/n) >= |A|^(1/n) + |B|^(1/n), so with the pivots v and c of V_q and C_j

    R_k = (d - k) ln( (prod_{i>k} v_i)^(1/(d-k)) + (prod_{i>k} c_i)^(1/(d-k)) ).

A pair whose bound exceeds the twin's distance is farther than the twin, so the counts are exact.
The module is imported only to rank twins, because numba takes half a second to load.
"""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch

from starbench.common.compilation import compiled

_ROWS_BETWEEN_BOUNDS = 2  # a bound costs two logarithms, about as much as a row
_TILE = 256  # candidates that stay in the cache while a worker's queries pass over them


def packed_with_pivot_means(covariance: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Pack symmetric matrices, and return the geometric means of their last pivots.

    Parameters
    ----------
    covariance : numpy.ndarray [n, d, d], float64
        Positive definite.

    Returns
    -------
    packed : numpy.ndarray [n, d (d + 1) / 2]
        Lower triangles, row by row.
    pivot_means : numpy.ndarray [n, d + 1]
        ``pivot_means[:, k]`` is the geometric mean of the pivots from `k` on; 1 for none.
    """
    d = covariance.shape[-1]
    logarithms = 2 * np.log(np.diagonal(np.linalg.cholesky(covariance), axis1=1, axis2=2))
    sums = np.cumsum(logarithms[:, ::-1], axis=1)[:, ::-1]
    pivot_means = np.ones((len(covariance), d + 1))
    pivot_means[:, :d] = np.exp(sums / np.arange(d, 0, -1))
    rows, columns = np.tril_indices(d)
    return np.ascontiguousarray(covariance[:, rows, columns]), pivot_means


@compiled
def _distance(
    mean: np.ndarray,
    spread: np.ndarray,
    spread_pivots: np.ndarray,
    x: np.ndarray,
    error: np.ndarray,
    error_pivots: np.ndarray,
    alone: float,
    limit: float,
    work: np.ndarray,
) -> float:
    """Return D(q, j), or infinity if it exceeds `limit`.

    Parameters
    ----------
    mean, spread, spread_pivots
        Of the query: m_q [d], V_q packed, and its `pivot_means`.
    x, error, error_pivots, alone
        Of the candidate: x_j [d], C_j packed, its `pivot_means`, and the terms of j alone.
    limit : float
    work : numpy.ndarray [d (d + 1) / 2 + 3 d]
        Memory for L, p, z and a row.
    """
    d = len(mean)
    factor = work[: d * (d + 1) // 2]
    vectors = work[len(factor) :]
    pivots, z, row = vectors[:d], vectors[d : 2 * d], vectors[2 * d :]
    total, determinant = -alone, 1.0
    start = 0
    for k in range(d):
        pivot = spread[start + k] + error[start + k]
        residual = x[k] - mean[k]
        below = 0
        for m in range(k):
            value = spread[start + m] + error[start + m]
            for p in range(m):
                value -= row[p] * factor[below + p]
            below += m + 1
            row[m] = value
            scaled = value / pivots[m]
            factor[start + m] = scaled
            pivot -= value * scaled
            residual -= scaled * z[m]
        start += k + 1
        pivots[k], z[k] = pivot, residual
        total += residual * residual / pivot
        determinant *= pivot
        left = d - 1 - k
        if left and k % _ROWS_BETWEEN_BOUNDS == 0:
            unseen = left * np.log(spread_pivots[k + 1] + error_pivots[k + 1])
            if total + np.log(determinant) + unseen > limit:
                return np.inf
    distance: float = total + np.log(determinant)
    return distance


@compiled
def _count(
    mean: np.ndarray,
    spread: np.ndarray,
    spread_pivots: np.ndarray,
    x: np.ndarray,
    error: np.ndarray,
    error_pivots: np.ndarray,
    alone: np.ndarray,
    not_finite: np.ndarray,
    group: np.ndarray,
    query: np.ndarray,
    sibling: np.ndarray,
    first: int,
    step: int,
) -> tuple[np.ndarray, np.ndarray]:
    """Count strangers closer than each sibling of every `step`-th query, and those closer or tied.

    `query` is in rising order.
    """
    n, d = mean.shape
    m = len(query)
    closer, not_farther = np.zeros(m, np.int64), np.zeros(m, np.int64)
    work = np.empty(d * (d + 1) // 2 + 3 * d)
    distances = np.full(m, np.inf)
    starts = [k for k in range(m) if k == 0 or query[k] != query[k - 1]]
    starts.append(m)
    own = list(range(first, len(starts) - 1, step))
    for i in own:
        q = query[starts[i]]
        for k in range(starts[i], starts[i + 1]):
            s = sibling[k]
            if not not_finite[q] and not not_finite[s]:
                distances[k] = _distance(
                    mean[q], spread[q], spread_pivots[q],
                    x[s], error[s], error_pivots[s], alone[s], np.inf, work,
                )  # fmt: skip
    for start in range(0, n, _TILE):
        for i in own:
            low, high = starts[i], starts[i + 1]
            q = query[low]
            if not_finite[q]:
                continue
            farthest = distances[low:high].max()
            limit = farthest + 1e-9 * (1 + abs(farthest))  # allows for the rounding of bounds
            for j in range(start, min(start + _TILE, n)):
                if group[j] == group[q]:
                    continue
                distance = np.inf
                if not not_finite[j]:
                    distance = _distance(
                        mean[q], spread[q], spread_pivots[q],
                        x[j], error[j], error_pivots[j], alone[j], limit, work,
                    )  # fmt: skip
                for k in range(low, high):
                    closer[k] += distance < distances[k]
                    not_farther[k] += distance <= distances[k]
    return closer, not_farther


def matched_ranks(estimate: np.ndarray, information: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rank every star's twin by D, in time proportional to n^2 and memory to n d^2.

    Parameters
    ----------
    estimate : numpy.ndarray [n, d], float64
        Posterior means m of the stars, twins in successive rows. A star whose mean is not finite
        is infinitely far from all others; its twin and it rank last.
    information : numpy.ndarray [n, d, d], float64
        Inverses of C, positive definite.

    Returns
    -------
    rank, tied : numpy.ndarray [n / 2, 2], int64
        Rank of each star's twin among all stars but itself, from 1, ties counted against it; and
        the number of strangers at exactly the twin's distance.
    """
    stars = np.arange(len(estimate))
    rank, tied = matched_sibling_ranks(estimate, information, stars // 2, stars, stars ^ 1)
    return rank.reshape(-1, 2), tied.reshape(-1, 2)


def matched_sibling_ranks(
    estimate: np.ndarray,
    information: np.ndarray,
    group: np.ndarray,
    query: np.ndarray,
    sibling: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Rank siblings by D among the strangers of each star, the stars of other groups.

    Parameters
    ----------
    estimate : numpy.ndarray [n, d], float64
        As for `matched_ranks`, in any order.
    information : numpy.ndarray [n, d, d], float64
    group : numpy.ndarray [n], int64
    query, sibling : numpy.ndarray [n_ordered], int64
        The ordered pairs of siblings, by rising query.

    Returns
    -------
    rank, tied : numpy.ndarray [n_ordered], int64
        As in `starbench.metrics.SiblingRanks`.
    """
    arrays = _prepared(estimate, information)
    not_finite = arrays[-1]
    workers = max(1, min(torch.get_num_threads(), len(query)))
    pairs = (np.ascontiguousarray(group), query, sibling)
    with ThreadPoolExecutor(workers) as pool:
        counts = list(
            pool.map(lambda first: _count(*arrays, *pairs, first, workers),
                     range(workers))
        )  # fmt: skip
    closer, not_farther = (np.sum(part, axis=0) for part in zip(*counts, strict=True))
    _, inverse, members = np.unique(group, return_inverse=True, return_counts=True)
    last = not_finite[query]
    not_farther[last] = len(estimate) - members[inverse][query[last]]
    closer[last] = 0
    return 1 + not_farther, not_farther - closer


def _prepared(
    estimate: np.ndarray, information: np.ndarray
) -> tuple[
    np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray
]:
    """Return what the counts need of each star: m, V, x, C, its own terms, whether it is finite."""
    not_finite = ~np.isfinite(estimate).all(axis=1)
    mean = np.where(not_finite[:, None], 0.0, estimate)
    unit = np.eye(mean.shape[1])
    error = np.linalg.inv(information)
    error = (error + error.transpose(0, 2, 1)) / 2
    spread = np.linalg.inv(information + unit)
    x = mean + np.einsum("nij,nj->ni", error, mean)  # m = V C^-1 x, so x = m + C m
    # x^T (I + C)^-1 x = x^T m
    alone = np.einsum("ni,ni->n", x, mean) + np.linalg.slogdet(error + unit)[1]
    return (
        mean,
        *packed_with_pivot_means(spread),
        x,
        *packed_with_pivot_means(error),
        alone,
        not_finite,
    )
