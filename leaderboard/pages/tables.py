"""Markdown tables of groups of rows and of published values."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from starbench.leaderboard.pages.escape import markdown
from starbench.leaderboard.pages.names import method_name
from starbench.leaderboard.statistics.aggregate import RANKED_BY, Group, rank_order
from starbench.leaderboard.statistics.columns import Column, column_values
from starbench.leaderboard.statistics.judgement import Judgement
from starbench.leaderboard.store.checks import interval_of
from starbench.leaderboard.store.published import Published
from starbench.results.schema import RecordedEstimate


def table(header: Sequence[str], align: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    """Return a Markdown table.

    Parameters
    ----------
    header : sequence of str
    align : sequence of {"l", "r"}
    lines : iterable of sequence of str
        Escaped cells.
    """
    rules = ["---:" if side == "r" else ":---" for side in align]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in (header, rules, *lines))


def mean_with_deviation(
    group: Group, column: Column, interval: tuple[float, float] | None = None
) -> tuple[str, str]:
    """Return mean ± standard deviation over seeds, and the interval of the mean if it is given.

    Empty where the method lacks the value; the number of seeds that have it where some lack it.
    """
    if column.key in group.partial:
        return f"{group.partial[column.key]} of {len(group.entries)} seeds", ""
    if column.key not in group.mean:
        return "", ""
    formatted = column.formatted(group.mean[column.key], group.deviation.get(column.key), interval)
    text = f"{formatted.value} ± {formatted.deviation}" if formatted.deviation else formatted.value
    return text, formatted.interval


def seeds(group: Group) -> str:
    """Return the number of scored seeds, and of diverged ones."""
    text = str(len(group.entries))
    return f"{text} (+ {len(group.diverged)} diverged)" if group.diverged else text


def with_interval(estimate: RecordedEstimate | None, column: Column) -> str:
    """Return a row's value with its 95 % interval; empty where it has none."""
    if estimate is None:
        return ""
    formatted = column.formatted(estimate.value, interval=interval_of(estimate))
    return f"{formatted.value} [{formatted.interval}]" if formatted.interval else formatted.value


def published_name(line: Published) -> str:
    """Return the method of a published line, with its source."""
    return (
        f"*{markdown(line.method)}* (published: {markdown(line.source)}; "
        f"{line.gallery_size:,} stars)"
    )


@dataclass(frozen=True)
class Lines:
    """Makes the lines of a table.

    Attributes
    ----------
    columns : sequence of Column
    judged : Judgement
    """

    columns: Sequence[Column]
    judged: Judgement

    @property
    def header(self) -> tuple[str, ...]:
        """Titles of the columns."""
        return ("Rank", "Method", "Level", "Seeds", *(column.title for column in self.columns))

    @property
    def align(self) -> str:
        """Alignment of the columns."""
        return "rll" + "r" * (len(self.columns) + 1)

    def of(
        self,
        groups: Sequence[Group],
        published: Sequence[Published] = (),
        others: Sequence[Group] | None = None,
    ) -> list[tuple[str, ...]]:
        """Return the cells of rows and published values, the best first.

        `others` are the groups from which names should be distinct, by default `groups`.
        """
        keyed = []
        for group in groups:
            cells = self._of_group(group, groups if others is None else others)
            nearest = group.mean.get(RANKED_BY)
            order = rank_order(group.row.control, group.level, nearest, cells[1])
            keyed.append((order, cells))
        for line in published:
            cells = self._of_published(line)
            nearest = line.values.get(RANKED_BY)
            keyed.append((rank_order(False, "submitted", nearest, cells[1]), cells))
        return [cells for _, cells in sorted(keyed)]

    def _of_group(self, group: Group, groups: Sequence[Group]) -> tuple[str, ...]:
        # Only the share that ranks are based on shows its interval, as three would crowd the line.
        intervals = {RANKED_BY: self.judged.intervals.get(group.key)}
        texts = [
            mean_with_deviation(group, column, intervals.get(column.key)) for column in self.columns
        ]
        return (
            str(self.judged.ranks.get(group.key, "")),
            method_name(group, groups),
            group.level,
            f"[{seeds(group)}](#{group.key})",  # to the single rows of the line
            *(rf"{text} \[{interval}\]" if interval else text for text, interval in texts),
        )

    def _of_published(self, line: Published) -> tuple[str, ...]:
        values = column_values(line.values)
        return (
            "",
            published_name(line),
            "",
            "",
            *(
                column.write(values[column.key]) if column.key in values else ""
                for column in self.columns
            ),
        )
