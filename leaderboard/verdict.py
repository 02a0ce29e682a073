"""Which method is best on a task, and which others might be: from rows and their ranks.

The methods of one label access that compete, controls left out, are compared with each other on the
same stars by the two-level bootstrap of `starbench.leaderboard.compare`. Of a method with rows of
several versions the newest speaks for it; settings of their own are contenders of their own.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from starbench.leaderboard.aggregate import Group, Section
from starbench.leaderboard.compare import Comparison, found_by, pairwise, resample

SATURATED = 0.99  # a share of nearest twins from which on it hardly sets methods apart


@dataclass(frozen=True)
class Verdict:
    """How the competing methods of one task and label access compare.

    Attributes
    ----------
    task : str
    groups : tuple of Group
        The contenders, the highest share of nearest twins first.
    shares : tuple of float
        Of each, the mean over seeds.
    comparisons : dict of (int, int) to Comparison
        Of every two, by their places in `groups`, the better first.
    """

    task: str
    groups: tuple[Group, ...]
    shares: tuple[float, ...]
    comparisons: dict[tuple[int, int], Comparison]

    @property
    def tied(self) -> tuple[int, ...]:
        """Places of the methods that cannot be told apart from the best."""
        return tuple(
            place
            for place in range(1, len(self.groups))
            if not self.comparisons[0, place].separable
        )

    @property
    def saturated(self) -> tuple[int, ...]:
        """Places of the methods that the share hardly sets apart; none where it does."""
        if self.shares[0] < SATURATED:
            return ()
        return tuple(
            place
            for place, share in enumerate(self.shares)
            if share >= SATURATED or place in self.tied
        )


def contenders(section: Section, access: str) -> tuple[Group, ...]:
    """Return the groups of a section that compete within a label access, the newest versions."""
    competing = [
        group
        for group in section.groups
        if group.row.label_access == access and not group.row.control
    ]
    newest: dict[str, int] = {}
    for group in competing:
        row = group.row
        newest[row.method] = max(newest.get(row.method, 0), row.method_version)
    # Those that diverged have no share, but their version still counts as the newest.
    return tuple(
        group
        for group in competing
        if group.entries and group.row.method_version == newest[group.row.method]
    )


def verdict(
    section: Section, access: str = "nuisance", found: Callable[[Group], np.ndarray] = found_by
) -> Verdict | None:
    """Compare the competing methods of a section.

    Parameters
    ----------
    section : Section
    access : str
        Label access.
    found : callable
        From a group to what each of its seeds found [n_seeds, n_pairs]; by default from the ranks
        that are stored beside its rows.

    Returns
    -------
    Verdict or None
        None where nothing competes.
    """
    # A stable sort: methods of one share stand as in the table.
    pairs = [(group, resample(found(group))) for group in contenders(section, access)]
    pairs.sort(key=lambda pair: -pair[1].share)
    if not pairs:
        return None
    groups, resampled = zip(*pairs, strict=True)
    return Verdict(
        section.task, groups, tuple(each.share for each in resampled), pairwise(resampled)
    )


def verdicts(found: Sequence[Section], access: str = "nuisance") -> dict[str, Verdict]:
    """Return the verdict of each task, from its newest section in which anything competes.

    Parameters
    ----------
    found : sequence of Section
        As `starbench.leaderboard.aggregate.sections` sorts them, the newest first.
    """
    by_task: dict[str, Verdict] = {}
    for section in found:
        if section.task not in by_task:
            told = verdict(section, access)
            if told is not None:
                by_task[section.task] = told
    return by_task
