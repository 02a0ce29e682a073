"""Metrics: pure functions from arrays to numbers, without files or other I/O.

Arrays have the pairs first, ``[n_pairs, 2, ...]``, or the stars of a survey with their sibling
groups, ``[n_stars, ...]`` and ``[n_stars]``. `METRICS` defines each metric; the functions
``*_estimates`` return an `Estimate` by name, with an interval from one bootstrap over pairs.
"""

from starbench.metrics.alikeness import alikeness_estimates
from starbench.metrics.bootstrap import resample_pairs
from starbench.metrics.conditional import conditional_estimates
from starbench.metrics.definitions import (
    METRICS,
    SHARES,
    Estimate,
    Metric,
    Tolerance,
    family,
    metric,
)
from starbench.metrics.probes import Probed, ProbeInputs, probe_estimates
from starbench.metrics.ranking import Counting, Ranking, TwinRanks, twin_ranks
from starbench.metrics.reconstruction import per_star_mse, reconstruction_estimates
from starbench.metrics.recovery import recovery_estimates
from starbench.metrics.siblings import (
    OrderedPairs,
    SiblingRanking,
    SiblingRanks,
    ordered_pairs,
    sibling_ranks,
)
from starbench.metrics.twin_distance import twin_distance_estimates

__all__ = [
    "METRICS",
    "SHARES",
    "Counting",
    "Estimate",
    "Metric",
    "OrderedPairs",
    "ProbeInputs",
    "Probed",
    "Ranking",
    "SiblingRanking",
    "SiblingRanks",
    "Tolerance",
    "TwinRanks",
    "alikeness_estimates",
    "conditional_estimates",
    "family",
    "metric",
    "ordered_pairs",
    "per_star_mse",
    "probe_estimates",
    "reconstruction_estimates",
    "recovery_estimates",
    "resample_pairs",
    "sibling_ranks",
    "twin_distance_estimates",
    "twin_ranks",
]
