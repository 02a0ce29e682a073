"""Where the order of two methods on one track of a suite turns over on another, or beside it.

Two methods turn over if one finds significantly more nearest twins on the reference track and the
other does on another track, both by the interval of `starbench.leaderboard.statistics.compare`.
Methods of all label accesses take part, since the question is which kind of information survives a
broken assumption. Controls do not, nor do methods with fewer than three seeds on either track, nor
those with submitted rows, which anybody can write.
"""

from dataclasses import dataclass
from itertools import permutations

from starbench.leaderboard.statistics.compare import Comparison, compare_resampled
from starbench.leaderboard.statistics.suite_scores import SuiteLine, SuiteScores
from starbench.leaderboard.statistics.verdict import MIN_SEEDS


@dataclass(frozen=True)
class Turnover:
    """Two methods whose order on a track is the reverse of that on the reference track.

    Attributes
    ----------
    ahead, behind : SuiteLine
        The method that is better on the track, and the one that is better on the reference.
    here, reference : Comparison
        Of `ahead` with `behind` on the track, above zero, and on the reference track, below.
    """

    ahead: SuiteLine
    behind: SuiteLine
    here: Comparison
    reference: Comparison


@dataclass(frozen=True)
class TrackOrder:
    """How methods compare on a track, and with their order on the reference track.

    Attributes
    ----------
    task : str
    best : dict of str to SuiteLine
        The method with the highest share of each label access that has one, the highest first.
    shares : dict of str to float
        Share of nearest twins of each of these.
    lead : Comparison or None
        Of the first of `best` with the second; None with a single label access.
    ordered : int
        Number of pairs of methods of which one is significantly better on both tracks.
    turnovers : tuple of Turnover
        Those of `ordered` that turn over, the largest difference on the track first.
    """

    task: str
    best: dict[str, SuiteLine]
    shares: dict[str, float]
    lead: Comparison | None
    ordered: int
    turnovers: tuple[Turnover, ...]


def track_orders(scores: SuiteScores, reference: str) -> tuple[TrackOrder, ...]:
    """Compare the order of methods on each track of a suite with that on a reference track.

    Parameters
    ----------
    scores : SuiteScores
    reference : str
        Name of the reference track, which is left out of the result.

    Returns
    -------
    tuple of TrackOrder
        In the order of the suite, then tracks beside it; those without a competing method are
        absent.
    """
    at_reference = competing(scores, reference)
    tasks = [track.task for track in scores.suite.compared]
    orders = (_order(scores, task, reference, at_reference) for task in tasks if task != reference)
    return tuple(order for order in orders if order.best)


def competing(scores: SuiteScores, task: str) -> list[SuiteLine]:
    """Return the methods with three checked seeds or more on a track, the highest share first."""
    on_track = [
        (score.share, line)
        for line in scores.lines
        if not line.row.control
        and (score := line.on(task)) is not None
        and len(score.group.entries) >= MIN_SEEDS
        and score.group.level != "submitted"
    ]
    return [line for _, line in sorted(on_track, key=lambda each: -each[0])]


def compare_on(a: SuiteLine, b: SuiteLine, task: str) -> Comparison:
    """Compare two methods on a track that both have, on the same resampled pairs.

    Raises
    ------
    ValueError
        If one has no scored rows there.
    """
    of_a, of_b = a.on(task), b.on(task)
    if of_a is None or of_b is None:
        raise ValueError(f"both methods need scored rows on {task}")
    return compare_resampled(of_a.resampled, of_b.resampled)


def _order(
    scores: SuiteScores, task: str, reference: str, at_reference: list[SuiteLine]
) -> TrackOrder:
    lines = competing(scores, task)
    best: dict[str, SuiteLine] = {}
    for line in lines:
        best.setdefault(line.row.label_access, line)
    first = list(best.values())[:2]
    ordered, found = 0, []
    both = [line for line in lines if line in at_reference]
    for ahead, behind in permutations(both, 2):
        here = compare_on(ahead, behind, task)
        if here.low <= 0:
            continue
        there = compare_on(ahead, behind, reference)
        if there.separable:
            ordered += 1
            if there.high < 0:
                found.append(Turnover(ahead, behind, here, there))
    return TrackOrder(
        task,
        best,
        {access: score.share for access, line in best.items() if (score := line.on(task))},
        compare_on(first[0], first[1], task) if len(first) == 2 else None,
        ordered,
        tuple(sorted(found, key=lambda each: -each.here.difference)),
    )
