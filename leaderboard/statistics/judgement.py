"""Intervals, ranks and verdicts of all methods on the leaderboard, from the ranks of their stars.

The pairs of all methods of a section are resampled together.
Metrics that do not follow from per-star ranks, such as mean squared errors, are not judged.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from starbench.common.progress import stage
from starbench.leaderboard.statistics.aggregate import Group, Section
from starbench.leaderboard.statistics.compare import ranks_of
from starbench.leaderboard.statistics.resampling import (
    OfSeeds,
    Resampled,
    found_share,
    resample_all,
    share_interval,
)
from starbench.leaderboard.statistics.verdict import Verdict, verdict
from starbench.metrics import SHARES

RANKED_BY = "doppelganger_free"


@dataclass(frozen=True)
class Judgement:
    """Intervals, ranks and verdicts of all methods.

    Attributes
    ----------
    intervals : dict of str to dict of str to (float, float)
        By `Group.key` and metric: the 95 % interval of the mean over seeds, of every scored group,
        controls included.
    ranks : dict of str to int
        By `Group.key`; see `starbench.leaderboard.statistics.verdict.Verdict.ranks`. Controls,
        superseded versions, groups with submitted rows, groups with fewer than three scored seeds
        and groups of which more runs diverged than were scored have none.
    verdicts : dict of str to dict of str to Verdict
        By label access and task, from the newest section with a competing method.
    """

    intervals: dict[str, dict[str, tuple[float, float]]] = field(default_factory=dict)
    ranks: dict[str, int] = field(default_factory=dict)
    verdicts: dict[str, dict[str, Verdict]] = field(default_factory=dict)


def judge(
    judged_sections: Sequence[Section],
    ranks: Callable[[Sequence[Group]], list[OfSeeds]] = ranks_of,
) -> Judgement:
    """Judge the methods of each section among themselves.

    Parameters
    ----------
    judged_sections : sequence of Section
        As `starbench.leaderboard.statistics.aggregate.sections` sorts them, the newest first.
    ranks : callable
        From groups to the ranks of each; by default those on disk.
    """
    judged = Judgement()
    for section in stage("compare methods", judged_sections, unit="track"):
        groups = [group for group in section.groups if group.entries]
        resampled = _resampled(ranks(groups))
        for number, group in enumerate(groups):
            judged.intervals[group.key] = {
                metric: share_interval(methods[number]) for metric, methods in resampled.items()
            }
        by_key = dict(zip((group.key for group in groups), resampled[RANKED_BY], strict=True))
        for access in dict.fromkeys(group.row.label_access for group in groups):
            decided = verdict(section, access, by_key)
            if decided is not None:
                judged.verdicts.setdefault(access, {}).setdefault(section.task, decided)
                for group, rank in zip(decided.groups, decided.ranks, strict=True):
                    judged.ranks[group.key] = rank
    return judged


def _resampled(of_groups: Sequence[OfSeeds]) -> dict[str, list[Resampled]]:
    """Resample the three shares of all groups at once; return them by metric."""
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
