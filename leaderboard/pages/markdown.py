"""LEADERBOARD.md, the README's table and leaderboard.csv: the same rows give the same bytes.

Nothing here knows the date, the machine or the order of the files; whatever comes out of a row and
is not a number passes `starbench.leaderboard.pages.escape`.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from starbench.common.files import atomic_path
from starbench.leaderboard.pages.escape import markdown
from starbench.leaderboard.pages.names import method_name, task_order
from starbench.leaderboard.pages.notes import seeds_note
from starbench.leaderboard.pages.rows_csv import rows_csv
from starbench.leaderboard.pages.verdict_text import verdict_list, verdict_section
from starbench.leaderboard.statistics.aggregate import Group, Section, rank_order, sections
from starbench.leaderboard.statistics.columns import COLUMNS, Column, figures_of
from starbench.leaderboard.statistics.judgement import RANKED_BY, Judgement, judge
from starbench.leaderboard.store.board import Entry
from starbench.leaderboard.store.published import Published, published_figures
from starbench.metrics import METRICS
from starbench.results.schema import RecordedEstimate, Row
from starbench.results.text import RowError, printable

PAGE, CSV = "LEADERBOARD.md", "leaderboard.csv"
BEGIN, END = "<!-- leaderboard:begin -->", "<!-- leaderboard:end -->"
README_TASK = "apogee-giants"

ACCESS = {
    "nuisance": "Nuisance labels",
    "none": "No labels",
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
deviation over seeds; with one seed there is no ±. The brackets beside the share of nearest twins
are the 95 % interval of the mean that all seeds and all stars would give: pairs are resampled, and
within each resample the few seeds stand for all by Student's t. It needs the rank of every star, so
that errors and probes have ± alone. Runs that diverged are in no mean; the seeds say how many they
are. The number of seeds leads to the single rows that a line sums up. Methods of different label
access stand in different tables, and rows of different data or metric versions are never averaged
or compared.

Rank: 1 + the number of methods of the table that find surely more nearest twins on the same stars,
"surely" meaning that the 95 % interval of the difference, found in the same way, leaves out 0.
Other settings of one method count once. A rank says how many methods are better, not that its
method can be told from those of the next: where b is tied with a and with c, but a is surely better
than c, their ranks are 1, 1 and 2. Controls, published figures, older versions of a method and
methods of which more runs diverged than were scored have no rank.

Controls do not compete. They say what chance finds (`random-latent`, `constant-latent`,
`nuisance-latent`, `twin-by-order`), the spectrum itself (`raw-flux`), the true abundances
(`composition`), and, with noise, whoever knows how the spectra were made (`information-bound`: the
most that any latent can find, given Teff and log g; with `nuisance_known = False`, without them).

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


def spread(
    group: Group, column: Column, interval: tuple[float, float] | None = None
) -> tuple[str, str]:
    """Return mean ± standard deviation over seeds, and the interval of the mean if it is given.

    Nothing where the method has no such figure; how many seeds have it where not all of them do.
    """
    if column.key in group.partial:
        return f"{group.partial[column.key]} of {len(group.entries)} seeds", ""
    if column.key not in group.mean:
        return "", ""
    written = column.written(group.mean[column.key], group.deviation.get(column.key), interval)
    text = f"{written.value} ± {written.deviation}" if written.deviation else written.value
    return text, written.interval


def seeds(group: Group) -> str:
    """Return the number of scored seeds, and of those that diverged."""
    text = str(len(group.entries))
    return f"{text} (+ {len(group.diverged)} diverged)" if group.diverged else text


def _linked_seeds(group: Group, page: str) -> str:
    """Return the number of seeds as a link to the single rows, which stand on a page."""
    return f"[{seeds(group)}]({page}#{group.key})"


def _published(line: Published) -> str:
    return (
        f"*{markdown(line.method)}* (published: {markdown(line.source)}; "
        f"{line.gallery_size:,} stars)"
    )


@dataclass(frozen=True)
class _Lines:
    """What the lines of a table need beside their groups.

    Attributes
    ----------
    columns : sequence of Column
    judged : Judgement
    page : str
        Where the single rows are, from the page that the table stands on.
    """

    columns: Sequence[Column]
    judged: Judgement
    page: str = ""

    def of_group(self, group: Group, groups: Sequence[Group]) -> tuple[str, ...]:
        # That of the share which ranks go by alone: three intervals a line would be hard to read.
        intervals = {RANKED_BY: self.judged.intervals.get(group.key, {}).get(RANKED_BY)}
        told = [spread(group, column, intervals.get(column.key)) for column in self.columns]
        return (
            str(self.judged.ranks.get(group.key, "")),
            method_name(group, groups),
            _linked_seeds(group, self.page),
            *(rf"{text} \[{interval}\]" if interval else text for text, interval in told),
        )

    def of_published(self, line: Published) -> tuple[str, ...]:
        figures = figures_of(line.figures)
        return (
            "",
            _published(line),
            "",
            *(
                column.write(figures[column.key]) if column.key in figures else ""
                for column in self.columns
            ),
        )

    def all(
        self,
        groups: Sequence[Group],
        published: Sequence[Published] = (),
        others: Sequence[Group] | None = None,
    ) -> list[tuple[str, ...]]:
        """Return the cells of rows and published figures, the best first.

        `others` are the groups that names should tell a group from, by default `groups`.
        """
        keyed = []
        for group in groups:
            cells = self.of_group(group, groups if others is None else others)
            nearest = group.mean.get(RANKED_BY)
            keyed.append((rank_order(group.row.control, nearest, cells[1]), cells))
        for line in published:
            cells = self.of_published(line)
            nearest = line.figures.get(RANKED_BY)
            keyed.append((rank_order(False, nearest, cells[1]), cells))
        return [cells for _, cells in sorted(keyed)]


def _tables(
    section: Section | None, judged: Judgement, published: Sequence[Published]
) -> list[str]:
    """Return one table for each label access that has anything to show, and one of old versions."""
    parts = []
    lines_of = _Lines(COLUMNS, judged)
    header = ("Rank", "Method", "Seeds", *(column.title for column in COLUMNS))
    align = "rl" + "r" * (len(header) - 2)
    for access, title in ACCESS.items():
        groups = _groups(section, access)
        lines = lines_of.all(groups, [line for line in published if line.label_access == access])
        if lines:
            parts += [f"#### {title}", table(header, align, lines)]
            parts += [note for note in [_seeds_note(groups, judged)] if note]
    old = [group for group in (section.groups if section else ()) if section.superseded(group)]
    if old:
        parts += [
            "#### Superseded",
            "Older versions of methods above, of any label access: no longer ranked.",
            table(header, align, lines_of.all(old, others=section.groups)),
        ]
    return parts


def _groups(section: Section | None, access: str) -> list[Group]:
    """Return the groups of a label access, without superseded versions."""
    return [
        group
        for group in (section.groups if section else ())
        if group.row.label_access == access and not section.superseded(group)
    ]


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


def _task_part(
    task: str,
    found: Sequence[Section],
    judged: Judgement,
    published: Sequence[Published],
) -> list[str]:
    parts = [f"## {markdown(task)}"]
    if not found:
        parts += ["No rows yet.", *_tables(None, judged, published)]
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
        shown_here = published if number == 0 else ()
        parts += [line, *_tables(section, judged, shown_here)]
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


def with_interval(figure: RecordedEstimate | None, column: Column) -> str:
    """Return a figure with its 95 % interval."""
    if figure is None:
        return ""
    interval = None if figure.low is None else (figure.low, figure.high)
    written = column.written(figure.value, interval=interval)
    return f"{written.value} [{written.interval}]" if interval else written.value


def _commit(row: Row) -> str:
    if row.commit is None:
        return f"release {markdown(row.starbench_version)}"
    return f"`{row.commit[:10]}`" + (" (changed)" if row.dirty else "")


def _by_group(entry: Entry) -> tuple:
    """Sort rows so that those of a group stand together, where its line links to the first."""
    row = entry.row
    place = task_order(row.task), -row.task_version, row.method, -row.method_version
    return *place, row.settings_digest, row.data_fingerprint, row.status != "ok", row.seed


def _single_rows(entries: Sequence[Entry]) -> list[str]:
    if not entries:
        return []
    columns = [column for column in COLUMNS if column.key in METRICS]
    lines = []
    for entry in sorted(entries, key=_by_group):
        row, hardware = entry.row, entry.row.hardware
        machine = hardware.accelerator or f"{hardware.processor}, {hardware.threads} threads"
        cells = [
            f'<a id="{entry.path.stem}"></a>'
            f"[{markdown(row.task)} {row.method} {row.seed}](rows/{entry.path.name})"
        ]
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
        f"at its commit. All figures of all rows are in [{CSV}]({CSV}).",
        "The ranks beside a row prove its rank figures: `starbench leaderboard verify`. "
        "`starbench leaderboard reproduce` runs a row again and says whether its figures agree.",
        table(header, align, lines),
    ]


def leaderboard_page(entries: Sequence[Entry], judged: Judgement | None = None) -> str:
    """Return LEADERBOARD.md.

    Parameters
    ----------
    entries : sequence of Entry
        In any order.
    judged : Judgement, optional
        From the ranks beside the rows; without it the page says nothing of who is best.
    """
    judged = judged or Judgement()
    found, published = sections(entries), published_figures()
    tasks = sorted(
        {section.task for section in found} | {line.task for line in published}, key=task_order
    )
    parts = [
        "# Leaderboard",
        "<!-- Generated from the rows by `starbench leaderboard build`; do not edit. -->",
        _HOW_TO_READ,
        *verdict_section(judged.verdicts.get("nuisance", {})),
    ]
    for task in tasks:
        parts += _task_part(
            task,
            [section for section in found if section.task == task],
            judged,
            [line for line in published if line.task == task],
        )
    parts += [*_legend(), *_single_rows(entries)]
    return "\n\n".join(parts) + "\n"


def readme_part(entries: Sequence[Entry], judged: Judgement | None = None) -> str:
    """Return what the README says of the rows: a short table of the noiseless task, and verdicts.

    Superseded versions are left to LEADERBOARD.md.
    """
    judged = judged or Judgement()
    current = next((section for section in sections(entries) if section.task == README_TASK), None)
    published = [line for line in published_figures() if line.task == README_TASK]
    lines_of = _Lines(_README_COLUMNS, judged, f"leaderboard/{PAGE}")
    lines, notes = [], []
    for access in ACCESS:
        told = [line for line in published if line.label_access == access]
        lines += [
            (rank, method, access, *cells)
            for rank, method, *cells in lines_of.all(_groups(current, access), told)
        ]
        note = _seeds_note(_groups(current, access), judged)
        notes += [f"{ACCESS[access]}: {note[0].lower()}{note[1:]}"] if note else []
    header = (
        "Rank", "Method", "Label access", "Seeds", *(column.title for column in _README_COLUMNS)
    )  # fmt: skip
    parts = [table(header, "rll" + "r" * (len(header) - 3), lines), *notes]
    if told := judged.verdicts.get("nuisance"):
        parts += ["Of the methods that see nuisance labels alone:", verdict_list(told)]
    return "\n\n".join(parts)


def _seeds_note(groups: Sequence[Group], judged: Judgement) -> str:
    return seeds_note(groups, [group for group in groups if group.key in judged.ranks])


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
    """Return what LEADERBOARD.md, the CSV, and the README if there is one, should hold."""
    judged = judge(sections(entries))
    found = {
        directory / PAGE: leaderboard_page(entries, judged),
        directory / CSV: rows_csv(entries, judged),
    }
    readme = directory.parent / "README.md"
    if readme.is_file():
        text = readme.read_text(encoding="utf-8")
        found[readme] = with_table(text, readme_part(entries, judged), printable(readme))
    return found


def build(entries: Sequence[Entry], directory: Path) -> list[Path]:
    """Write the generated files that are not as they should be, and return those."""
    outdated = differing(entries, directory)
    for path, text in outdated.items():
        with atomic_path(path) as temporary:
            temporary.write_bytes(text.encode())
    return list(outdated)


def differing(entries: Sequence[Entry], directory: Path) -> dict[Path, str]:
    """Return what the generated files should hold that are missing or hold something else."""
    return {
        path: text
        for path, text in pages(entries, Path(directory)).items()
        if not path.is_file() or path.read_bytes() != text.encode()
    }
