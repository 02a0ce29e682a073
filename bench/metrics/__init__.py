"""Metrics: pure functions from arrays to numbers, without files or other I/O.

Arrays have the pairs first: ``[n_pairs, 2, ...]``. `METRICS` defines each metric; the functions
``*_estimates`` return an `Estimate` by name, with an interval from one bootstrap over pairs.
"""

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
from starbench.metrics.ranking import Ranking, TwinRanks, twin_ranks
from starbench.metrics.reconstruction import per_star_mse, reconstruction_estimates
from starbench.metrics.recovery import recovery_estimates
from starbench.metrics.twin_distance import twin_distance_estimates

__all__ = [
    "METRICS",
    "SHARES",
    "Estimate",
    "Metric",
    "ProbeInputs",
    "Probed",
    "Ranking",
    "Tolerance",
    "TwinRanks",
    "conditional_estimates",
    "family",
    "metric",
    "per_star_mse",
    "probe_estimates",
    "reconstruction_estimates",
    "recovery_estimates",
    "resample_pairs",
    "twin_distance_estimates",
    "twin_ranks",
]
