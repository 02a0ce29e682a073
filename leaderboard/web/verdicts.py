"""The verdicts as the site shows them: on each track and label access, the best method."""

from dataclasses import dataclass

from starbench.leaderboard.pages.names import ACCESS_TITLES
from starbench.leaderboard.pages.verdict_text import points
from starbench.leaderboard.statistics.columns import percent
from starbench.leaderboard.statistics.verdict import Verdict
from starbench.leaderboard.web.model import Summary


@dataclass(frozen=True)
class VerdictLine:
    """Which method is best on a track, among those of one label access.

    Attributes
    ----------
    method, name : str
        Of the best method.
    share : str
        Of nearest twins, in per cent.
    n_methods : int
        How many compete.
    second : str
        Name of the second method; empty without one.
    lead : str
        Points above the second method, with the 95 % interval.
    tied : tuple of str
        Names of the methods that are statistically tied with the best.
    """

    method: str
    name: str
    share: str
    n_methods: int
    second: str
    lead: str
    tied: tuple[str, ...]


def verdict_lines(summary: Summary, task: str | None = None) -> dict[str, dict[str, VerdictLine]]:
    """Return the verdicts by the title of their label access and by task, on one track or on all.

    Parameters
    ----------
    summary : Summary
    task : str, optional
    """
    names = {
        standing.group.key: standing.name
        for track in summary.tracks
        for standing in track.standings
    }
    lines = {}
    for access, title in ACCESS_TITLES.items():
        verdicts = summary.judged.verdicts.get(access, {})
        of_access = {
            track.task: _line(verdicts[track.task], names)
            for track in summary.tracks
            if track.task in verdicts and task in (None, track.task)
        }
        if of_access:
            lines[title] = of_access
    return lines


def _line(verdict: Verdict, names: dict[str, str]) -> VerdictLine:
    called = [names[group.key] for group in verdict.groups]
    return VerdictLine(
        verdict.groups[0].row.method,
        called[0],
        percent(verdict.shares[0]),
        len(called),
        called[1] if len(called) > 1 else "",
        points(verdict.comparisons[0, 1], unit="") if len(called) > 1 else "",
        tuple(called[place] for place in verdict.tied),
    )
