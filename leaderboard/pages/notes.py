"""What stands below a table: in what its lines differ though they are compared."""

from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import groupby

from starbench.leaderboard.pages.names import method_name
from starbench.leaderboard.statistics.aggregate import Group


def ranges(seeds: Iterable[int]) -> str:
    """Write numbers with runs of them shortened.

    Examples
    --------
    >>> ranges([0, 1, 2, 3, 7, 9, 8])
    '0-3, 7-9'
    """
    parts = []
    # Within a run, number less place is one number.
    for _, run in groupby(enumerate(sorted(seeds)), key=lambda pair: pair[1] - pair[0]):
        numbers = [number for _, number in run]
        parts.append(f"{numbers[0]}-{numbers[-1]}" if len(numbers) > 1 else str(numbers[0]))
    return ", ".join(parts)


def seeds_note(groups: Sequence[Group], ranked: Sequence[Group]) -> str:
    """Say which ranked methods have other seeds than most, and what a single one leaves out.

    Empty where all have the same, more than one.

    Parameters
    ----------
    groups : sequence of Group
        All lines of the table, which tell names apart.
    ranked : sequence of Group
        Those with a rank.
    """
    of = [tuple(entry.row.seed for entry in group.entries) for group in ranked]
    counts = Counter(of)
    told = []
    if len(counts) > 1:
        usual = max(counts, key=lambda seeds: (counts[seeds], len(seeds), seeds))
        number = "most have" if 2 * counts[usual] > len(of) else "many have"
        others = [
            f"{method_name(group, groups)} has {ranges(seeds)}"
            for group, seeds in zip(ranked, of, strict=True)
            if seeds != usual
        ]
        most = f"seed {usual[0]} alone" if len(usual) == 1 else f"seeds {ranges(usual)}"
        told.append(f"Unequal seeds: {number} {most}, but {'; '.join(others)}.")
    if any(len(seeds) == 1 for seeds in of):
        told.append("With one seed, interval and rank leave out how far trainings differ.")
    return " ".join(told)
