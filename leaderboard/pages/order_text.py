"""Where the order of methods turns over between the tracks of a suite, as sentences in Markdown."""

from collections.abc import Sequence

from starbench.leaderboard.pages.escape import markdown
from starbench.leaderboard.pages.names import method_name
from starbench.leaderboard.pages.verdict_text import points
from starbench.leaderboard.statistics.aggregate import Group
from starbench.leaderboard.statistics.columns import percent
from starbench.leaderboard.statistics.suite_scores import SuiteLine, SuiteScores
from starbench.leaderboard.statistics.turnovers import TrackOrder, Turnover, track_orders

TITLE = "### Which methods win on each track, and where their order turns over"
SHOWN = 2  # turnovers of a track that are spelled out

_HOW = """\
The best method of each label access, by its share of nearest twins, among methods with at least
three seeds on the track, all reproduced or confirmed. A method that has rows beside the suite alone
is not among them; the tables of that track rank it. Two methods turn over if one is significantly
better on {reference} and the other on the track; brackets are 95 % intervals of the difference over
pairs and seeds. The number counts all pairs of methods, of any label access, of which one is
significantly better on both tracks."""


def order_section(scores: SuiteScores) -> list[str]:
    """Return the blocks of the section; none where no method competes on a second track."""
    reference = scores.suite.tasks[0]
    orders = track_orders(scores, reference)
    if not orders:
        return []
    groups = [line.group for line in scores.lines]
    items = "\n".join(f"- {_sentences(order, groups, reference)}" for order in orders)
    return [TITLE, items, _HOW.format(reference=markdown(reference))]


def _sentences(order: TrackOrder, groups: Sequence[Group], reference: str) -> str:
    def name(line: SuiteLine) -> str:
        return method_name(line.group, groups)

    best = [
        f"**{name(line)}** {percent(order.shares[access])} % ({access})"
        for access, line in order.best.items()
    ]
    text = f"On {markdown(order.task)}: {', '.join(best)}"
    if order.lead is not None:
        verdict = "ahead by" if order.lead.separable else "statistically tied, ahead by"
        text += f"; the first is {verdict} {points(order.lead)}"
    text += f". {_turnovers(order, reference)}"
    shown = [_spelled_out(each, name(each.ahead), name(each.behind)) for each in _largest(order)]
    alike = [
        f"{percent(share)} % by {name(line)}"
        for line in order.best.values()
        if (share := _alike_field_pairs(line, order.task)) is not None
    ]
    if alike:
        shown.append(
            "Random pairs of field stars that are as alike as the median pair of siblings: "
            f"{', '.join(alike)}."
        )
    return " ".join([text, *shown])


def _alike_field_pairs(line: SuiteLine, task: str) -> float | None:
    """Return the mean over seeds of this metric, which surveys alone have."""
    score = line.on(task)
    return None if score is None else score.group.mean.get("alike_field_pairs")


def _turnovers(order: TrackOrder, reference: str) -> str:
    if not order.ordered:
        return f"No two methods can be compared with {markdown(reference)} yet."
    if not order.turnovers:
        return f"None of {order.ordered} pairs of methods turns over."
    verb = "turns" if len(order.turnovers) == 1 else "turn"
    return f"{len(order.turnovers)} of {order.ordered} pairs of methods {verb} over."


def _largest(order: TrackOrder) -> list[Turnover]:
    """Return the largest turnovers, of which no two share the method that is now ahead."""
    by_ahead: dict[int, Turnover] = {}
    for each in order.turnovers:
        by_ahead.setdefault(id(each.ahead), each)
    return list(by_ahead.values())[:SHOWN]


def _spelled_out(turnover: Turnover, ahead: str, behind: str) -> str:
    return (
        f"{ahead} finds {points(turnover.here)} more than {behind}, having found "
        f"{points(turnover.reference)}."
    )
