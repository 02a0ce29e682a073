"""The content of the site: the groups of each track with their ranks, curves and found stars."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

import numpy as np
import numpy.typing as npt

from starbench.leaderboard.statistics.aggregate import Group, Section, sections
from starbench.leaderboard.statistics.compare import ranks_of
from starbench.leaderboard.statistics.judgement import Judgement, judge
from starbench.leaderboard.statistics.resampling import OfSeeds
from starbench.leaderboard.statistics.suite import score_suite
from starbench.leaderboard.statistics.suite_scores import SuiteScores
from starbench.leaderboard.statistics.verdict import BOUND
from starbench.leaderboard.store.board import Entry
from starbench.leaderboard.store.task import BoardTask, card_of, task_order
from starbench.leaderboard.web.numbers import Curve, nearest, recovery_curve
from starbench.results.schema import Row
from starbench.tasks.card import Card
from starbench.tasks.errors import DataError
from starbench.tasks.registry import BUILT_IN
from starbench.tasks.suites import get_suite

LABEL_LENGTH = 36  # of a name in a legend
AXIS_LENGTH = 24  # of a name beside an axis

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
    found : numpy.ndarray [n_pairs, 2] or [n_ordered]
        For each star, or ordered pair of a survey's siblings, the share of seeds that found its
        twin nearest.
    """

    curve: Curve
    n_stars: int
    found: npt.NDArray[np.float64]

    @property
    def nearest(self) -> float:
        """The share of stars whose twin is nearest, mean over seeds."""
        return float(self.curve.share[0])

    @property
    def interval(self) -> tuple[float, float]:
        """The 95 % interval of that share over seeds and pairs."""
        return float(self.curve.low[0]), float(self.curve.high[0])


@dataclass(frozen=True)
class Words:
    """What the pages of a track call stars of one composition, and what is resampled.

    Attributes
    ----------
    one, several : str
        Twins, or siblings of a survey.
    units : str
        What intervals are over, beside the seeds.
    """

    one: str
    several: str
    units: str


OF_PAIRS = Words("twin", "twins", "pairs")
OF_SURVEY = Words("sibling", "siblings", "groups")


@dataclass(frozen=True, eq=False)
class Track:
    """A task and its groups of rows.

    Attributes
    ----------
    task : str
    standings : tuple of Standing
        The newest section first, and within it the best first.
    card : Card or None
        None where the task is not installed here.
    nuisance : numpy.ndarray [n_pairs, 2, n_nuisance] or None
        Of the stars of the newest section; None where this starbench cannot draw them.
    nuisance_names : tuple of str
    """

    task: str
    standings: tuple[Standing, ...]
    card: Card | None = None
    nuisance: np.ndarray | None = None
    nuisance_names: tuple[str, ...] = ()

    @property
    def family(self) -> str:
        """The family on the card; ``other`` without a card."""
        return self.card.family if self.card else "other"

    @property
    def words(self) -> Words:
        """What its pages call stars of one composition."""
        return OF_SURVEY if self.card and self.card.survey else OF_PAIRS

    @property
    def short(self) -> str:
        """Its name without that of the track it is based on."""
        base = self.card.base if self.card else None
        return self.task.removeprefix(f"{base}-") if base else self.task

    @property
    def bound(self) -> Scored | None:
        """The information bound with the highest share."""
        return max(
            (each for each in self.current if each.row.method == BOUND),
            key=lambda each: each.nearest,
            default=None,
        )

    @property
    def current(self) -> list[Scored]:
        """The groups that figures show."""
        return [each for each in self.standings if isinstance(each, Scored) and each.current]

    def best_first(self, *, competing: bool = False) -> list[Scored]:
        """Return the current groups by their share of nearest twins, optionally no controls."""
        return sorted(
            (each for each in self.current if not (competing and each.row.control)),
            key=lambda each: (-each.nearest, each.name),
        )


@dataclass(frozen=True, eq=False)
class Summary:
    """All that the site shows of a leaderboard's rows.

    Attributes
    ----------
    tracks : tuple of Track
        Those of the suite first, then the others of starbench and those that only rows name.
    judged : Judgement
    suite : SuiteScores
    """

    tracks: tuple[Track, ...]
    judged: Judgement
    suite: SuiteScores


def summarise(
    entries: Sequence[Entry],
    get_task: Callable[[str], BoardTask],
    progress: Progress = no_progress,
) -> Summary:
    """Summarise the rows of a leaderboard.

    Parameters
    ----------
    entries : sequence of Entry
    get_task : callable
        From a task's name to the task, whose test stars are drawn without their spectra.
    progress : callable
        Wraps what takes time, such as a progress bar.
    """
    all_sections = sections(entries)
    judged = judge(all_sections)
    scores = score_suite(get_suite(), all_sections)
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
        if group.entries:
            standing = _scored(standing, ranks_of([group])[0])
        standings.setdefault(section.task, []).append(standing)
    others = sorted({*BUILT_IN, *by_task} - set(scores.suite.tasks), key=task_order)
    return Summary(
        tuple(
            Track(
                task,
                tuple(standings.get(task, ())),
                card_of(task),
                *(_stars(by_task[task][0], get_task) if task in by_task else ()),
            )
            for task in (*scores.suite.tasks, *others)
        ),
        judged,
        scores,
    )


def _scored(standing: Standing, ranks: OfSeeds) -> Scored:
    first = ranks[0]
    n_stars = first.size if isinstance(first, np.ndarray) else first.n_stars or 0
    return Scored(
        standing.group,
        standing.section,
        standing.name,
        standing.rank,
        standing.current,
        recovery_curve(ranks),
        n_stars,
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
        if nuisance.shape[1] == 1:  # of a survey, whose siblings differ in their labels
            return None, ()
    except DataError:  # the task is not installed, or its labels cannot be drawn here
        return None, ()
    return nuisance, tuple(task.nuisance_names)


def legend_name(name: str, length: int = LABEL_LENGTH) -> str:
    """Return a name for figures: of bounded length, in characters that every font has."""
    text = "".join(
        character if character.isascii() and character.isprintable() else "?" for character in name
    )
    return text if len(text) <= length else text[: length - 3] + "..."
