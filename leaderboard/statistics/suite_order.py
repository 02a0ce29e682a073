"""Order, ranks and verdicts of methods by their scores on a suite."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from starbench.leaderboard.statistics.aggregate import ACCESS_ORDER
from starbench.leaderboard.statistics.compare import Comparison
from starbench.leaderboard.statistics.suite_scores import SuiteLine, SuiteScores
from starbench.leaderboard.statistics.verdict import MIN_SEEDS
from starbench.metrics.bootstrap import interval


def sorting_key(line: SuiteLine) -> tuple[int, bool, bool, bool, float, int, float, str]:
    """Return the key that sorts lines as `SuiteScores.lines` says."""
    shares = [track.share for track in line.tracks.values()]
    return (
        ACCESS_ORDER.index(line.row.label_access),
        line.row.control,
        line.level == "submitted" and not line.row.control,
        line.score is None,
        0.0 if line.score is None else -line.score.value,
        -len(line.tracks),
        -sum(shares),
        f"{line.group.label} {line.row.settings_digest}",
    )


def with_ranks(lines: Sequence[SuiteLine]) -> tuple[SuiteLine, ...]:
    """Rank the methods of each label access; see `starbench.leaderboard.statistics.verdict`."""

    def ranked(line: SuiteLine) -> bool:
        return (
            line.score is not None
            and not line.row.control
            and line.level != "submitted"
            and line.n_seeds >= MIN_SEEDS
        )

    def rank(line: SuiteLine) -> int:
        better = {
            other.row.method
            for other in lines
            if ranked(other)
            and other.row.label_access == line.row.label_access
            and compare_lines(other, line).low > 0
        }
        return 1 + len(better - {line.row.method})

    return tuple(replace(line, rank=rank(line)) if ranked(line) else line for line in lines)


def compare_lines(a: SuiteLine, b: SuiteLine) -> Comparison:
    """Compare two methods by their scores in the same resamples of the pairs.

    Raises
    ------
    ValueError
        If one has no score.
    """
    if a.score is None or b.score is None:
        raise ValueError("only methods with a score can be compared")
    low, high = interval(a.score.draws - b.score.draws)
    difference = a.score.value - b.score.value
    return Comparison(a.score.value, b.score.value, difference, low, high, a.n_seeds, b.n_seeds)


@dataclass(frozen=True, eq=False)
class SuiteVerdict:
    """How the ranked methods of one label access compare by their scores.

    Attributes
    ----------
    lines : tuple of SuiteLine
        The highest score first.
    comparisons : tuple of Comparison
        Of the first with each of the others.
    """

    lines: tuple[SuiteLine, ...]
    comparisons: tuple[Comparison, ...]

    @property
    def tied(self) -> tuple[int, ...]:
        """Positions of the methods whose score does not differ significantly from the best."""
        return tuple(place for place, each in enumerate(self.comparisons, 1) if not each.separable)


def suite_verdicts(scores: SuiteScores) -> dict[str, SuiteVerdict]:
    """Return the verdict of each label access in which a method has a rank."""
    verdicts = {}
    for access in ACCESS_ORDER:
        ranked = tuple(line for line in scores.of_access(access) if line.rank is not None)
        if ranked:
            compared = tuple(compare_lines(ranked[0], line) for line in ranked[1:])
            verdicts[access] = SuiteVerdict(ranked, compared)
    return verdicts
