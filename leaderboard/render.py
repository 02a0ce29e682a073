"""LEADERBOARD.md and the README's table, from rows and their ranks: the same give the same bytes.

Nothing here knows the date, the machine or the order of the files; whatever comes out of a row and
is not a number passes `starbench.leaderboard.escape`.
"""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from starbench.leaderboard.aggregate import Group, Section, rank_order, sections
from starbench.leaderboard.board import Entry
from starbench.leaderboard.columns import COLUMNS, Column, figures_of
from starbench.leaderboard.escape import markdown
from starbench.leaderboard.names import method_name, task_order
from starbench.leaderboard.published import Published, published_figures
from starbench.leaderboard.verdict import Verdict, verdicts
from starbench.leaderboard.verdict_text import verdict_section
from starbench.metrics import METRICS
from starbench.results import Figure, Row, RowError, replacing, shown

PAGE = "LEADERBOARD.md"
BEGIN, END = "<!-- leaderboard:begin -->", "<!-- leaderboard:end -->"
README_TASK = "apogee-giants"

ACCESS = {
    "none": "No labels",
    "nuisance": "Nuisance labels",
    "pairs": "Pairs: which spectra are twins",
    "oracle": "Oracle: composition, or the generator",
}
_README_COLUMNS = tuple(
    column
    for column in COLUMNS
    if column.key
    in {
        "doppelganger_free",
        "doppelganger_0.1",
        "doppelganger_1",
        "reconstruction_mse",
        "swapped_reconstruction_mse",
    }
)

_HOW_TO_READ = """\
Methods are judged on the test split of a task: 12,500 pairs of spectra that share their composition
and differ in effective temperature and gravity. A figure is the mean over seeds, ± its standard
deviation over seeds; with one seed there is no ±. Methods of different label access stand in
different tables, and rows of different data or metric versions are never averaged or compared.

Lines marked as published are figures that others printed for their own spectra and their own
networks: they say what to expect, and no rank between them and the rows is implied. The share of
twins found falls with the number of stars among which they are sought, which is given with each.
"De Mijolla et al. 2021" is arXiv:2103.06377; its figures follow from ranks stored with its code."""


def table(header: Sequence[str], align: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    """Return a Markdown table.

    Parameters
    ----------
    header : sequence of str
    align : sequence of {"l", "r"}
    lines : iterable of sequence of str
        Cells, escaped already.
    """
    rules = ["---:" if side == "r" else ":---" for side in align]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in (header, rules, *lines))


def spread(group: Group, column: Column) -> str:
    """Return mean ± standard deviation over seeds; nothing where the method has no such figure."""
    if column.key not in group.mean:
        return ""
    text = column.write(group.mean[column.key])
    if column.key in group.deviation:
        text += f" ± {column.write(group.deviation[column.key])}"
    return text


def seeds(group: Group) -> str:
    """Return the number of scored seeds, and of those that diverged."""
    text = str(len(group.entries))
    return f"{text} (+ {len(group.diverged)} diverged)" if group.diverged else text


def _published(line: Published) -> str:
    return (
        f"*{markdown(line.method)}* (published: {markdown(line.source)}; "
        f"{line.gallery_size:,} stars)"
    )


def _lines(
    groups: Sequence[Group], published: Sequence[Published], columns: Sequence[Column]
) -> list[tuple[str, ...]]:
    """Return the cells of rows and published figures of one label access, the best first."""
    keyed = []
    for group in groups:
        cells = (
            method_name(group, groups), seeds(group), *(spread(group, column) for column in columns)
        )  # fmt: skip
        nearest = group.mean.get("doppelganger_free")
        keyed.append((rank_order(group.row.control, nearest, cells[0]), cells))
    for line in published:
        figures = figures_of(line.figures)
        cells = (
            _published(line),
            "",
            *(
                column.write(figures[column.key]) if column.key in figures else ""
                for column in columns
            ),
        )
        keyed.append((rank_order(False, figures.get("doppelganger_free"), cells[0]), cells))
    return [cells for _, cells in sorted(keyed)]


def _tables(section: Section | None, published: Sequence[Published]) -> list[str]:
    """Return one table for each label access that has anything to show."""
    parts = []
    for access, title in ACCESS.items():
        groups = [
            group
            for group in (section.groups if section else ())
            if group.row.label_access == access
        ]
        lines = _lines(groups, [line for line in published if line.label_access == access], COLUMNS)
        if lines:
            header = ("Method", "Seeds", *(column.title for column in COLUMNS))
            align = "l" + "r" * (len(header) - 1)
            parts += [f"#### {title}", table(header, align, lines)]
    return parts


def _versions(section: Section) -> str:
    by_version: dict[int, list[str]] = {}
    for name, version in section.versions.items():
        by_version.setdefault(version, []).append(name)
    if len(by_version) == 1:
        return f"metric version {next(iter(by_version))}"
    newest = max(by_version, key=lambda version: (len(by_version[version]), version))
    exceptions = [
        f"`{name}` {version}"
        for version, names in sorted(by_version.items())
        if version != newest
        for name in names
    ]
    return f"metric version {newest}, but {', '.join(exceptions)}"


def _task_part(task: str, found: Sequence[Section], published: Sequence[Published]) -> list[str]:
    parts = [f"## {markdown(task)}"]
    if not found:
        parts += ["No rows yet.", *_tables(None, published)]
    for number, section in enumerate(found):
        described = [f"Task version {section.task_version}", f"scale {section.scale}"]
        described.append(f"data `{section.data_fingerprint}`")
        if section.versions:
            described.append(_versions(section))
        line = ", ".join(described) + "."
        if len(found) > 1:
            parts.append(f"### Comparable rows, set {number + 1} of {len(found)}")
            line += " Not to be compared with the other sets."
        # Published figures belong to the question, so they stand once, beside the newest rows.
        parts += [line, *_tables(section, published if number == 0 else ())]
    return parts


