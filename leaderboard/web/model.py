"""What the site tells of the rows: the groups of each track with their ranks, summed up once."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from starbench.leaderboard.pages.names import task_order
from starbench.leaderboard.statistics.aggregate import Group, Section, sections
from starbench.leaderboard.statistics.compare import ranks_of
from starbench.leaderboard.statistics.judgement import judge
from starbench.leaderboard.store.board import Entry
from starbench.leaderboard.web.numbers import Curve, nearest, recovery_curve
from starbench.results.schema import Row

LABEL_LENGTH = 44  # of a name in a figure's legend


@dataclass(frozen=True, eq=False)
class Standing:
    """A group of rows in its track.

    Attributes
    ----------
    group : Group
    section : Section
    name : str
        What tells it from the other groups of its section; foreign text.
    rank : int or None
        Its rank among the methods of its track and label access; None for those that have none.
    current : bool
        Whether it is of its method's newest version and of the track's newest data, and scored.
    curve : Curve or None
        None where no run was scored.
    n_stars : int
        Number of stars whose twins were ranked; 0 where no run was scored.
    found : numpy.ndarray [n_pairs, 2] or None
        Of each star, the share of the seeds that found its twin nearest; None if not current.
    """

    group: Group
    section: Section
    name: str
    rank: int | None
    current: bool
    curve: Curve | None
    n_stars: int
    found: np.ndarray | None

    @property
    def row(self) -> Row:
        """A row of the group, for what all of them share."""
        return self.group.row


@dataclass(frozen=True, eq=False)
class Track:
    """A task and all that stands on it.

    Attributes
    ----------
    task : str
    standings : tuple of Standing
        The newest section first, and within it the best first.
    nuisance : numpy.ndarray [n_pairs, 2, n_nuisance] or None
        Of the stars of the newest section; None where they cannot be drawn anew.
    nuisance_names : tuple of str
    """

    task: str
    standings: tuple[Standing, ...]
    nuisance: np.ndarray | None = None
    nuisance_names: tuple[str, ...] = ()

    @property
    def current(self) -> list[Standing]:
        """The groups that figures show."""
        return [standing for standing in self.standings if standing.current]


def tracks(
    entries: Sequence[Entry], get_task: Callable[[str], Any], progress: Callable = iter
) -> list[Track]:
    """Sum up the rows of a leaderboard.

    Parameters
    ----------
    entries : sequence of Entry
    get_task : callable
        From a task's name to the task, whose test stars are drawn anew without their spectra.
    progress : callable
        Wraps what takes time, such as a progress bar.

    Returns
    -------
    list of Track
        A task before its noise tracks, and those from little noise to much.
    """
    by_task: dict[str, list[Section]] = {}
    found = sections(entries)
    ranks: dict[str, np.ndarray] = {}

    def read(groups: Sequence[Group]) -> list[np.ndarray]:
        of_groups = ranks_of(groups)
        ranks.update(zip((group.key for group in groups), of_groups, strict=True))
        return of_groups

    judged = judge(found, read)
    for section in found:
        by_task.setdefault(section.task, []).append(section)
    jobs = [
        (section, group, place == 0)
        for found in by_task.values()
        for place, section in enumerate(found)
        for group in section.groups
    ]
    current = {
        (section.task, group.row.settings_digest): group.label
        for section, group, newest in jobs
        if newest and _counts(section, group)
    }
    standings: dict[str, list[Standing]] = {}
    for section, group, newest in progress(jobs):
        name = group.label if newest and _counts(section, group) else None
        others = {digest for (_, digest), label in current.items() if label == name}
        if len(others) != 1:  # a name on the site is of one set of settings, on all tracks
            name = f"{group.label} v{group.row.method_version} {group.row.settings_digest[:8]}"
        standings.setdefault(section.task, []).append(
            _standing(
                section,
                group,
                name,
                judged.ranks.get(group.key),
                bool(others),
                ranks.get(group.key, ()),
            )
        )
    return [
        Track(task, tuple(standings[task]), *_stars(by_task[task][0], get_task))
        for task in sorted(by_task, key=task_order)
    ]


def _counts(section: Section, group: Group) -> bool:
    """Say whether a group was scored, and its method has no later version in its section."""
    return bool(group.entries) and not section.superseded(group)


def _standing(
    section: Section,
    group: Group,
    name: str,
    rank: int | None,
    current: bool,
    ranks: Sequence[np.ndarray],
) -> Standing:
    return Standing(
        group,
        section,
        name,
        rank,
        current,
        recovery_curve(ranks) if len(ranks) else None,
        ranks[0].size if len(ranks) else 0,
        nearest(ranks) if current else None,
    )


def _stars(
    section: Section, get_task: Callable[[str], Any]
) -> tuple[np.ndarray | None, tuple[str, ...]]:
    """Return the nuisance of the test stars, if this starbench draws those that were ranked."""
    task = get_task(section.task)
    if not _is_same(task, section):
        return None, ()
    nuisance, _ = task.drawn_labels("test", section.scale)
    return nuisance, tuple(task.nuisance_names)


def _is_same(task: Any, section: Section) -> bool:
    return (
        task.version == section.task_version
        and task.fingerprint(section.scale) == section.data_fingerprint
    )


def legend_name(name: str) -> str:
    """Return a name as figures show it: bounded, in characters that their font has."""
    text = "".join(
        character if character.isascii() and character.isprintable() else "?" for character in name
    )
    return text if len(text) <= LABEL_LENGTH else text[: LABEL_LENGTH - 3] + "..."
