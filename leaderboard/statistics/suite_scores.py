"""What methods reach on the tracks of a suite: the records that `score_suite` returns."""

from dataclasses import dataclass, field

from starbench.leaderboard.statistics.aggregate import Group
from starbench.leaderboard.statistics.resampling import Floats, Resampled
from starbench.leaderboard.store.levels import Level, lowest
from starbench.results.schema import Row
from starbench.tasks.suites import Suite


@dataclass(frozen=True, eq=False)
class TrackScore:
    """A method on one track.

    Attributes
    ----------
    group : Group
        Its rows.
    share : float
        Share of stars whose twin is nearest, mean over seeds.
    chance : float
        That share by chance.
    gap_closed : float or None
        None where the track has no row of the bound, or the bound is at chance.
    resampled, bound : Resampled
        The shares of the method and of the bound in the joint resamples; no bound without a row.
    """

    group: Group
    share: float
    chance: float
    gap_closed: float | None
    resampled: Resampled = field(repr=False)
    bound: Resampled | None = field(repr=False)


@dataclass(frozen=True, eq=False)
class SuiteScore:
    """The score of a method.

    Attributes
    ----------
    value : float
        Mean of `families`.
    low, high : float
        95 % interval.
    families : dict of str to float
        Mean gap closed on the tracks of each family.
    draws : numpy.ndarray [n_resamples]
        The score in the joint resamples: the same pairs for all methods.
    """

    value: float
    low: float
    high: float
    families: dict[str, float]
    draws: Floats = field(repr=False)


@dataclass(frozen=True, eq=False)
class SuiteLine:
    """A method on the tracks of a suite.

    Attributes
    ----------
    tracks : dict of str to TrackScore
        By task, in the order of the suite; tracks without scored rows are absent.
    missing : dict of str to str
        Why a track is absent, by task: a phrase.
    score : SuiteScore or None
        None if a track is missing, or has no gap closed.
    beside : dict of str to TrackScore
        By task: tracks beside the suite, which count in nothing else.
    rank : int or None
        1 + the number of methods of the same label access whose score is significantly higher.
        None without a score, for controls, with submitted rows, and below `MIN_SEEDS` seeds on any
        track.
    """

    tracks: dict[str, TrackScore]
    missing: dict[str, str]
    score: SuiteScore | None
    beside: dict[str, TrackScore] = field(default_factory=dict)
    rank: int | None = None

    def on(self, task: str) -> TrackScore | None:
        """Return its score on a track of the suite or beside it, None without scored rows."""
        return self.tracks.get(task) or self.beside.get(task)

    @property
    def group(self) -> Group:
        """Its rows on the first track that it has, for what all tracks share."""
        return next(iter(self.tracks.values())).group

    @property
    def row(self) -> Row:
        """One of its rows: method, version, label access, settings."""
        return self.group.row

    @property
    def level(self) -> Level:
        """The lowest level of its scored rows on any track."""
        return lowest(track.group.level for track in self.tracks.values())

    @property
    def n_seeds(self) -> int:
        """The fewest scored seeds on any of its tracks."""
        return min(len(track.group.entries) for track in self.tracks.values())


@dataclass(frozen=True, eq=False)
class SuiteScores:
    """All methods on the tracks of a suite.

    Attributes
    ----------
    suite : Suite
    lines : tuple of SuiteLine
        By label access, nuisance labels first. Within it methods of checked rows, then those with
        submitted rows, then controls; of each those with a score, the best first, then those
        without, by their number of tracks. The bound is not among them.
    bound : dict of str to TrackScore
        The information bound by task, beside the suite too; tracks without a row of it are absent.
    chance : dict of str to float
        Share of nearest twins by chance, by task; tracks without rows are absent.
    remarks : tuple of str
        What does not count and why, a sentence each, without markup.
    """

    suite: Suite
    lines: tuple[SuiteLine, ...]
    bound: dict[str, TrackScore]
    chance: dict[str, float]
    remarks: tuple[str, ...]

    @property
    def columns(self) -> tuple[str, ...]:
        """The tasks that tables show: the tracks of the suite, then those beside it with rows."""
        beside = (track.task for track in self.suite.beside)
        found = [task for task in beside if any(task in line.beside for line in self.lines)]
        return (*self.suite.tasks, *found)

    def of_access(self, access: str) -> tuple[SuiteLine, ...]:
        """Return the methods of a label access."""
        return tuple(line for line in self.lines if line.row.label_access == access)
