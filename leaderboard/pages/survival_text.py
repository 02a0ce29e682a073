"""Which approaches survive the tracks that break an assumption, as Markdown."""

from collections.abc import Sequence

from starbench.common.text import joined
from starbench.leaderboard.pages.escape import markdown
from starbench.leaderboard.pages.names import method_name
from starbench.leaderboard.pages.tables import table
from starbench.leaderboard.statistics.aggregate import Group
from starbench.leaderboard.statistics.columns import percent
from starbench.leaderboard.statistics.suite_scores import SuiteScores
from starbench.leaderboard.statistics.survival import Best, Outcome, Survival, survival
from starbench.methods.approaches import MEANINGS

TITLE = "### Which approaches survive a broken assumption"

_HOW = """\
The best method of each approach and the share of the gap between chance and the information bound
that it closes [%], among methods with at least three seeds on the track, all reproduced or
confirmed. An approach survives a track if its best method closes at least half of the gap there; it
breaks if that closes less, though the best on {unbroken}, where nothing is broken, closes at least
half; it is weak if it closes less than half on both. Each holds by the 95 % interval in brackets,
over pairs and seeds; approaches of which one contains 50 % are undecided."""

_VERBS: dict[Outcome, tuple[str, str]] = {
    "survives": ("survives", "survive"),
    "breaks": ("breaks", "break"),
    "weak": ("is weak with nothing broken", "are weak with nothing broken"),
    "undecided": ("is undecided", "are undecided"),
}


def survival_section(scores: SuiteScores) -> list[str]:
    """Return the blocks of the section; none where no method competes on the unbroken track."""
    found = survival(scores)
    if found is None:
        return []
    groups = [line.group for line in scores.lines]
    sentences = [_sentence(found, task, groups) for task in found.tasks[1:]]
    items = "\n".join(f"- {sentence}" for sentence in sentences if sentence)
    approaches = "; ".join(f"{name}: {MEANINGS[name]}" for name in found.best)
    how = _HOW.format(unbroken=markdown(found.tasks[0]))
    blocks = [TITLE, items, _table(found, groups), how, f"Approaches: {approaches}."]
    return [block for block in blocks if block]


def _sentence(found: Survival, task: str, groups: Sequence[Group]) -> str:
    """Say of each outcome which approaches have it on a track."""
    by_outcome: dict[Outcome, list[str]] = {}
    for name, by_task in found.best.items():
        outcome = found.outcome(name, task)
        if outcome is not None:
            best = _described(by_task[task], groups)
            by_outcome.setdefault(outcome, []).append(f"**{name}** ({best})")
    if not by_outcome:
        return ""
    parts = [
        f"{joined(by_outcome[outcome])} {verbs[len(by_outcome[outcome]) > 1]}"
        for outcome, verbs in _VERBS.items()
        if outcome in by_outcome
    ]
    return f"On {markdown(task)}: {'; '.join(parts)}."


def _described(best: Best, groups: Sequence[Group]) -> str:
    interval = rf"\[{percent(best.low)}, {percent(best.high)}\]"
    return f"{method_name(best.line.group, groups)} {percent(best.gap)} % {interval}"


def _table(found: Survival, groups: Sequence[Group]) -> str:
    lines = []
    for name, by_task in found.best.items():
        cells = [
            f"{method_name(by_task[task].line.group, groups)} {percent(by_task[task].gap)}"
            if task in by_task
            else ""
            for task in found.tasks
        ]
        lines.append((name, *cells))
    header = ("Approach", *map(markdown, found.tasks))
    return table(header, "l" + "r" * len(found.tasks), lines)
