"""Metrics: pure functions from arrays to numbers, without files or other I/O.

Arrays have the pairs first: ``[n_pairs, 2, ...]``. `METRICS` defines each metric; the functions
``*_estimates`` return an `Estimate` by name, with an interval from one bootstrap over pairs.
"""

from starbench.metrics.bootstrap import resample_pairs
from starbench.metrics.definitions import (
    METRICS,
    SHARES,
    Estimate,
    Metric,
    Tolerance,
    family,
    metric,
)
from starbench.metrics.probes import ProbeInputs, probe_estimates
from starbench.metrics.ranking import Ranking, TwinRanks, twin_ranks
from starbench.metrics.reconstruction import per_star_mse, reconstruction_estimates
from starbench.metrics.recovery import recovery_estimates

__all__ = [
    "METRICS",
    "SHARES",
    "Estimate",
    "Metric",
    "ProbeInputs",
    "Ranking",
    "Tolerance",
    "TwinRanks",
    "family",
    "metric",
    "per_star_mse",
    "probe_estimates",
    "reconstruction_estimates",
    "recovery_estimates",
    "resample_pairs",
    "twin_ranks",
]
