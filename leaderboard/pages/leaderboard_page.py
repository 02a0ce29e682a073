"""LEADERBOARD.md: the tables of all tasks, their verdicts, definitions and single rows.

Everything that comes from a row and is not a number is escaped by
`starbench.leaderboard.pages.escape`.
"""

from collections import Counter
from collections.abc import Sequence

from starbench.leaderboard.pages.claims import CEILING, LEVELS, REPRESENTATION, SOURCES
from starbench.leaderboard.pages.confirmations_table import confirmations_section
from starbench.leaderboard.pages.escape import markdown
from starbench.leaderboard.pages.names import ACCESS_TITLES, remarks
from starbench.leaderboard.pages.notes import notes
from starbench.leaderboard.pages.suite_table import suite_section
from starbench.leaderboard.pages.tables import Lines, table, with_interval
from starbench.leaderboard.pages.verdict_text import verdict_section
from starbench.leaderboard.statistics.aggregate import Group, Section, sections
from starbench.leaderboard.statistics.columns import COLUMNS, Column
from starbench.leaderboard.statistics.judgement import Judgement
from starbench.leaderboard.statistics.suite_scores import SuiteScores
from starbench.leaderboard.store.board import Entry
from starbench.leaderboard.store.levels import LEVELS as LEVEL_NAMES
from starbench.leaderboard.store.names import ROWS
from starbench.leaderboard.store.published import Published, published_results
from starbench.leaderboard.store.task import task_order
from starbench.metrics import METRICS
from starbench.results.schema import Row

CSV = "leaderboard.csv"
HOW_TITLE = "## How to read the tables of tracks"

_HOW_TO_READ = """\
Methods are scored on the test split of a task. It holds pairs of spectra ("twins") that share their
composition and differ in the nuisance, such as effective temperature and gravity: 12,500 pairs on
`apogee-giants` and its noise tracks, 5,000 on the other tracks of pairs. `apogee-giants-survey` has
10,931 single stars, some of them in clusters. Values are means over seeds, with ± the
standard deviation if there are several seeds. Brackets after the share of nearest twins are its
95 % interval, which covers both seeds and stars: pairs are resampled, and within each resample the
mean over seeds is drawn from Student's t distribution. Squared errors and probes have no such
interval, because only ranks are stored for every star. Diverged runs are excluded from means and
counted in the column "Seeds", which links to the single rows. Each label access has its own table,
and rows of different data or metric versions are never averaged or compared.

Rank: 1 + the number of methods in the table that find significantly more nearest twins on the same
stars, that is, for which the 95 % interval of the difference lies above 0. A method with
several settings counts once. Ties are not transitive: if b is statistically tied with a and with c,
but a is significantly better than c, the ranks of a, b and c are 1, 1 and 2. There are no ranks for
controls, published values, older versions of a method, methods with more diverged than scored runs,
methods with fewer than three seeds, whose interval omits or hardly knows the scatter between
seeds, and methods with a row that is only submitted.

Looks: how many other settings of its method a row's machine had scored on the same test split
before. The best of many settings is too good by chance; intervals do not correct for it, so the
single rows say it.

Controls calibrate the scale and are not ranked. They show the share found by chance
(`random-latent`, `constant-latent`, `nuisance-latent`, `twin-by-order`), from the spectrum itself
(`raw-flux`), and from the true abundances (`composition`). `information-bound` is the highest share
that any latent of noisy spectra can reach if the generator is known, and Teff and log g too, or
unknown with `nuisance_known = False`."""


def leaderboard_page(
    entries: Sequence[Entry],
    judged: Judgement | None = None,
    scores: SuiteScores | None = None,
    all_sections: Sequence[Section] | None = None,
) -> str:
    """Return LEADERBOARD.md.

    Parameters
    ----------
    entries : sequence of Entry
        In any order.
    judged : Judgement, optional
        From the ranks beside the rows; without it the page has no ranks and verdicts.
    scores : SuiteScores, optional
        Of the suite that the page opens with, from the ranks beside the rows.
    all_sections : sequence of Section, optional
        Those of the entries, where they are at hand.
    """
    judged = judged or Judgement()
    all_sections = sections(entries) if all_sections is None else all_sections
    published = published_results()
    tasks = sorted(
        {section.task for section in all_sections} | {line.task for line in published},
        key=task_order,
    )
    parts = [
        "# Leaderboard",
        "<!-- Generated from the rows by `starbench leaderboard build`; do not edit. -->",
        *([] if scores is None else suite_section(scores)),
        HOW_TITLE,
        _HOW_TO_READ,
        f"{LEVELS} {_levels_in_numbers(entries)}".rstrip(),
        CEILING,
        REPRESENTATION,
        SOURCES,
        *verdict_section(judged.verdicts.get("nuisance", {})),
    ]
    for task in tasks:
        parts += _task_part(
            task,
            [section for section in all_sections if section.task == task],
            judged,
            [line for line in published if line.task == task],
        )
    parts += [*_definitions(), *confirmations_section(entries), *_single_rows(entries)]
    return "\n\n".join(parts) + "\n"


def _levels_in_numbers(entries: Sequence[Entry]) -> str:
    """Say how many rows are of each level."""
    counts = Counter(entry.level for entry in entries)
    if not counts:
        return ""
    numbers = [f"{counts[level]} {level}" for level in reversed(LEVEL_NAMES)]
    return f"Rows here: {', '.join(numbers)}."


