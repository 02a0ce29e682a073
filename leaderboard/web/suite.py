"""The heat map of the first page: methods by tracks, with the scores of the suite."""

from dataclasses import dataclass

from starbench.leaderboard.pages.names import ACCESS_TITLES
from starbench.leaderboard.pages.verdict_text import points
from starbench.leaderboard.statistics.columns import one_decimal, percent
from starbench.leaderboard.statistics.suite_order import suite_verdicts
from starbench.leaderboard.statistics.suite_scores import SuiteLine, SuiteScores, TrackScore
from starbench.leaderboard.statistics.verdict import MIN_SEEDS
from starbench.leaderboard.store.levels import Level
from starbench.leaderboard.web.heat import level
from starbench.leaderboard.web.model import Summary, Track

FAMILY_TITLES = {
    "ideal": "every assumption holds",
    "noise": "photon noise",
    "crowding": "stars of nearly the same composition",
    "assumptions": "what methods take for granted does not hold",
    "reality": "the spectra are not those of the model",
}


@dataclass(frozen=True)
class HeatCell:
    """A method on a track.

    Attributes
    ----------
    text : str
        Share of nearest twins in per cent; empty where it is missing.
    level : int or None
        Class of its colour, from the gap closed.
    missing : str
        Why there is no share.
    """

    text: str
    level: int | None = None
    missing: str = ""


@dataclass(frozen=True)
class HeatLine:
    """A method on all tracks.

    Attributes
    ----------
    method : str
    name : str
        With the settings that differ from the defaults.
    score, interval : str
        Score of the suite in per cent and its 95 % interval; empty without one.
    level : int or None
        Class of the score's colour.
    standing : str
        How far its rows have been checked.
    rank : int or None
    note : str
        Why there is no score, or no rank.
    cells : tuple of HeatCell
        In the order of the suite.
    """

    method: str
    name: str
    score: str
    interval: str
    level: int | None
    standing: Level
    rank: int | None
    note: str
    cells: tuple[HeatCell, ...]


@dataclass(frozen=True)
class HeatPart:
    """The competing methods of a label access, or all controls."""

    title: str
    lines: tuple[HeatLine, ...]
    competing: bool = True


@dataclass(frozen=True)
class HeatMap:
    """Methods by tracks.

    Attributes
    ----------
    families : dict of str to int
        Number of tracks of each family, and of those beside the suite.
    tracks : tuple of Track
        In the order of the suite, then those beside it.
    bound : tuple of HeatCell
        Share of the information bound on each track.
    parts : tuple of HeatPart
    """

    families: dict[str, int]
    tracks: tuple[Track, ...]
    bound: tuple[HeatCell, ...]
    parts: tuple[HeatPart, ...]


def heat_map(summary: Summary) -> HeatMap:
    """Return the heat map of the suite."""
    scores = summary.suite
    by_task = {track.task: track for track in summary.tracks}
    names = names_of_settings(summary)
    parts = [
        HeatPart(
            title,
            tuple(
                _line(line, scores, names)
                for line in scores.of_access(access)
                if not line.row.control
            ),
        )
        for access, title in ACCESS_TITLES.items()
    ]
    controls = HeatPart(
        "Controls",
        tuple(_line(line, scores, names) for line in scores.lines if line.row.control),
        competing=False,
    )
    sizes = {family: len(members) for family, members in scores.suite.families.items()}
    beside = len(scores.columns) - len(scores.suite.tasks)
    return HeatMap(
        sizes | ({"beside the suite": beside} if beside else {}),
        tuple(by_task[task] for task in scores.columns),
        tuple(_cell(scores.bound.get(task), "no rows") for task in scores.columns),
        tuple(part for part in (*parts, controls) if part.lines),
    )


@dataclass(frozen=True)
class SuiteVerdictLine:
    """Which method has the highest score of a suite, among those of one label access.

    Attributes
    ----------
    access : str
        Title of the label access.
    best : HeatLine
    n_methods : int
        How many have a score.
    second : str
        Name of the second method; empty without one.
    lead : str
        Points above the second method, with the 95 % interval.
    tied : tuple of str
        Names of the methods whose score does not differ significantly from the best.
    """

    access: str
    best: HeatLine
    n_methods: int
    second: str
    lead: str
    tied: tuple[str, ...]


def suite_verdict_lines(summary: Summary) -> list[SuiteVerdictLine]:
    """Return the verdict of each label access in which a method has a rank."""
    names = names_of_settings(summary)
    verdicts = []
    for access, verdict in suite_verdicts(summary.suite).items():
        lines = [_line(line, summary.suite, names) for line in verdict.lines]
        several = len(lines) > 1
        verdicts.append(
            SuiteVerdictLine(
                ACCESS_TITLES[access],
                lines[0],
                len(lines),
                lines[1].name if several else "",
                points(verdict.comparisons[0], unit="") if several else "",
                tuple(lines[place].name for place in verdict.tied),
            )
        )
    return verdicts


def names_of_settings(summary: Summary) -> dict[str, str]:
    """Return the name of each set of settings by its digest."""
    return {each.row.settings_digest: each.name
            for track in reversed(summary.tracks) for each in track.current}  # fmt: skip


def _line(line: SuiteLine, scores: SuiteScores, names: dict[str, str]) -> HeatLine:
    row, score = line.row, line.score
    return HeatLine(
        row.method,
        names.get(row.settings_digest, line.group.label),
        "" if score is None else _score(score.value),
        "" if score is None else f"{_score(score.low)}, {_score(score.high)}",
        None if score is None else level(score.value),
        line.level,
        line.rank,
        _note(line, len(scores.suite.tasks)),
        tuple(_cell(line.on(task), line.missing.get(task, "no rows")) for task in scores.columns),
    )


def _score(value: float) -> str:
    """Write a score in per cent, without a minus sign before zero."""
    return one_decimal(round(100 * value, 1) + 0.0)


def _note(line: SuiteLine, n_tracks: int) -> str:
    if line.missing:
        return f"{len(line.tracks)} of {n_tracks} tracks"
    if line.score is None:
        return "no bound on every track"
    if line.rank is None and not line.row.control and line.n_seeds < MIN_SEEDS:
        return f"{line.n_seeds} {'seed' if line.n_seeds == 1 else 'seeds'}"
    return ""


def _cell(score: TrackScore | None, missing: str) -> HeatCell:
    if score is None:
        return HeatCell("", missing=missing)
    return HeatCell(percent(score.share), level(score.gap_closed))
