"""The verdicts on all tasks as sentences in Markdown."""

from collections.abc import Mapping, Sequence

from starbench.leaderboard.pages.escape import markdown
from starbench.leaderboard.pages.names import method_name
from starbench.leaderboard.statistics.aggregate import Group
from starbench.leaderboard.statistics.columns import percent, scientific, two_decimals
from starbench.leaderboard.statistics.compare import Comparison
from starbench.leaderboard.statistics.verdict import Verdict
from starbench.leaderboard.store.task import task_order
from starbench.metrics import METRICS

SWAPPED = "swapped_reconstruction_mse"
TITLE = "## The best methods that see nuisance labels"

_HOW = """\
A method's share is the fraction of stars whose twin is nearest, mean over seeds. Points are
differences of shares; brackets are their 95 % interval over all possible seeds and over pairs, the
same pairs for both methods, without a correction for the number of methods. Methods whose interval
contains 0 are statistically tied. Methods with at least three seeds compete, each in its newest
version; controls do not, nor do methods with a row that is only submitted."""


def verdict_section(verdicts: Mapping[str, Verdict]) -> list[str]:
    """Return the blocks of the section on verdicts; none without verdicts.

    Parameters
    ----------
    verdicts : mapping of str to Verdict
        By task.
    """
    if not verdicts:
        return []
    return [TITLE, verdict_list(verdicts), _HOW]


def verdict_list(verdicts: Mapping[str, Verdict]) -> str:
    """Return the verdicts as a list in Markdown, by decreasing SNR."""
    return "\n".join(f"- {_sentences(verdicts[task])}" for task in sorted(verdicts, key=task_order))


def _sentences(verdict: Verdict) -> str:
    """Say which method is best on a task, by how much, and which are tied with it."""
    names = [method_name(group, verdict.groups) for group in verdict.groups]
    best = f"On {markdown(verdict.task)}, **{names[0]}**"
    share = f"{percent(verdict.shares[0])} %"
    if len(names) == 1:
        count = _count(verdict.groups[0])
        return f"{best} is the only method that competes, with {share} ({count})."
    lead = f"{points(verdict.comparisons[0, 1])} above {names[1]} ({_seeds(verdict.groups[:2])})"
    if verdict.tied:
        tied = [
            # The sentence has the second method's figures already.
            names[place] if place == 1 else f"{names[place]} ({_behind(verdict, place)})"
            for place in verdict.tied
        ]
        text = (
            f"{best} has the highest share of {len(names)} methods, {share}, {lead}; statistically "
            f"tied with it: {', '.join(tied)}."
        )
    else:
        others = "method" if len(names) == 2 else f"{len(names) - 1} methods"
        text = f"{best} is significantly better than the other {others}: {share}, {lead}."
    if len(verdict.saturated) > 1:
        swapped = METRICS[SWAPPED].label
        text += (
            f" At such high shares the {swapped[0].lower()}{swapped[1:]} separates methods better: "
            f"{_swapped(verdict, names)}."
        )
    return text


def points(comparison: Comparison, unit: str = " points") -> str:
    """Return a difference in points with its interval; with no unit where a page names it."""
    difference, low, high = (
        two_decimals(100 * value)
        for value in (comparison.difference, comparison.low, comparison.high)
    )
    return f"{difference}{unit} [{low}, {high}]"


def _behind(verdict: Verdict, place: int) -> str:
    return f"{points(verdict.comparisons[0, place])}, {_count(verdict.groups[place])}"


def _count(group: Group) -> str:
    count = f"{len(group.entries)} seeds"
    return count + (f", {len(group.diverged)} more diverged" if group.diverged else "")


def _seeds(groups: Sequence[Group]) -> str:
    """Say how many seeds two methods have."""
    counts = [len(group.entries) for group in groups]
    if any(group.diverged for group in groups):
        return " and ".join(map(_count, groups))
    if len(set(counts)) == 1:
        return f"{counts[0]} seeds each"
    return f"{counts[0]} and {counts[1]} seeds"


def _swapped(verdict: Verdict, names: Sequence[str]) -> str:
    errors = [verdict.groups[place].mean.get(SWAPPED)
               for place in verdict.saturated]  # fmt: skip
    return ", ".join(
        f"{names[place]} {'has no decoder' if error is None else scientific(error)}"
        for place, error in zip(verdict.saturated, errors, strict=True)
    )
