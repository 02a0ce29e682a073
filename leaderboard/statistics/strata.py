"""The difference of two methods in bins of each label: where they differ.

Each bin of a label holds a fifth of the stars, in increasing order. The difference within a bin has
the same two-level interval as the difference over all stars, see
`starbench.leaderboard.statistics.compare`; in each resample the share is taken over the drawn stars
of the bin. With fifteen intervals side by side, a single one that barely excludes 0 means little.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from tabulate import tabulate

from starbench.leaderboard.statistics.columns import signed_points
from starbench.leaderboard.statistics.resampling import Floats, mean_over_all_seeds
from starbench.metrics import resample_pairs
from starbench.metrics.bootstrap import interval, resampled_sums

BINS = 5


@dataclass(frozen=True)
class Stratum:
    """Two methods on the stars in one bin of a label.

    Attributes
    ----------
    label : str
    lowest, highest : float
        Range of the label in the bin.
    n_stars : int
    share_a, share_b : float
        Share of the bin's stars that each method found, mean over seeds.
    low, high : float
        95 % interval of the difference.
    """

    label: str
    lowest: float
    highest: float
    n_stars: int
    share_a: float
    share_b: float
    low: float
    high: float

    @property
    def difference(self) -> float:
        """Share of the first method minus that of the second."""
        return self.share_a - self.share_b


def star_labels(
    nuisance: np.ndarray,
    composition: np.ndarray | None,
    nuisance_names: tuple[str, ...],
    elements: tuple[str, ...],
) -> dict[str, np.ndarray]:
    """Return the labels of each star by name: the nuisance factors, and [Fe/H] where known.

    Parameters
    ----------
    nuisance : numpy.ndarray [n_pairs, 2, n_nuisance]
    composition : numpy.ndarray [n_pairs, n_elements] or None
    nuisance_names, elements : tuple of str

    Returns
    -------
    dict of str to numpy.ndarray [n_pairs, 2]
    """
    labels = {name: nuisance[..., i] for i, name in enumerate(nuisance_names)}
    if composition is not None and "Fe/H" in elements:
        labels["[Fe/H]"] = np.repeat(composition[:, [elements.index("Fe/H")]], 2, axis=1)
    return labels


def strata(
    found_a: npt.NDArray[np.bool_],
    found_b: npt.NDArray[np.bool_],
    labels: Mapping[str, np.ndarray],
    n_bins: int = BINS,
) -> list[Stratum]:
    """Compare two methods within bins of each label.

    Parameters
    ----------
    found_a, found_b : numpy.ndarray [n_seeds, n_pairs, 2], bool
        Whether each star's twin ranks low enough.
    labels : mapping of str to numpy.ndarray [n_pairs, 2]
    n_bins : int
        Bins of a label; fewer where many stars share a value.

    Returns
    -------
    list of Stratum
        By label, then in increasing order.
    """
    counts = resample_pairs(found_a.shape[1])
    return [
        _stratum(name, values, inside, found_a, found_b, counts)
        for name, values in labels.items()
        for inside in _bins(values, n_bins)
    ]


def _bins(values: np.ndarray, n_bins: int) -> list[npt.NDArray[np.bool_]]:
    """Return for each bin which stars it holds [n_pairs, 2]; equal values share a bin."""
    edges = np.quantile(values, np.arange(1, n_bins) / n_bins)
    number = np.searchsorted(edges, values, side="right")
    return [number == each for each in np.unique(number)]


def _stratum(
    name: str,
    values: np.ndarray,
    inside: npt.NDArray[np.bool_],
    found_a: npt.NDArray[np.bool_],
    found_b: npt.NDArray[np.bool_],
    counts: npt.NDArray[np.int16],
) -> Stratum:
    seeds_a = len(found_a)
    # For each pair: how many of its stars are in the bin, and how many of those each seed found.
    found = np.concatenate([found_a, found_b]) & inside
    columns = np.concatenate([inside[None], found]).sum(axis=2, dtype=np.float64).T
    sums = resampled_sums(counts, columns)
    with np.errstate(invalid="ignore"):  # a resample without a star of the bin has no share
        by_seed: Floats = sums[:, 1:] / sums[:, [0]]
    draws = np.random.default_rng(0)
    low, high = interval(
        mean_over_all_seeds(by_seed[:, :seeds_a], draws)
        - mean_over_all_seeds(by_seed[:, seeds_a:], draws)
    )
    share_a, share_b = (float(each[:, inside].mean()) for each in (found_a, found_b))
    of_bin = values[inside]
    return Stratum(
        name, float(of_bin.min()), float(of_bin.max()), of_bin.size, share_a, share_b, low, high
    )


def strata_table(bins: list[Stratum]) -> str:
    """Return the bins as a table for the terminal, with each label's largest difference marked."""
    largest: dict[str, Stratum] = {}
    for stratum in bins:
        most = largest.get(stratum.label)
        if most is None or abs(stratum.difference) > abs(most.difference):
            largest[stratum.label] = stratum
    lines = [
        [
            stratum.label,
            _range(stratum.lowest, stratum.highest),
            f"{stratum.n_stars:,}",
            f"{100 * stratum.share_a:.1f}",
            f"{100 * stratum.share_b:.1f}",
            signed_points(stratum.difference, 1),
            f"{signed_points(stratum.low, 1)} to {signed_points(stratum.high, 1)}",
            "<" if largest[stratum.label] is stratum else "",
        ]
        for stratum in bins
    ]
    headers = ["Label", "From-to", "Stars", "A [%]", "B [%]", "A - B", "95 %", ""]
    align = ["left", *["right"] * 6, "left"]
    return tabulate(lines, headers=headers, colalign=align, disable_numparse=True)


def _range(low: float, high: float) -> str:
    digits = 0 if max(abs(low), abs(high)) >= 100 else 2
    return f"{low:.{digits}f} to {high:.{digits}f}"
