"""The difference of two methods on the same stars, with its 95 % interval.

Each method's share is resampled as `starbench.leaderboard.statistics.resampling` describes: pairs
once for both methods, so that what makes a pair hard for both cancels; seeds independently. (The
difference of two means with unequal variances: Behrens and Fisher; Box & Tiao 1973, Bayesian
Inference in Statistical Analysis, section 2.5.)

Where methods differ on fewer than ten pairs the bootstrap interval is too narrow, and an exact sign
test must confirm the difference.

Most of the time goes into summing each method's pairs over the resamples. `resample_all` does that
once for all methods of a table, which `pairwise` then compares with each other.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from starbench.leaderboard.statistics.aggregate import Group, sections
from starbench.leaderboard.statistics.resampling import (
    TAILS,
    Floats,
    OfSeeds,
    Resampled,
    found_shares,
    mean_over_all_seeds,
    resample,
)
from starbench.leaderboard.store.board import Entry, ranks_beside
from starbench.metrics.bootstrap import interval, sign_test
from starbench.results.ranks import read_ranks
from starbench.results.text import RowError, printable

_FEW_PAIRS = 10  # pairs; with more the bootstrap and the sign test agree


@dataclass(frozen=True)
class Comparison:
    """The difference of two methods' shares.

    Attributes
    ----------
    share_a, share_b : float
        Mean over seeds.
    difference : float
        Of the first method minus the second.
    low, high : float
        95 % interval of the difference.
    seeds_a, seeds_b : int
    """

    share_a: float
    share_b: float
    difference: float
    low: float
    high: float
    seeds_a: int
    seeds_b: int

    @property
    def separable(self) -> bool:
        """Whether the difference is significant: its interval excludes zero."""
        return self.low > 0 or self.high < 0


def compare_resampled(a: Resampled, b: Resampled) -> Comparison:
    """Compare two methods by their shares in the same resamples of the same pairs.

    Where fewer than ten pairs differ, the interval is widened to include 0 unless an exact sign
    test, too, is significant.
    """
    draws = np.random.default_rng(0)
    low, high = interval(
        mean_over_all_seeds(a.by_seed, draws) - mean_over_all_seeds(b.by_seed, draws)
    )
    better, worse = (
        int((x > y).sum()) for x, y in ((a.by_pair, b.by_pair), (b.by_pair, a.by_pair))
    )
    if better + worse < _FEW_PAIRS and sign_test(better, worse) > TAILS:
        low, high = min(low, 0.0), max(high, 0.0)
    return Comparison(
        a.share, b.share, a.share - b.share, low, high, a.by_seed.shape[1], b.by_seed.shape[1]
    )


def compare_shares(found_a: Floats, found_b: Floats) -> Comparison:
    """Compare two methods.

    Parameters
    ----------
    found_a, found_b : numpy.ndarray [n_seeds, n_pairs]
        Fraction of each pair's stars that the method found, of the same pairs.

    Returns
    -------
    Comparison
    """
    return compare_resampled(resample(found_a), resample(found_b))


def pairwise(methods: Sequence[Resampled]) -> dict[tuple[int, int], Comparison]:
    """Compare every two methods.

    Parameters
    ----------
    methods : sequence of Resampled

    Returns
    -------
    dict of (int, int) to Comparison
        By the two positions in `methods`, the earlier first.
    """
    return {
        (i, j): compare_resampled(methods[i], methods[j])
        for i, j in combinations(range(len(methods)), 2)
    }


def ranks_of(groups: Sequence[Group]) -> list[OfSeeds]:
    """Return the ranks of groups that were scored on the same stars, read unless entries have them.

    Returns
    -------
    list of OfSeeds
        One for each group.

    Raises
    ------
    RowError
        If ranks are missing, or differ in their number of pairs.
    """
    ranks = [
        [entry.ranks or read_ranks(ranks_beside(entry.path)) for entry in group.entries]
        for group in groups
    ]
    counts = Counter(len(each.rank) for of_group in ranks for each in of_group)
    expected = max(counts, key=lambda n_pairs: (counts[n_pairs], n_pairs), default=0)
    for group, of_group in zip(groups, ranks, strict=True):
        for entry, each in zip(group.entries, of_group, strict=True):
            if len(each.rank) != expected:
                raise RowError(
                    f"{printable(entry.path)}: the ranks are of {len(each.rank):,} pairs, but "
                    f"those of other rows of this task are of {expected:,}; remove the row"
                )
    return [
        of_group
        if any(each.group is not None for each in of_group)
        else np.stack([each.rank for each in of_group])
        for of_group in ranks
    ]


def choose(entries: Sequence[Entry], a: str, b: str, task: str) -> tuple[Group, Group]:
    """Return the groups of two methods, which must have been scored on the same stars.

    Of several versions of the task, it is the newest of which both methods have rows.

    Parameters
    ----------
    entries : sequence of Entry
    a, b : str
        Method names; where a method has rows of several settings, followed by the beginning of
        the settings' digest, as in ``fader@1a2b3c4d``.
    task : str

    Raises
    ------
    RowError
        If a method has no rows, or rows of several settings, or the rows are not comparable.
    """
    groups = [group for section in sections(entries) if section.task == task
              for group in section.groups if group.entries]  # fmt: skip
    by_stars: dict[tuple[int, str], list[Group]] = {}
    for group in groups:  # the newest first, as sections are sorted
        by_stars.setdefault(_stars(group), []).append(group)
    for of_stars in by_stars.values():
        if all(_fitting(of_stars, name) for name in (a, b)):
            groups = of_stars
            break
    first, second = (_pick(groups, name, task) for name in (a, b))
    for field in ("task_version", "data_fingerprint"):
        if getattr(first.row, field) != getattr(second.row, field):
            raise RowError(
                f"{a} and {b} differ in `{field}`, so they were scored on different stars; "
                "run one of them again"
            )
    return first, second


def compare_ranks(ranks_a: OfSeeds, ranks_b: OfSeeds, metric: str) -> Comparison:
    """Compare two methods by the ranks of their seeds."""
    return compare_shares(found_shares(ranks_a, metric), found_shares(ranks_b, metric))


def _stars(group: Group) -> tuple[int, str]:
    """Return what tells the stars on which a group was scored from those of other versions."""
    return group.row.task_version, group.row.data_fingerprint


def _fitting(groups: list[Group], name: str) -> list[Group]:
    """Return the groups of a method's name, which may be followed by a digest of settings."""
    method, _, digest = name.partition("@")
    return [
        group
        for group in groups
        if group.row.method == method and group.row.settings_digest.startswith(digest)
    ]


def _pick(groups: list[Group], name: str, task: str) -> Group:
    method, _, digest = name.partition("@")
    fitting = _fitting(groups, name)
    if not fitting:
        methods = sorted({group.row.method for group in groups})
        raise RowError(
            f"the leaderboard has no rows of {name} on {task}; choose from {', '.join(methods)}"
            if methods
            else f"the leaderboard has no rows on {task}; choose another --task"
        )
    fitting = [group for group in fitting if _stars(group) == _stars(fitting[0])]
    if not digest:  # a name alone is that of the newest version
        newest = max(group.row.method_version for group in fitting)
        fitting = [group for group in fitting if group.row.method_version == newest]
    if len(fitting) > 1:
        choices = ", ".join(f"{method}@{group.row.settings_digest[:8]}" for group in fitting)
        raise RowError(f"{name} has rows of several settings on {task}; choose from {choices}")
    return fitting[0]
