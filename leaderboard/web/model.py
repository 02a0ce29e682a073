"""The content of the site: the groups of each track with their ranks, curves and found stars."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

import numpy as np
import numpy.typing as npt

from starbench.leaderboard.statistics.aggregate import Group, Section, sections
from starbench.leaderboard.statistics.compare import ranks_of
from starbench.leaderboard.statistics.judgement import judge
from starbench.leaderboard.store.board import Entry
from starbench.leaderboard.store.task import BoardTask, task_order
from starbench.leaderboard.web.numbers import Curve, nearest, recovery_curve
from starbench.results.schema import Row
from starbench.tasks.errors import DataError

LABEL_LENGTH = 44  # of a name in a figure's legend

T = TypeVar("T")


class Progress(Protocol):
    """Wraps a list whose items take time, such as a progress bar."""

    def __call__(self, items: Sequence[T], /) -> Iterable[T]:
        """Return the items."""


def no_progress(items: Sequence[T], /) -> Iterable[T]:
    """Return the items unchanged."""
    return items


@dataclass(frozen=True, eq=False)
class Standing:
    """A group of rows and its place in its track.

    Attributes
    ----------
    group : Group
    section : Section
    name : str
        Distinct from the other groups of its section; untrusted text.
    rank : int or None
        Its rank among the methods of its track and label access, if it has one.
    current : bool
        Whether it was scored, on the track's newest data, by the newest version of its method.
    """

    group: Group
    section: Section
    name: str
    rank: int | None
    current: bool

    @property
    def row(self) -> Row:
        """One of the rows, for what all of them share."""
        return self.group.row


@dataclass(frozen=True, eq=False)
class Scored(Standing):
    """A group with scored runs.

    Attributes
    ----------
    curve : Curve
    n_stars : int
        Number of stars whose twins were ranked.
    found : numpy.ndarray [n_pairs, 2]
        For each star, the share of seeds that found its twin nearest.
    """

    curve: Curve
    n_stars: int
    found: npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Track:
    """A task and its groups of rows.

    Attributes
    ----------
    task : str
    standings : tuple of Standing
        The newest section first, and within it the best first.
    nuisance : numpy.ndarray [n_pairs, 2, n_nuisance] or None
        Of the stars of the newest section; None where this starbench cannot draw them.
    nuisance_names : tuple of str
    """

    task: str
    standings: tuple[Standing, ...]
    nuisance: np.ndarray | None = None
    nuisance_names: tuple[str, ...] = ()

    @property
    def current(self) -> list[Scored]:
        """The groups that figures show."""
        return [each for each in self.standings if isinstance(each, Scored) and each.current]

    def best_first(self, *, competing: bool = False) -> list[Scored]:
        """Return the current groups by their share of nearest twins, optionally no controls."""
        return sorted(
            (each for each in self.current if not (competing and each.row.control)),
            key=lambda each: (-each.curve.share[0], each.name),
        )


def tracks(
    entries: Sequence[Entry],
    get_task: Callable[[str], BoardTask],
    progress: Progress = no_progress,
) -> list[Track]:
    """Summarise the rows of a leaderboard by track.

    Parameters
    ----------
    entries : sequence of Entry
    get_task : callable
        From a task's name to the task, whose test stars are drawn without their spectra.
    progress : callable
        Wraps what takes time, such as a progress bar.

    Returns
    -------
    list of Track
        A task before its noise tracks, and those by decreasing SNR.
    """
    all_sections = sections(entries)
    ranks: dict[str, npt.NDArray[np.int64]] = {}

    def read(groups: Sequence[Group]) -> list[npt.NDArray[np.int64]]:
        of_groups = ranks_of(groups)
        ranks.update(zip((group.key for group in groups), of_groups, strict=True))
        return of_groups

    judged = judge(all_sections, read)
    by_task: dict[str, list[Section]] = {}
    for section in all_sections:
        by_task.setdefault(section.task, []).append(section)
    jobs = [
        (section, group, number == 0 and bool(group.entries) and not section.superseded(group))
        for of_task in by_task.values()
        for number, section in enumerate(of_task)
        for group in section.groups
    ]
    digests: dict[str, set[str]] = {}  # of the settings that share a label
    for _, group, current in jobs:
        if current:
            digests.setdefault(group.label, set()).add(group.row.settings_digest)
    standings: dict[str, list[Standing]] = {}
    for section, group, current in progress(jobs):
        name = group.label
        if not current or len(digests[name]) > 1:  # a name is of one set of settings on all tracks
            name += f" v{group.row.method_version} {group.row.settings_digest[:8]}"
        standing = Standing(group, section, name, judged.ranks.get(group.key), current)
        if group.key in ranks:
            standing = _scored(standing, ranks[group.key])
        standings.setdefault(section.task, []).append(standing)
    return [
        Track(task, tuple(standings[task]), *_stars(by_task[task][0], get_task))
        for task in sorted(by_task, key=task_order)
    ]


def _scored(standing: Standing, ranks: npt.NDArray[np.int64]) -> Scored:
    return Scored(
        standing.group,
        standing.section,
        standing.name,
        standing.rank,
        standing.current,
        recovery_curve(ranks),
        ranks[0].size,
        nearest(ranks),
    )


def _stars(
    section: Section, get_task: Callable[[str], BoardTask]
) -> tuple[np.ndarray | None, tuple[str, ...]]:
    """Return the nuisance of the test stars, if the task here has the data of the section."""
    try:
        task = get_task(section.task)
        data = task.version, task.fingerprint(section.scale)
        if data != (section.task_version, section.data_fingerprint):
            return None, ()
        nuisance, _ = task.drawn_labels("test", section.scale)
    except DataError:  # the task is not installed, or its labels cannot be drawn here
        return None, ()
    return nuisance, tuple(task.nuisance_names)


def legend_name(name: str) -> str:
    """Return a name for figures: of bounded length, in characters that their font has."""
    text = "".join(
        character if character.isascii() and character.isprintable() else "?" for character in name
    )
    return text if len(text) <= LABEL_LENGTH else text[: LABEL_LENGTH - 3] + "..."
