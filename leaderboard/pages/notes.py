"""Notes below a table: how the compared methods differ in their seeds."""

from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import groupby

from starbench.leaderboard.pages.names import method_name
from starbench.leaderboard.statistics.aggregate import Group
from starbench.leaderboard.statistics.verdict import MIN_SEEDS
from starbench.leaderboard.store.levels import unranked


def ranges(seeds: Iterable[int]) -> str:
    """Write numbers, with consecutive ones as ranges.

    Examples
    --------
    >>> ranges([0, 1, 2, 3, 7, 9, 8])
    '0-3, 7-9'
    """
    parts = []
    # Consecutive numbers have the same difference to their position.
    for _, run in groupby(enumerate(sorted(seeds)), key=lambda pair: pair[1] - pair[0]):
        numbers = [number for _, number in run]
        parts.append(f"{numbers[0]}-{numbers[-1]}" if len(numbers) > 1 else str(numbers[0]))
    return ", ".join(parts)


def notes(groups: Sequence[Group], ranked: Sequence[Group]) -> str:
    """Say why methods have no rank and how the ranked ones differ in their seeds.

    Parameters
    ----------
    groups, ranked
        As `seeds_note` takes them.
    """
    return " ".join(filter(None, (levels_note(groups), seeds_note(groups, ranked))))


def levels_note(groups: Sequence[Group]) -> str:
    """Say which methods have no rank as a row of theirs is only submitted, and why it is."""
    competing = [group for group in groups if group.entries and not group.row.control]
    by_reason: dict[str, list[str]] = {}
    for group in competing:
        reasons = (unranked(entry.row, entry.level) for entry in group.entries)
        reason = next(filter(None, reasons), None)
        if reason is not None:
            by_reason.setdefault(reason, []).append(method_name(group, groups))
    if not by_reason:
        return ""
    if len(by_reason) == 1 and len(next(iter(by_reason.values()))) == len(competing):
        return (
            "No method has a rank here, as each has a row that is only submitted: "
            f"{next(iter(by_reason))}."
        )
    listed = "; ".join(f"{reason}: {', '.join(names)}" for reason, names in by_reason.items())
    return f"Without a rank, as a row is only submitted: {listed}."


def seeds_note(groups: Sequence[Group], ranked: Sequence[Group]) -> str:
    """Say which ranked methods have other seeds than most, and which have too few for a rank.

    Empty where all have the same seeds, enough of them.

    Parameters
    ----------
    groups : sequence of Group
        All lines of the table.
    ranked : sequence of Group
        Those with a rank.
    """
    seeds_of = [tuple(entry.row.seed for entry in group.entries) for group in ranked]
    counts = Counter(seeds_of)
    sentences = []
    if len(counts) > 1:
        usual = max(counts, key=lambda seeds: (counts[seeds], len(seeds), seeds))
        share = "most have" if 2 * counts[usual] > len(seeds_of) else "many have"
        exceptions = [
            f"{method_name(group, groups)} has {ranges(seeds)}"
            for group, seeds in zip(ranked, seeds_of, strict=True)
            if seeds != usual
        ]
        sentences.append(
            f"Unequal seeds: {share} seeds {ranges(usual)}, but {'; '.join(exceptions)}."
        )
    competing = [group for group in groups if group.entries and not group.row.control]
    few = [group for group in competing if len(group.entries) < MIN_SEEDS]
    if few:
        names = ", ".join(method_name(group, groups) for group in few)
        sentences.append(f"Without a rank, as they have fewer than three seeds: {names}.")
    if any(len(group.entries) == 1 for group in few):
        sentences.append("The interval of a method with one seed omits the scatter between seeds.")
    return " ".join(sentences)
