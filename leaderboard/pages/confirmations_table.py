"""The confirmations of all rows: how far the figures on fresh stars are from those of the rows."""

from collections.abc import Sequence

from starbench.leaderboard.pages.escape import markdown
from starbench.leaderboard.pages.tables import table
from starbench.leaderboard.statistics.columns import percent, signed_points
from starbench.leaderboard.store.board import Entry
from starbench.leaderboard.store.confirmations import DECISIVE, read_confirmation
from starbench.leaderboard.store.records import row_digest
from starbench.leaderboard.store.task import task_order

TITLE = "## Confirmations on fresh stars"
COVERED = 0.95  # of honest rows lie in their interval

_HOW = """\
Each row's fixed state encoded as many new stars of its task. The difference of the share of nearest
twins, fresh minus row, is in points, with its 95 % interval, which one honest row in twenty misses.
A row that does is not confirmed; it can still be reproduced."""


def confirmations_section(entries: Sequence[Entry]) -> list[str]:
    """Return the blocks of the section; none without confirmations.

    Parameters
    ----------
    entries : sequence of Entry
        In any order.
    """
    lines, within = [], 0
    for entry in sorted(entries, key=_order):
        found = read_confirmation(entry.path)
        if found is None or entry.row.status != "ok":
            continue
        if found.row_sha256 != row_digest(entry.path):  # of an earlier content of the file
            continue
        apart, row = found.differences[DECISIVE], entry.row
        within += found.confirmed
        lines.append(
            (
                markdown(row.task),
                f"{markdown(row.method)} {row.seed}",
                percent(row.metrics[DECISIVE].value),
                percent(found.metrics[DECISIVE].value),
                signed_points(apart.value),
                rf"\[{signed_points(apart.low)}, {signed_points(apart.high)}\]",
                "yes" if found.confirmed else "**no**",
            )
        )
    if not lines:
        return []
    count = (
        f"{within} of {len(lines)} rows lie within their interval; {COVERED * len(lines):.0f} are "
        "to be expected."
    )
    header = ("Task", "Row", "Row [%]", "Fresh [%]", "Difference", "95 % interval", "Within")
    return [TITLE, f"{_HOW}\n{count}", table(header, "llrrrll", lines)]


def _order(entry: Entry) -> tuple[object, ...]:
    row = entry.row
    return row.control, row.method, -row.method_version, task_order(row.task), row.seed, entry.path
