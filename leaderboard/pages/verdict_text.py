"""The verdicts on all tasks as a paragraph of Markdown, for LEADERBOARD.md."""

from collections.abc import Mapping, Sequence

from starbench.leaderboard.pages.escape import markdown
from starbench.leaderboard.pages.names import method_name, task_order
from starbench.leaderboard.statistics.aggregate import Group
from starbench.leaderboard.statistics.columns import percent, scientific, two_decimals
from starbench.leaderboard.statistics.compare import Comparison
from starbench.leaderboard.statistics.verdict import Verdict

TITLE = "## Which method that sees nuisance labels is best"

_HOW = """\
A method's share is the mean over its seeds of the stars whose twin is nearest. Points are
differences of shares, the brackets their 95 % interval over all seeds of either method and over
pairs, which are the same for both; it is not widened for the number of methods. Two methods are not
told apart where it holds 0. Controls are left out; of each method the newest version counts."""


def verdict_section(verdicts: Mapping[str, Verdict]) -> list[str]:
    """Return the blocks of the section: none without verdicts.

    Parameters
    ----------
    verdicts : mapping of str to Verdict
        By task.
    """
    if not verdicts:
        return []
    return [TITLE, verdict_list(verdicts), _HOW]


def verdict_list(verdicts: Mapping[str, Verdict]) -> str:
    """Return the verdicts as a list of Markdown, from little noise to much."""
    return "\n".join(f"- {_sentences(verdicts[task])}" for task in sorted(verdicts, key=task_order))


def _sentences(verdict: Verdict) -> str:
    """Say who is best on a task, by how much, who is tied, and what else sets those apart."""
    names = [method_name(group, verdict.groups) for group in verdict.groups]
    best = f"On {markdown(verdict.task)}, **{names[0]}** "
    share = f"{percent(verdict.shares[0])} %"
    if len(names) == 1:
        return f"{best}stands alone, with {share} ({_count(verdict.groups[0])})."
    lead = verdict.comparisons[0, 1]
    first = (
        f"has the highest share of {len(names)},"
        if verdict.tied
        else f"is best of {len(names)} with"
    )
    text = (
        f"{best}{first} {share}, {_points(lead)} over {names[1]} ({_seeds(verdict.groups[:2])}); "
    )
    if verdict.tied:
        tied = [
            # The second's figures stand in the sentence already.
            names[place] if place == 1 else f"{names[place]} ({_behind(verdict, place)})"
            for place in verdict.tied
        ]
        text += f"not to be told apart from it: {', '.join(tied)}."
    else:
        text += "no other is tied with it."
    if len(verdict.saturated) > 1:
        text += f" At such shares the swapped MSE tells more: {_swapped(verdict, names)}."
    return text


def _points(comparison: Comparison) -> str:
    difference, low, high = (
        two_decimals(100 * value)
        for value in (comparison.difference, comparison.low, comparison.high)
    )
    return f"{difference} points [{low}, {high}]"


def _behind(verdict: Verdict, place: int) -> str:
    return f"{_points(verdict.comparisons[0, place])}, {_count(verdict.groups[place])}"


def _count(group: Group) -> str:
    count = "one seed" if len(group.entries) == 1 else f"{len(group.entries)} seeds"
    return count + _lost(group)


def _lost(group: Group) -> str:
    return f", {len(group.diverged)} more diverged" if group.diverged else ""


def _seeds(groups: Sequence[Group]) -> str:
    """Say how many seeds two methods have, and what the interval lacks where that is one."""
    counts = [len(group.entries) for group in groups]
    if any(group.diverged for group in groups):
        text = " and ".join(map(_count, groups))
    elif set(counts) == {1}:
        return "one seed each: the interval is of pairs alone"
    elif len(set(counts)) == 1:
        return f"{counts[0]} seeds each"
    else:
        text = f"{counts[0]} and {counts[1]} seeds"
    # One seed has no spread, as if the next would find the same.
    return text + ": the spread of the one is not in the interval" if 1 in counts else text


def _swapped(verdict: Verdict, names: Sequence[str]) -> str:
    figures = [verdict.groups[place].mean.get("swapped_reconstruction_mse")
               for place in verdict.saturated]  # fmt: skip
    return ", ".join(
        f"{names[place]} {'has no decoder' if figure is None else scientific(figure)}"
        for place, figure in zip(verdict.saturated, figures, strict=True)
    )
