"""The definition of each metric: meaning, version, direction, bounds and tolerance, in one place.

A metric's version is raised whenever its definition, or the code behind it, changes what it
measures; estimates of different versions never share a table.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Estimate:
    """A metric's value on a sample of stars, with its confidence interval.

    Attributes
    ----------
    value : float
    low, high : float
        95 % interval from a bootstrap over pairs.
    version : int
        Version of the metric's definition.
    """

    value: float
    low: float
    high: float
    version: int


@dataclass(frozen=True)
class Tolerance:
    """The allowed difference of a metric when a run is repeated on another kind of machine.

    Attributes
    ----------
    allowed : callable
        Takes the repeated value and returns the largest allowed absolute difference from it.
    meaning : str
        The same in words.
    """

    allowed: Callable[[float], float]
    meaning: str


# Another machine rounds sums differently, and training amplifies that until the run is like one of
# another seed. So the tolerances cover the spread over seeds: shares scatter by 0.003 to 0.04 times
# sqrt(p (1 - p)), squared errors by 2 to 10 %, R^2 by up to 0.05.
_SHARE = Tolerance(
    lambda p: max(0.001, 0.05 * math.sqrt(max(p * (1 - p), 0.0))),
    "0.05 sqrt(p (1 - p)), and at least 0.001",
)
_SQUARED_ERROR = Tolerance(lambda value: 0.2 * abs(value), "20 %")
_R_SQUARED = Tolerance(lambda value: 0.05, "0.05")


@dataclass(frozen=True)
class Metric:
    """The definition of a metric.

    Attributes
    ----------
    label : str
        Short title for tables and figures.
    definition : str
        One sentence.
    version : int
    higher_is_better : bool
    unit : str
        Empty for a dimensionless number.
    low, high : float
        Bounds of the possible values.
    tolerance : Tolerance
    later : bool
        Whether it came after the first release, so that older rows lack it.
    """

    label: str
    definition: str
    version: int
    higher_is_better: bool
    unit: str
    low: float
    high: float
    tolerance: Tolerance
    later: bool = False


def _share(
    label: str,
    definition: str,
    *,
    higher_is_better: bool = True,
    unit: str = "share of stars",
    later: bool = False,
) -> Metric:
    return Metric(label, definition, 1, higher_is_better, unit, 0.0, 1.0, _SHARE, later)


def _rank(label: str, definition: str, *, higher_is_better: bool) -> Metric:
    return Metric(label, definition, 1, higher_is_better, "", 0.0, 1.0, _SHARE)


def _squared_error(label: str, definition: str, low: float = 0.0) -> Metric:
    return Metric(label, definition, 1, False, "flux^2", low, math.inf, _SQUARED_ERROR)


def _r_squared(
    label: str, definition: str, *, higher_is_better: bool, later: bool = False
) -> Metric:
    # A held-out R^2 has no lower bound.
    return Metric(label, definition, 1, higher_is_better, "", -math.inf, 1.0, _R_SQUARED, later)


SHARES = ("doppelganger_free", "doppelganger_0.1", "doppelganger_1")
"""The shares of stars whose twin is found, each at most as large as the next."""

METRICS: dict[str, Metric] = {
    "doppelganger_free": _share(
        "Nearest",
        "Share of stars whose twin is strictly closer than every other star (rank 1).",
    ),
    "doppelganger_0.1": _share(
        "Within 0.1 %",
        "Share of stars whose twin ranks within the nearest 0.1 % of the stars, "
        "or is the nearest if that is less than one star.",
    ),
    "doppelganger_1": _share(
        "Within 1 %",
        "Share of stars whose twin ranks within the nearest 1 % of the stars, "
        "or is the nearest if that is less than one star.",
    ),
    "median_normalised_rank": _rank(
        "Median normalised rank",
        "Median over stars of (rank - 1) / (2 n_pairs - 2): 0 for the nearest, 1 for the last, "
        "0.5 by chance.",
        higher_is_better=False,
    ),
    "mean_reciprocal_rank": _rank(
        "Mean reciprocal rank", "Mean over stars of 1 / rank.", higher_is_better=True
    ),
    "tied_share": _share(
        "Tied",
        "Share of stars with at least one other star exactly as far as the twin.",
        higher_is_better=False,
    ),
    "alike_field_pairs": _share(
        "Field pairs alike",
        "Share of random pairs of field stars whose latents are as near as those of the median "
        "pair of siblings; surveys only.",
        higher_is_better=False,
        unit="share of pairs",
        later=True,
    ),
    "alike_field_pairs.bin": _share(
        "Field pairs alike, by nuisance difference",
        "alike_field_pairs among the pairs whose nuisances differ as much as those of a quarter of "
        "the siblings: 1 the most alike quarter, 4 the least.",
        higher_is_better=False,
        unit="share of pairs",
        later=True,
    ),
    "reconstruction_mse": _squared_error(
        "MSE",
        "Mean over stars and pixels of the squared error of the flux decoded from a star's own "
        "latent and nuisance.",
    ),
    "swapped_reconstruction_mse": _squared_error(
        "Swapped MSE",
        "Mean over stars and pixels of the squared error of the flux decoded from the twin's "
        "latent and the star's own nuisance.",
    ),
    "swap_gap": _squared_error(
        "Swap gap", "swapped_reconstruction_mse minus reconstruction_mse.", low=-math.inf
    ),
    "swapped_reconstruction_mse_large_shift": _squared_error(
        "Swapped MSE, large shift",
        "swapped_reconstruction_mse over the pairs whose effective temperatures differ by more "
        "than 500 K.",
    ),
    "nuisance_leakage.ridge": _r_squared(
        "Nuisance leakage (ridge)",
        "Held-out R^2 of a nuisance factor predicted from the latent by ridge regression.",
        higher_is_better=False,
    ),
    "nuisance_leakage.mlp": _r_squared(
        "Nuisance leakage",
        "Held-out R^2 of a nuisance factor predicted from the latent by a small neural network; "
        "absent below 320 training pairs, too few for it.",
        higher_is_better=False,
    ),
    "conditional_leakage.ridge": _r_squared(
        "Conditional leakage (ridge)",
        "Held-out R^2 of what the composition leaves of a nuisance factor, predicted from the "
        "latent by ridge regression; absent where the composition is unknown or determines the "
        "factor.",
        higher_is_better=False,
        later=True,
    ),
    "conditional_leakage.mlp": _r_squared(
        "Conditional leakage",
        "Held-out R^2 of what the composition leaves of a nuisance factor, predicted from the last "
        "hidden layers of the networks that predict nuisance and composition from the latent; "
        "absent where that by ridge regression is, and below 320 training pairs.",
        higher_is_better=False,
        later=True,
    ),
    "explained_twin_distance": _r_squared(
        "Explained twin distance",
        "Share of the variance of the L1 distance between twins' latents that a function of both "
        "stars' nuisance explains, held out.",
        higher_is_better=False,
        later=True,
    ),
    "composition_recovery.ridge": _r_squared(
        "Composition recovery (ridge)",
        "Held-out R^2 of an abundance predicted from the latent by ridge regression.",
        higher_is_better=True,
    ),
    "composition_recovery.mlp": _r_squared(
        "Composition recovery",
        "Held-out R^2 of an abundance predicted from the latent by a small neural network; "
        "absent below 320 training pairs, too few for it.",
        higher_is_better=True,
    ),
}
"""Every metric by name.

Those of the probes (``.ridge`` and ``.mlp``) are families: the name of an estimate adds the
predicted quantity, as in ``nuisance_leakage.ridge.Teff``.
"""


def metric(name: str) -> Metric:
    """Return the definition of an estimate's metric, by the estimate's name.

    Parameters
    ----------
    name : str

    Returns
    -------
    Metric

    Raises
    ------
    KeyError
        If there is no such metric.

    Examples
    --------
    >>> metric("doppelganger_0.1").higher_is_better
    True
    >>> metric("nuisance_leakage.ridge.Teff").higher_is_better
    False
    """
    metric_name = family(name)
    if metric_name in METRICS and (name == metric_name or name.startswith(f"{metric_name}.")):
        return METRICS[metric_name]
    raise KeyError(name)


def family(name: str) -> str:
    """Return the key of an estimate's metric in `METRICS`: its own name or that of its family.

    Examples
    --------
    >>> family("doppelganger_0.1"), family("nuisance_leakage.ridge.Teff")
    ('doppelganger_0.1', 'nuisance_leakage.ridge')
    """
    # The names of abundances and of a user's nuisances may themselves hold dots.
    return name if name in METRICS else ".".join(name.split(".", 2)[:2])
