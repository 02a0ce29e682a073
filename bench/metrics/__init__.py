"""Metrics: pure functions from arrays to numbers, without input or output.

They know arrays and nothing else, pairs first: ``[n_pairs, 2, ...]``. `METRICS` says what each
figure means; the functions ``*_figures`` return `Figure` by name, each with an interval from one
bootstrap over pairs.
"""

from starbench.metrics.bootstrap import resample_pairs
from starbench.metrics.definitions import METRICS, Figure, Metric, family, metric
from starbench.metrics.probes import ProbeInputs, probe_figures
from starbench.metrics.ranking import TwinRanks, twin_ranks
from starbench.metrics.reconstruction import per_star_mse, reconstruction_figures
from starbench.metrics.recovery import recovery_figures

__all__ = [
    "METRICS",
    "Figure",
    "Metric",
    "ProbeInputs",
    "TwinRanks",
    "family",
    "metric",
    "per_star_mse",
    "probe_figures",
    "reconstruction_figures",
    "recovery_figures",
    "resample_pairs",
    "twin_ranks",
]