def _legend() -> list[str]:
    summed = [f"- {column.title}: {column.meaning}" for column in COLUMNS if column.meaning]
    named = [f"- {column.title}: `{column.key}`." for column in COLUMNS if column.key in METRICS]
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
    return ["## What the columns mean", "\n".join(named + summed), table(header, "lllrr", lines)]


def with_interval(figure: Figure | None, column: Column) -> str:
    """Return a figure with its 95 % interval."""
    if figure is None:
        return ""
    text = column.write(figure.value)
    if figure.low is not None:
        text += f" [{column.write(figure.low)}, {column.write(figure.high)}]"
    return text


def _commit(row: Row) -> str:
    if row.commit is None:
        return f"release {markdown(row.starbench_version)}"
    return f"`{row.commit[:10]}`" + (" (changed)" if row.dirty else "")


def _single_rows(entries: Sequence[Entry]) -> list[str]:
    if not entries:
        return []
    columns = [column for column in COLUMNS if column.key in METRICS]
    lines = []
    for entry in entries:
        row, hardware = entry.row, entry.row.hardware
        machine = hardware.accelerator or f"{hardware.processor}, {hardware.threads} threads"
        cells = [f"[{markdown(row.task)} {row.method} {row.seed}](rows/{entry.path.name})"]
        if row.status == "ok":
            if row.message:
                cells[0] += f": {markdown(row.message)}"
            cells += [
                markdown(with_interval(row.metrics.get(column.key), column)) for column in columns
            ]
        else:
            cells += [f"{row.status}: {markdown(row.message or '')}"] + [""] * (len(columns) - 1)
        cells += [_commit(row), markdown(machine), f"<code>{markdown(row.command)}</code>"]
        lines.append(cells)
    header = ("Row", *(column.title for column in columns), "Commit", "Machine", "Command")
    align = "l" + "r" * len(columns) + "lll"
    return [
        "## Single rows",
        "Each with its 95 % interval from a bootstrap over pairs, and the command that repeats it "
        "at its commit. The ranks beside a row prove its rank figures: "
        "`starbench leaderboard verify`.",
        table(header, align, lines),
    ]


def leaderboard_page(entries: Sequence[Entry], judged: Mapping[str, Verdict] | None = None) -> str:
    """Return LEADERBOARD.md.

    Parameters
    ----------
    entries : sequence of Entry
        In any order.
    judged : mapping of str to Verdict, optional
        By task, from the ranks beside the rows; without it the page says nothing of who is best.
    """
    entries = sorted(entries, key=lambda entry: entry.path.name)
    found, published = sections(entries), published_figures()
    tasks = sorted(
        {section.task for section in found} | {line.task for line in published}, key=task_order
    )
    parts = [
        "# Leaderboard",
        "<!-- Generated from the rows by `starbench leaderboard build`; do not edit. -->",
        _HOW_TO_READ,
        *verdict_section(judged or {}),
    ]
    for task in tasks:
        parts += _task_part(
            task,
            [section for section in found if section.task == task],
            [line for line in published if line.task == task],
        )
    parts += [*_legend(), *_single_rows(entries)]
    return "\n\n".join(parts) + "\n"


def readme_table(entries: Sequence[Entry]) -> str:
    """Return the short table of the noiseless task that stands in the README."""
    current = next((section for section in sections(entries) if section.task == README_TASK), None)
    published = [line for line in published_figures() if line.task == README_TASK]
    lines = []
    for access in ACCESS:
        groups = [
            group
            for group in (current.groups if current else ())
            if group.row.label_access == access
        ]
        told = [line for line in published if line.label_access == access]
        lines += [(cells[0], access, *cells[1:]) for cells in _lines(groups, told, _README_COLUMNS)]
    header = ("Method", "Label access", "Seeds", *(column.title for column in _README_COLUMNS))
    return table(header, "ll" + "r" * (len(header) - 2), lines)


def with_table(readme: str, content: str, name: str = "README.md") -> str:
    """Return a README with the text between its leaderboard markers replaced.

    Raises
    ------
    RowError
        If the markers are not there once each, in order.
    """
    before, begin, rest = readme.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end or BEGIN in rest or END in after:
        raise RowError(
            f"{name}: lines `{BEGIN}` and `{END}` should stand in it once each; add them"
        )
    return f"{before}{BEGIN}\n\n{content}\n\n{END}{after}"


def pages(entries: Sequence[Entry], directory: Path) -> dict[Path, str]:
    """Return what LEADERBOARD.md, and the README if there is one, should hold."""
    judged = verdicts(sections(entries))
    found = {directory / PAGE: leaderboard_page(entries, judged)}
    readme = directory.parent / "README.md"
    if readme.is_file():
        text = readme.read_text(encoding="utf-8")
        found[readme] = with_table(text, readme_table(entries), shown(readme))
    return found


def build(entries: Sequence[Entry], directory: Path) -> list[Path]:
    """Write the generated files that are not as they should be, and return those."""
    outdated = differing(entries, directory)
    for path, text in outdated.items():
        with replacing(path) as temporary:
            temporary.write_bytes(text.encode())
    return list(outdated)


def differing(entries: Sequence[Entry], directory: Path) -> dict[Path, str]:
    """Return what the generated files should hold that are missing or hold something else."""
    return {
        path: text
        for path, text in pages(entries, Path(directory)).items()
        if not path.is_file() or path.read_bytes() != text.encode()
    }
