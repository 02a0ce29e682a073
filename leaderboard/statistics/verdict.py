"""Which method is best on a task, and which others might be: from rows and their ranks.

The methods of one label access that compete, controls left out, are compared with each other on the
same stars by the two-level bootstrap of `starbench.leaderboard.statistics.compare`. Of a method
with rows of several versions the newest speaks for it; settings of their own are contenders of
their own. One of which more runs diverged than were scored does not compete: its mean is of the
lucky ones.
"""

from collections.abc import Callable
from dataclasses import dataclass

from starbench.leaderboard.statistics.aggregate import Group, Section
from starbench.leaderboard.statistics.compare import Comparison, Resampled, pairwise

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

    @property
    def ranks(self) -> tuple[int, ...]:
        """The rank of each method: 1 + the number of competing methods that are surely better.

        One method is surely better than another if the 95 % interval of their difference lies
        wholly on its side of zero. Methods of one rank form a tie group. Several settings of one
        method count once, and not against each other: nobody is pushed down by a sweep.

        "Cannot be told apart" is not transitive: b may be tied with both a and c, and a be surely
        better than c. The ranks of a, b and c are then 1, 1 and 2: a rank says how many methods
        beat this one, not that it can be told apart from all of the rank before. The method of the
        highest share has rank 1. A lower share may have the better rank, if its seeds are so few
        or so unlike that nothing is sure of it.
        """
        beaten_by: list[set[str]] = [set() for _ in self.groups]
        for (better, worse), comparison in self.comparisons.items():
            # The shares fall from place to place, so that a sure difference is the earlier's.
            if comparison.low > 0:
                beaten_by[worse].add(self.groups[better].row.method)
        return tuple(
            1 + len(methods - {group.row.method})
            for group, methods in zip(self.groups, beaten_by, strict=True)
        )

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
    return tuple(
        group
        for group in competing
        if group.entries
        and len(group.entries) >= len(group.diverged)
        and not section.superseded(group)
    )


def verdict(
    section: Section, access: str, resampled: Callable[[Group], Resampled]
) -> Verdict | None:
    """Compare the competing methods of a section.

    Parameters
    ----------
    section : Section
    access : str
        Label access.
    resampled : callable
        From a group to its share of nearest twins.

    Returns
    -------
    Verdict or None
        None where nothing competes.
    """
    pairs = [(group, resampled(group)) for group in contenders(section, access)]
    # A stable sort: methods of one share stand as in the table.
    pairs.sort(key=lambda pair: -pair[1].share)
    if not pairs:
        return None
    groups, methods = zip(*pairs, strict=True)
    return Verdict(section.task, groups, tuple(each.share for each in methods), pairwise(methods))
