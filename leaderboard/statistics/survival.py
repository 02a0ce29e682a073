"""Which approaches survive the tracks that break an assumption.

An approach, as in `starbench.methods.approaches`, is judged by its best method: that which closes
most of the gap between chance and the information bound. It

- survives a track if its best method there closes at least half of the gap,
- breaks if that closes less than half, though the best method on the suite's unbroken track, of the
  same noise, closes at least half there,
- is weak if it closes less than half on the unbroken track as well,

each by the 95 % interval over pairs and seeds, and is undecided where an interval contains one
half. The methods are those that compete, as in `starbench.leaderboard.statistics.turnovers`.
"""

from dataclasses import dataclass
from typing import Literal

from starbench.leaderboard.statistics.suite import drawn_gap
from starbench.leaderboard.statistics.suite_scores import SuiteLine, SuiteScores
from starbench.leaderboard.statistics.turnovers import competing
from starbench.methods.approaches import MEANINGS, approach
from starbench.metrics.bootstrap import interval

HALF = 0.5  # of the gap
FAMILIES = ("assumptions", "reality")  # whose tracks break an assumption

Outcome = Literal["survives", "breaks", "weak", "undecided"]


@dataclass(frozen=True)
class Best:
    """The method of an approach that closes most of the gap on a track.

    Attributes
    ----------
    line : SuiteLine
    gap : float
        The gap that it closes.
    low, high : float
        95 % interval.
    """

    line: SuiteLine
    gap: float
    low: float
    high: float


@dataclass(frozen=True)
class Survival:
    """How the approaches fare on the tracks that break an assumption.

    Attributes
    ----------
    tasks : tuple of str
        The unbroken track, then those that break an assumption.
    best : dict of str to dict of str to Best
        By approach and task; absent where no method of an approach competes.
    """

    tasks: tuple[str, ...]
    best: dict[str, dict[str, Best]]

    def outcome(self, name: str, task: str) -> Outcome | None:
        """Return the outcome of an approach on a track; None where a method is missing."""
        by_task = self.best.get(name, {})
        here, unbroken = by_task.get(task), by_task.get(self.tasks[0])
        if here is None:
            return None
        if here.low >= HALF:
            return "survives"
        if unbroken is None:
            return None
        if here.high < HALF and unbroken.low >= HALF:
            return "breaks"
        if here.high < HALF and unbroken.high < HALF:
            return "weak"
        return "undecided"


def survival(scores: SuiteScores) -> Survival | None:
    """Judge the approaches; None where the suite has no unbroken track with a competing method.

    Parameters
    ----------
    scores : SuiteScores
    """
    unbroken = scores.suite.unbroken
    broken = [track.task for track in scores.suite.tracks if track.family in FAMILIES]
    found: dict[str, dict[str, Best]] = {name: {} for name in MEANINGS}
    for task in (unbroken, *broken):
        for line in competing(scores, task):  # the highest share, and so the largest gap, first
            name = approach(line.row.method, line.row.label_access)
            gap = line.tracks[task].gap_closed
            if gap and task not in found[name]:
                found[name][task] = Best(line, gap, *interval(drawn_gap(task, line.tracks[task])))
    best = {name: by_task for name, by_task in found.items() if by_task}
    if not any(unbroken in by_task for by_task in best.values()):
        return None
    return Survival((unbroken, *broken), best)
