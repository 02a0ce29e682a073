"""Intervals, ranks and verdicts of all methods on the leaderboard, from the ranks of their stars.

The pairs of all methods of a section are resampled together.
Metrics that do not follow from per-star ranks, such as mean squared errors, are not judged.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from starbench.common.progress import stage
from starbench.leaderboard.statistics.aggregate import RANKED_BY, Section
from starbench.leaderboard.statistics.compare import ranks_of
from starbench.leaderboard.statistics.resampling import (
    found_shares,
    resample_all,
    share_interval,
)
from starbench.leaderboard.statistics.verdict import Verdict, verdict


@dataclass(frozen=True)
class Judgement:
    """Intervals, ranks and verdicts of all methods.

    Attributes
    ----------
    intervals : dict of str to (float, float)
        By `Group.key`: the 95 % interval of the mean share of nearest twins over seeds, of every
        scored group, controls included.
    ranks : dict of str to int
        By `Group.key`; see `starbench.leaderboard.statistics.verdict.Verdict.ranks`. Controls,
        superseded versions, groups with submitted rows, groups with fewer than three scored seeds
        and groups of which more runs diverged than were scored have none.
    verdicts : dict of str to dict of str to Verdict
        By label access and task, from the newest section with a competing method.
    """

    intervals: dict[str, tuple[float, float]] = field(default_factory=dict)
    ranks: dict[str, int] = field(default_factory=dict)
    verdicts: dict[str, dict[str, Verdict]] = field(default_factory=dict)


def judge(judged_sections: Sequence[Section]) -> Judgement:
    """Judge the methods of each section among themselves.

    Parameters
    ----------
    judged_sections : sequence of Section
        As `starbench.leaderboard.statistics.aggregate.sections` sorts them, the newest first.
    """
    judged = Judgement()
    for section in stage("compare methods", judged_sections, unit="track"):
        groups = [group for group in section.groups if group.entries]
        found = [found_shares(of_seeds, RANKED_BY) for of_seeds in ranks_of(groups)]
        by_key = dict(zip((group.key for group in groups), resample_all(found), strict=True))
        judged.intervals.update((key, share_interval(share)) for key, share in by_key.items())
        for access in dict.fromkeys(group.row.label_access for group in groups):
            decided = verdict(section, access, by_key)
            if decided is not None:
                judged.verdicts.setdefault(access, {}).setdefault(section.task, decided)
                for group, rank in zip(decided.groups, decided.ranks, strict=True):
                    judged.ranks[group.key] = rank
    return judged
