"""leaderboard.csv: every row with every figure, for a spreadsheet or a data frame.

A spreadsheet takes a cell that begins with = + - or @ for a formula, and one that a stranger wrote
could fetch or send something. Such texts get an apostrophe before them, which makes a spreadsheet
show them as they are. Numbers are written as they are, negative ones too.
"""

import csv
import io
import json
import re
from collections.abc import Sequence

from starbench.leaderboard.statistics.aggregate import sections
from starbench.leaderboard.statistics.judgement import Judgement
from starbench.leaderboard.store.board import Entry
from starbench.metrics import METRICS, family
from starbench.results.schema import Row

# Where a spreadsheet expects semicolons, one within a text begins a new cell. Quotes and blanks
# before the sign may be dropped, and full-width signs are taken for plain ones in some languages.
_FORMULA = re.compile(r"""(^|;)(?=[\s"]*[=+\-@\uff1d\uff0b\uff0d\uff20])""")


def harmless(text: str) -> str:
    """Return a text that no spreadsheet takes for a formula.

    Examples
    --------
    >>> harmless("=1+1"), harmless("a = b"), harmless("x;@SUM(A1)")
    ("'=1+1", 'a = b', "x;'@SUM(A1)")
    """
    return _FORMULA.sub(r"\1'", text)


def rows_csv(entries: Sequence[Entry], judged: Judgement) -> str:
    """Return all rows as CSV, one a line, in the order of their groups on the page.

    Parameters
    ----------
    entries : sequence of Entry
        In any order.
    judged : Judgement
        From the ranks beside the rows; ``rank`` is of the row's group.

    Returns
    -------
    str
        ``group`` names the rows that are summed up in one line of the tables, ``set`` those that
        may be compared. Of each metric there are ``<metric>``, ``<metric>.low``, ``<metric>.high``
        and ``<metric>.version``, empty where a row does not have it.
    """
    order = {name: number for number, name in enumerate(METRICS)}
    metrics = sorted(
        {name for entry in entries for name in entry.row.metrics},
        key=lambda name: (order.get(family(name), len(order)), name),
    )
    lines = []
    for number, section in enumerate(sections(entries), 1):
        for group in section.groups:
            for entry in (*group.entries, *group.diverged):
                lines.append(
                    {
                        "file": f"rows/{entry.path.name}",
                        "set": number,
                        "group": group.key,
                        "rank": judged.ranks.get(group.key),
                        "superseded": section.superseded(group),
                        **_facts(entry.row),
                        **_figures(entry.row, metrics),
                    }
                )
    text = io.StringIO()
    if lines:
        writer = csv.DictWriter(text, list(lines[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows({key: _cell(value) for key, value in line.items()} for line in lines)
    return text.getvalue()


def _facts(row: Row) -> dict[str, object]:
    """Return what a row says of itself, beside its figures."""
    return {
        "task": row.task,
        "task_version": row.task_version,
        "scale": row.scale,
        "data_fingerprint": row.data_fingerprint,
        "method": row.method,
        "method_version": row.method_version,
        "label_access": row.label_access,
        "control": row.control,
        "seed": row.seed,
        "status": row.status,
        "message": row.message,
        "settings_digest": row.settings_digest,
        "preset": row.preset,
        "overrides": json.dumps(row.overrides, sort_keys=True, ensure_ascii=False),
        "reference": row.reference,
        "selection_rule": row.selection.rule,
        "selected_epoch": row.selection.epoch,
        "epochs": row.epochs,
        "n_parameters": row.n_parameters,
        **{f"seconds.{stage}": row.seconds.get(stage) for stage in ("data", "fit", "score")},
        "peak_memory_mb": row.peak_memory_mb,
        "processor": row.hardware.processor,
        "accelerator": row.hardware.accelerator,
        "threads": row.hardware.threads,
        "starbench_version": row.starbench_version,
        "commit": row.commit,
        "dirty": row.dirty,
        "ranks_sha256": row.ranks_sha256,
        "predictions_sha256": row.predictions_sha256,
        "command": row.command,
    }


def _figures(row: Row, metrics: Sequence[str]) -> dict[str, object]:
    cells = {}
    for name in metrics:
        figure = row.metrics.get(name)
        for column, field in ((name, "value"), (f"{name}.low", "low"), (f"{name}.high", "high"),
                              (f"{name}.version", "version")):  # fmt: skip
            cells[column] = None if figure is None else getattr(figure, field)
    return cells


def _cell(value: object) -> str:
    """Write a value: what is not known as nothing, numbers so that they read back the same."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    return harmless(value) if isinstance(value, str) else repr(value)
