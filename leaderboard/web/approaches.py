"""The table of the first page that says which approaches survive a broken assumption."""

from dataclasses import dataclass

from starbench.leaderboard.statistics.columns import percent
from starbench.leaderboard.statistics.survival import Survival, survival
from starbench.leaderboard.web.model import Summary, Track
from starbench.leaderboard.web.suite import names_of_settings
from starbench.methods.approaches import MEANINGS


@dataclass(frozen=True)
class ApproachCell:
    """The best method of an approach on a track.

    Attributes
    ----------
    method, name : str
        The latter with the settings that differ from the defaults.
    gap, interval : str
        The gap between chance and bound that it closes, in per cent.
    outcome : str
        Of the approach; empty on the unbroken track, and where a method is missing.
    """

    method: str
    name: str
    gap: str
    interval: str
    outcome: str


@dataclass(frozen=True)
class Approaches:
    """How each approach fares on the unbroken track and on those that break an assumption.

    Attributes
    ----------
    tracks : tuple of Track
    meanings : dict of str to str
        By approach.
    cells : dict of str to dict of str to ApproachCell
        By approach and task.
    """

    tracks: tuple[Track, ...]
    meanings: dict[str, str]
    cells: dict[str, dict[str, ApproachCell]]


def approaches(summary: Summary) -> Approaches | None:
    """Return the table; None where no method competes on the unbroken track."""
    found = survival(summary.suite)
    if found is None:
        return None
    by_task = {track.task: track for track in summary.tracks}
    names = names_of_settings(summary)
    return Approaches(
        tuple(by_task[task] for task in found.tasks),
        {name: MEANINGS[name] for name in found.best},
        {name: _cells(found, name, names) for name in found.best},
    )


def _cells(found: Survival, approach: str, names: dict[str, str]) -> dict[str, ApproachCell]:
    return {
        task: ApproachCell(
            best.line.row.method,
            names.get(best.line.row.settings_digest, best.line.group.label),
            percent(best.gap),
            f"{percent(best.low)}, {percent(best.high)}",
            found.outcome(approach, task) or "" if task != found.tasks[0] else "",
        )
        for task, best in found.best[approach].items()
    }
