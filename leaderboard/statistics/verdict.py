"""Which method is best on a task, and which others are statistically tied with it.

The competing methods of one label access, controls excluded, are compared with each other as in
`starbench.leaderboard.statistics.compare`. Of several versions of a method only the newest
competes; several settings of a method compete separately. A method with rows that nobody has
checked, which are ``submitted``, does not compete. A method of which more runs diverged than
were scored does not compete, as the mean over its scored runs would be biased. Nor does a method
with fewer than `MIN_SEEDS` scored seeds: its interval would omit the scatter between seeds, or
hardly know it. In simulations two equal methods with one seed each differ significantly in 63 % of
cases.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from starbench.leaderboard.statistics.aggregate import Group, Section
from starbench.leaderboard.statistics.compare import Comparison, pairwise
from starbench.leaderboard.statistics.resampling import Resampled

BOUND = "information-bound"  # the control that bounds what any latent can find
MIN_SEEDS = 3  # scored seeds below which a method has no rank
SATURATED = 0.99  # a share of nearest twins above which it hardly separates methods


@dataclass(frozen=True)
class Verdict:
    """How the competing methods of one task and label access compare.

    Attributes
    ----------
    task : str
    groups : tuple of Group
        The competing methods, the highest share of nearest twins first.
    shares : tuple of float
        Their mean over seeds.
    comparisons : dict of (int, int) to Comparison
        Of every two methods by their positions in `groups`, the better first.
    """

    task: str
    groups: tuple[Group, ...]
    shares: tuple[float, ...]
    comparisons: dict[tuple[int, int], Comparison]

    @property
    def ranks(self) -> tuple[int, ...]:
        """The rank of each method: 1 + the number of methods that are significantly better.

        A method is significantly better than another if the 95 % interval of their difference lies
        above zero. Several settings of one method count once, and not against each other, so that a
        sweep pushes nobody down.

        Ties are not transitive: b may be tied with both a and c while a is significantly better
        than c. The ranks of a, b and c are then 1, 1 and 2. The method with the highest share has
        rank 1. A method with a lower share may have a better rank than one with a higher share, if
        its seeds are too few or too scattered for any difference to be significant.
        """
        beaten_by: list[set[str]] = [set() for _ in self.groups]
        for (better, worse), comparison in self.comparisons.items():
            # Shares fall with the position, so only the earlier method can be significantly better.
            if comparison.low > 0:
                beaten_by[worse].add(self.groups[better].row.method)
        return tuple(
            1 + len(methods - {group.row.method})
            for group, methods in zip(self.groups, beaten_by, strict=True)
        )

    @property
    def tied(self) -> tuple[int, ...]:
        """Positions of the methods that are statistically tied with the best."""
        return tuple(
            place
            for place in range(1, len(self.groups))
            if not self.comparisons[0, place].separable
        )

    @property
    def saturated(self) -> tuple[int, ...]:
        """Positions of the methods that the share hardly separates; empty below saturation."""
        if self.shares[0] < SATURATED:
            return ()
        return tuple(
            place
            for place, share in enumerate(self.shares)
            if share >= SATURATED or place in self.tied
        )


def contenders(section: Section, access: str) -> tuple[Group, ...]:
    """Return the groups of a section that compete within a label access."""
    competing = [
        group
        for group in section.groups
        if group.row.label_access == access and not group.row.control
    ]
    return tuple(
        group
        for group in competing
        if len(group.entries) >= max(MIN_SEEDS, len(group.diverged))
        and group.level != "submitted"
        and not section.superseded(group)
    )


def verdict(section: Section, access: str, resampled: Mapping[str, Resampled]) -> Verdict | None:
    """Compare the competing methods of a section with each other.

    Parameters
    ----------
    section : Section
    access : str
        Label access.
    resampled : mapping of str to Resampled
        Shares of nearest twins by `Group.key`.

    Returns
    -------
    Verdict or None
        None where no method competes.
    """
    # A stable sort: methods of equal share keep the order of the table.
    groups = sorted(contenders(section, access), key=lambda group: -resampled[group.key].share)
    if not groups:
        return None
    methods = [resampled[group.key] for group in groups]
    shares = tuple(method.share for method in methods)
    return Verdict(section.task, tuple(groups), shares, pairwise(methods))
