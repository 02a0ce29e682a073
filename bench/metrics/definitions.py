"""What each metric means, in one table, and the form of a measured figure.

A metric's version is raised whenever its definition, or the code behind it, changes what it
measures; figures of different versions never share a table.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Figure:
    """A measured metric.

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
class Metric:
    """The definition of a metric.

    Attributes
    ----------
    definition : str
        One sentence.
    version : int
    higher_is_better : bool
    unit : str
        Empty for a pure number. Shares are between 0 and 1.
    """

    definition: str
    version: int
    higher_is_better: bool
    unit: str


_FLUX_SQUARED = "flux^2"

METRICS: dict[str, Metric] = {
    "doppelganger_free": Metric(
        "Share of stars whose twin is strictly closer than every stranger (rank 1).",
        1,
        True,
        "share of stars",
    ),
    "doppelganger_0.1": Metric(
        "Share of stars whose twin ranks within the nearest 0.1 % of the stars, "
        "or nearest of all where that is less than one star.",
        1,
        True,
        "share of stars",
    ),
    "doppelganger_1": Metric(
        "Share of stars whose twin ranks within the nearest 1 % of the stars, "
        "or nearest of all where that is less than one star.",
        1,
        True,
        "share of stars",
    ),
    "median_normalised_rank": Metric(
        "Median over stars of (rank - 1) / (2 n_pairs - 2): 0 for the nearest, 1 for the last, "
        "0.5 by chance.",
        1,
        False,
        "",
    ),
    "mean_reciprocal_rank": Metric("Mean over stars of 1 / rank.", 1, True, ""),
    "tied_share": Metric(
        "Share of stars with at least one stranger exactly as far as the twin.",
        1,
        False,
        "share of stars",
    ),
    "reconstruction_mse": Metric(
        "Mean over stars and pixels of the squared error of the flux decoded from a star's own "
        "latent and nuisance.",
        1,
        False,
        _FLUX_SQUARED,
    ),
    "swapped_reconstruction_mse": Metric(
        "Mean over stars and pixels of the squared error of the flux decoded from the twin's "
        "latent and the star's own nuisance.",
        1,
        False,
        _FLUX_SQUARED,
    ),
    "swap_gap": Metric(
        "swapped_reconstruction_mse less reconstruction_mse.", 1, False, _FLUX_SQUARED
    ),
    "swapped_reconstruction_mse_large_shift": Metric(
        "swapped_reconstruction_mse over the pairs whose effective temperatures differ by more "
        "than 500 K.",
        1,
        False,
        _FLUX_SQUARED,
    ),
    "nuisance_leakage.ridge": Metric(
        "Held-out R^2 of a nuisance factor predicted from the latent by ridge regression.",
        1,
        False,
        "",
    ),
    "nuisance_leakage.mlp": Metric(
        "Held-out R^2 of a nuisance factor predicted from the latent by a small neural network.",
        1,
        False,
        "",
    ),
    "composition_recovery.ridge": Metric(
        "Held-out R^2 of an abundance predicted from the latent by ridge regression.", 1, True, ""
    ),
    "composition_recovery.mlp": Metric(
        "Held-out R^2 of an abundance predicted from the latent by a small neural network.",
        1,
        True,
        "",
    ),
}
"""Every metric by name.

The last four are families: the name of a figure ends in what was predicted, such as
``nuisance_leakage.ridge.Teff``.
"""


def metric(name: str) -> Metric:
    """Return the definition of a figure by its name, families included.

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
    known = family(name)
    if known in METRICS and (name == known or name.startswith(f"{known}.")):
        return METRICS[known]
    raise KeyError(name)


def family(name: str) -> str:
    """Return the name under which `METRICS` holds a figure: its own, or that of its family.

    Examples
    --------
    >>> family("doppelganger_0.1"), family("nuisance_leakage.ridge.Teff")
    ('doppelganger_0.1', 'nuisance_leakage.ridge')
    """
    # Names of abundances and of a user's own nuisances may hold anything after the second dot.
    return name if name in METRICS else ".".join(name.split(".", 2)[:2])
