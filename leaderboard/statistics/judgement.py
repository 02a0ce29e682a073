"""What the ranks say of all methods of a leaderboard: intervals, verdicts, and who shares a rank.

Each rank file is read once, and the pairs of all methods of a section are resampled together. Only
figures that follow from per-star ranks are here. Of the others, such as a mean squared error, a row
holds no values by star, and their spread over seeds is all there is.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from starbench.leaderboard.statistics.aggregate import Group, Section
from starbench.leaderboard.statistics.compare import (
    Resampled,
    found_share,
    ranks_of,
    resample_all,
    share_interval,
)
from starbench.leaderboard.statistics.verdict import Verdict, verdict
from starbench.metrics import SHARES

RANKED_BY = "doppelganger_free"


@dataclass(frozen=True)
class Judgement:
    """What the ranks say of all methods.

    Attributes
    ----------
    intervals : dict of str to dict of str to (float, float)
        By `Group.key` and metric: the 95 % interval of the mean over seeds, with seeds as the outer
        and pairs as the inner level of the bootstrap. Of every scored group, controls included.
    ranks : dict of str to int
        By `Group.key`; see `starbench.leaderboard.statistics.verdict.Verdict.ranks`. Controls,
        superseded versions and groups that always diverged have none.
    verdicts : dict of str to dict of str to Verdict
        By label access and task: that of the newest section in which anything competes.
    """

    intervals: dict[str, dict[str, tuple[float, float]]] = field(default_factory=dict)
    ranks: dict[str, int] = field(default_factory=dict)
    verdicts: dict[str, dict[str, Verdict]] = field(default_factory=dict)


def judge(
    found: Sequence[Section], ranks: Callable[[Sequence[Group]], list[np.ndarray]] = ranks_of
) -> Judgement:
    """Judge the methods of each section among themselves.

    Parameters
    ----------
    found : sequence of Section
        As `starbench.leaderboard.statistics.aggregate.sections` sorts them, the newest first.
    ranks : callable
        From groups to the ranks of each [n_seeds, n_pairs, 2]; by default those on disk.
    """
    judged = Judgement()
    for section in found:
        groups = [group for group in section.groups if group.entries]
        resampled = _resampled(ranks(groups))
        for number, group in enumerate(groups):
            judged.intervals[group.key] = {
                metric: share_interval(methods[number]) for metric, methods in resampled.items()
            }
        compared = {
            group.key: method for group, method in zip(groups, resampled[RANKED_BY], strict=True)
        }
        for access in dict.fromkeys(group.row.label_access for group in groups):
            told = verdict(section, access, lambda group, known=compared: known[group.key])
            if told is not None:
                judged.verdicts.setdefault(access, {}).setdefault(section.task, told)
                judged.ranks.update(
                    (group.key, rank) for group, rank in zip(told.groups, told.ranks, strict=True)
                )
    return judged


def _resampled(of_groups: Sequence[np.ndarray]) -> dict[str, list[Resampled]]:
    """Resample the three shares of all groups in one go, by metric."""
    found = [
        np.stack([found_share(rank, metric) for rank in of_seeds])
        for metric in SHARES
        for of_seeds in of_groups
    ]
    methods, n_groups = resample_all(found), len(of_groups)
    return {
        metric: methods[number * n_groups : (number + 1) * n_groups]
        for number, metric in enumerate(SHARES)
    }