def _task_part(
    task: str,
    task_sections: Sequence[Section],
    judged: Judgement,
    published: Sequence[Published],
) -> list[str]:
    parts = [f"## {markdown(task)}"]
    if not task_sections:
        parts += ["No rows yet.", *_tables((), _columns(()), judged, published)]
    for number, section in enumerate(task_sections):
        facts = [f"Task version {section.task_version}", f"scale {section.scale}"]
        facts.append(f"data `{section.data_fingerprint}`")
        if section.versions:
            facts.append(_versions(section))
        line = ", ".join(facts) + "."
        if len(task_sections) > 1:
            parts.append(f"### Comparable rows, set {number + 1} of {len(task_sections)}")
            line += " Not comparable with the other sets."
        # Published values belong to the task, so they appear once, beside the newest rows.
        columns, lines = _columns(section.groups), published if number == 0 else ()
        current = [group for group in section.groups if not section.superseded(group)]
        parts += [line, *_tables(current, columns, judged, lines)]
        parts += _superseded(section, judged)
    return parts


def _tables(
    groups: Sequence[Group],
    columns: Sequence[Column],
    judged: Judgement,
    published: Sequence[Published],
) -> list[str]:
    """Return a table for each label access that has lines."""
    parts = []
    lines_of = Lines(columns, judged)
    for access, title in ACCESS_TITLES.items():
        of_access = [group for group in groups if group.row.label_access == access]
        lines = lines_of.of(of_access, [line for line in published if line.label_access == access])
        if lines:
            parts += [f"#### {title}", table(lines_of.header, lines_of.align, lines)]
        note = notes(of_access, [group for group in of_access if group.key in judged.ranks])
        parts += [note] if note else []
    return parts


def _columns(groups: Sequence[Group]) -> list[Column]:
    """Return the columns of a section, without later metrics that no row of it has."""
    known = {key for group in groups for key in (*group.mean, *group.partial)}
    return [column for column in COLUMNS if column.key in known or not column.later]


def _superseded(section: Section, judged: Judgement) -> list[str]:
    groups = [group for group in section.groups if section.superseded(group)]
    if not groups:
        return []
    lines_of = Lines(_columns(section.groups), judged)
    return [
        "#### Superseded",
        "Older versions of the methods above, of every label access. They are not ranked.",
        table(lines_of.header, lines_of.align, lines_of.of(groups, others=section.groups)),
    ]


def _versions(section: Section) -> str:
    by_version: dict[int, list[str]] = {}
    for name, version in section.versions.items():
        by_version.setdefault(version, []).append(name)
    if len(by_version) == 1:
        return f"metric version {next(iter(by_version))}"
    usual = max(by_version, key=lambda version: (len(by_version[version]), version))
    exceptions = [
        f"`{name}` {version}"
        for version, names in sorted(by_version.items())
        if version != usual
        for name in names
    ]
    return f"metric version {usual}, but {', '.join(exceptions)}"


def _definitions() -> list[str]:
    lines = [
        (
            f"`{name}`",
            markdown(metric.definition),
            markdown(metric.unit),
            "higher" if metric.higher_is_better else "lower",
            str(metric.version),
        )
        for name, metric in METRICS.items()
    ]
    header = ("Metric", "Definition", "Unit", "Better", "Version")
    return [
        "## What the columns mean",
        "\n".join(f"- {column.title}: {column.meaning}" for column in COLUMNS),
        table(header, "lllrr", lines),
    ]


def _commit(row: Row) -> str:
    """Return the commit of starbench, and the digest of a third party's code."""
    code = f", code `{row.code.sha256[:10]}`" if row.code else ""
    if row.commit is None:
        return f"release {markdown(row.starbench_version)}{code}"
    return f"`{row.commit[:10]}`" + (" (changed)" if row.dirty else "") + code


def _by_group(entry: Entry) -> tuple[object, ...]:
    """Sort rows by group, as the line of a group links to its first row."""
    row = entry.row
    order = task_order(row.task), -row.task_version, row.method, -row.method_version
    return *order, row.settings_digest, row.data_fingerprint, row.status != "ok", row.seed


def _single_rows(entries: Sequence[Entry]) -> list[str]:
    if not entries:
        return []
    known = {name for entry in entries for name in entry.row.metrics}
    columns = [
        column
        for column in COLUMNS
        if column.key in METRICS and (column.key in known or not column.later)
    ]
    lines = []
    for entry in sorted(entries, key=_by_group):
        row, hardware = entry.row, entry.row.hardware
        machine = hardware.machine
        if hardware.accelerator is None:
            machine += f", {hardware.threads} threads"
        cells = [
            f'<a id="{entry.path.stem}"></a>'
            f"[{markdown(row.task)} {row.method} {row.seed}]({ROWS}/{entry.path.name})"
        ]
        if row.status == "ok":
            if row.message:
                cells[0] += f": {markdown(row.message)}"
            cells[0] += "".join(f"; {markdown(each)}" for each in remarks(row))
            cells += [
                markdown(with_interval(row.metrics.get(column.key), column)) for column in columns
            ]
        else:
            cells += [f"{row.status}: {markdown(row.message or '')}"] + [""] * (len(columns) - 1)
        cells += [
            entry.level,
            _commit(row),
            markdown(machine),
            f"<code>{markdown(row.command)}</code>",
        ]
        lines.append(cells)
    header = ("Row", *(column.title for column in columns), "Level", "Commit", "Machine", "Command")
    align = "l" + "r" * len(columns) + "llll"
    return [
        "## Single rows",
        "Each with its 95 % interval from a bootstrap over pairs, and the command that repeats the "
        f"run at its commit. [{CSV}]({CSV}) has all metrics of all rows. `starbench leaderboard "
        "verify` recomputes the shares and ranks of each row from the ranks of its stars; "
        "`starbench leaderboard reproduce` repeats a run and compares its metrics with the row; "
        "`starbench leaderboard confirm` scores its fixed state on stars that nobody had seen. The "
        "level says which of these was done.",
        table(header, align, lines),
    ]
