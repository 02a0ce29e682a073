"""How many random pairs of field stars are as alike as siblings.

Stars of the field are born apart, but some are as alike as stars of one cluster. With D the L1
distance of two latents, and its median over pairs of siblings in which groups weigh alike,

    alike_field_pairs = share of random pairs of field stars with D <= median D of siblings.

Ness et al. 2018, ApJ 853, 198, named such pairs doppelgangers, and de Mijolla & Ness 2022 (ApJ 926,
193) give 1.8 % by spectra and 2.3 % by abundances, for 185 stars of 22 clusters. In `siblings` the
gallery of each star decides; here one distance serves for all.

Members of a cluster may have more similar nuisances than stars of the field, and a latent that
leaks the nuisance then looks better than it is. So the share is given, too, for pairs of like
difference of nuisance: with each nuisance in units of its standard deviation over the field, four
bins of the Euclidean difference that hold a quarter of the pairs of siblings each.

The interval is that of the median: groups are resampled, and the field stays the same. A star of
the field whose latent is not finite counts as like every other.
"""

import numpy as np

from starbench.metrics.bootstrap import estimate, resample_pairs, weighted_medians
from starbench.metrics.definitions import METRICS, Estimate
from starbench.metrics.ranking import finite_rows
from starbench.metrics.siblings import OrderedPairs, ordered_pairs, pair_distances

NAME = "alike_field_pairs"
N_BINS = 4
FIELD_PAIRS = 200_000  # drawn at random where there are more
LEAST_SIBLINGS, LEAST_FIELD_PAIRS = 8, 100  # pairs, for an estimate in a bin


def alikeness_estimates(
    latent: np.ndarray,
    group: np.ndarray,
    nuisance: np.ndarray,
    *,
    counts: np.ndarray | None = None,
) -> dict[str, Estimate | None]:
    """Compute the share of field pairs that are as alike as siblings.

    Parameters
    ----------
    latent : numpy.ndarray [n_stars, d]
    group : numpy.ndarray [n_stars], integers
        Equal for siblings; a group of one is a star of the field.
    nuisance : numpy.ndarray [n_stars, n_nuisance]
    counts : numpy.ndarray [n_resamples, n_groups], int16, optional
        Bootstrap resamples of the groups of two or more, by default those of `resample_pairs`.

    Returns
    -------
    dict of str to Estimate or None
        ``alike_field_pairs``, and ``alike_field_pairs.bin.1`` to ``.4``. None with fewer than two
        stars of the field or no siblings; in a bin with fewer than `LEAST_SIBLINGS` pairs of
        siblings or `LEAST_FIELD_PAIRS` of field stars.
    """
    names = [NAME, *(f"{NAME}.bin.{number + 1}" for number in range(N_BINS))]
    estimates: dict[str, Estimate | None] = dict.fromkeys(names)
    siblings, field = _unordered(ordered_pairs(group)), field_stars(group)
    if not len(siblings) or len(field) < 2:
        return estimates
    rows, broken = finite_rows(latent)
    distance = pair_distances(rows, siblings.query, siblings.sibling)
    distance = np.where(np.isnan(distance), np.inf, distance)  # of two that are not finite
    first, second = random_pairs(field)
    field_distance = pair_distances(rows, first, second)
    field_distance[broken[first] | broken[second]] = 0
    if counts is None:
        counts = resample_pairs(int(siblings.group.max()) + 1)
    scaled = standardised(nuisance, field)
    shift, field_shift = (
        np.sqrt(((scaled[a] - scaled[b]) ** 2).sum(axis=1))
        for a, b in ((siblings.query, siblings.sibling), (first, second))
    )
    edges = np.quantile(shift, np.linspace(0, 1, N_BINS + 1))
    edges[0] = 0
    # The last bin has no upper edge, so that it also holds siblings at the edge.
    bin_of, field_bin = (
        np.searchsorted(edges[1:-1], values, side="right") for values in (shift, field_shift)
    )
    field_bin[field_shift > edges[-1]] = N_BINS  # less alike than any siblings
    for name, number in zip(names, (None, *range(N_BINS)), strict=True):
        inside = np.ones(len(shift), bool) if number is None else bin_of == number
        of_field = field_distance if number is None else field_distance[field_bin == number]
        if number is not None and (
            inside.sum() < LEAST_SIBLINGS or len(of_field) < LEAST_FIELD_PAIRS
        ):
            continue
        key = NAME if number is None else f"{NAME}.bin"
        estimates[name] = _share(
            key, distance[inside], siblings.group[inside], np.sort(of_field), counts
        )
    return estimates


def _share(
    key: str, distance: np.ndarray, group: np.ndarray, field: np.ndarray, counts: np.ndarray
) -> Estimate:
    """Return the share of the distances `field`, sorted, up to the median of siblings."""
    once = np.ones((1, counts.shape[1]), np.int16)
    medians = [weighted_medians(which, distance, group) for which in (once, counts)]
    value, resampled = (
        np.where(
            np.isnan(median),
            np.nan,
            np.searchsorted(field, median.astype(field.dtype), side="right") / len(field),
        )
        for median in medians
    )
    return estimate(METRICS[key], float(value[0]), resampled)


def field_stars(group: np.ndarray) -> np.ndarray:
    """Return the numbers [n_field] of the stars without siblings."""
    _, label, size = np.unique(group, return_inverse=True, return_counts=True)
    return np.flatnonzero(size[label] == 1)


def random_pairs(stars: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return all pairs of some stars, or `FIELD_PAIRS` of them at random, always the same."""
    n = len(stars)
    if n * (n - 1) // 2 <= FIELD_PAIRS:
        first, second = np.triu_indices(n, 1)
    else:
        draws = np.random.default_rng(0)
        first = draws.integers(n, size=FIELD_PAIRS)
        second = (first + draws.integers(1, n, size=FIELD_PAIRS)) % n
    return stars[first], stars[second]


def standardised(nuisance: np.ndarray, field: np.ndarray) -> np.ndarray:
    """Return nuisances [n_stars, n_nuisance] in units of their deviation over the field."""
    values = np.asarray(nuisance, np.float64)
    scale = values[field].std(axis=0)
    return values / np.where(scale > 0, scale, 1)


def _unordered(pairs: OrderedPairs) -> OrderedPairs:
    once = pairs.query < pairs.sibling
    return OrderedPairs(pairs.query[once], pairs.sibling[once], pairs.group[once])
