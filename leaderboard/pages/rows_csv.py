"""leaderboard.csv, every row with every metric, and suite.csv, every method on every track.

A spreadsheet reads a cell that begins with = + - or @ as a formula, and in untrusted text a formula
could fetch or send data. Such text is prefixed with an apostrophe, which makes a spreadsheet
display it literally. Numbers, including negative ones, are written unchanged.
"""

import csv
import io
import json
import re
from collections.abc import Mapping, Sequence

from starbench.leaderboard.statistics.aggregate import Section
from starbench.leaderboard.statistics.facts import (
    metric_facts,
    metric_names,
    row_facts,
    suite_facts,
)
from starbench.leaderboard.statistics.judgement import Judgement
from starbench.leaderboard.statistics.suite_scores import SuiteScores
from starbench.leaderboard.store.names import ROWS

# A spreadsheet that separates cells by semicolons starts a new cell at one. Quotes and blanks
# before the sign may be dropped, and some languages read full-width signs as ASCII ones.
_FORMULA = re.compile(r"""(^|;)(?=[\s"]*[=+\-@\uff1d\uff0b\uff0d\uff20])""")


def harmless(text: str) -> str:
    """Return text that no spreadsheet reads as a formula.

    Examples
    --------
    >>> harmless("=1+1"), harmless("a = b"), harmless("x;@SUM(A1)")
    ("'=1+1", 'a = b', "x;'@SUM(A1)")
    """
    return _FORMULA.sub(r"\1'", text)


def rows_csv(all_sections: Sequence[Section], judged: Judgement) -> str:
    """Return all rows as CSV, one per line, in the order of LEADERBOARD.md.

    Parameters
    ----------
    all_sections : sequence of Section
        Those of all rows.
    judged : Judgement
        From the ranks beside the rows; ``rank`` is of the row's group.

    Returns
    -------
    str
        Rows that share a ``group`` are averaged in one line of the tables; rows that share a
        ``set`` may be compared; ``level`` says how far a row has been checked. Each metric has the
        columns ``<metric>``, ``<metric>.low``, ``<metric>.high`` and ``<metric>.version``, empty
        where a row lacks it.
    """
    metrics = metric_names(
        entry.row
        for section in all_sections
        for group in section.groups
        for entry in (*group.entries, *group.diverged)
    )
    lines: list[dict[str, object]] = []
    for number, section in enumerate(all_sections, 1):
        for group in section.groups:
            for entry in (*group.entries, *group.diverged):
                lines.append(
                    {
                        "file": f"{ROWS}/{entry.path.name}",
                        "set": number,
                        "group": group.key,
                        "rank": judged.ranks.get(group.key),
                        "superseded": section.superseded(group),
                        "level": entry.level,
                        **row_facts(entry.row),
                        **metric_facts(entry.row, metrics),
                    }
                )
    return _csv(lines)


def suite_csv(scores: SuiteScores) -> str:
    """Return a suite as CSV, one method per line, in the order of LEADERBOARD.md."""
    return _csv(suite_facts(scores))


def _csv(lines: Sequence[Mapping[str, object]]) -> str:
    text = io.StringIO()
    if lines:
        writer = csv.DictWriter(text, list(lines[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows({key: _cell(value) for key, value in line.items()} for line in lines)
    return text.getvalue()


def _cell(value: object) -> str:
    """Write a value: None as an empty cell, numbers so that they read back exactly."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, dict):
        return harmless(json.dumps(value, sort_keys=True, ensure_ascii=False))
    return harmless(value) if isinstance(value, str) else repr(value)
