"""The results as one Markdown page, for the terminal and for RESULTS.md."""

import os
from textwrap import fill

from tabulate import tabulate

from benchmarks.measure import Figure, Section, Table
from starbench.common.provenance import current_provenance
from starbench.common.threads import available_cores


def machine() -> list[str]:
    """Describe the machine, its load, and the code."""
    about = current_provenance("cpu", available_cores())
    code = f"starbench {about.starbench_version}"
    if about.commit:
        changes = ", with uncommitted changes" if about.dirty else ""
        code += f" at {about.commit[:12]}{changes}"
    versions = ", ".join(f"{name} {number}" for name, number in about.libraries.items())
    computer = about.hardware
    return [
        f"- machine: {computer.processor}, {computer.cores} cores, {computer.memory_gib} GiB, "
        f"{computer.system}, {computer.instruction_sets['torch']}",
        f"- load average of the minute before: {os.getloadavg()[0]:.1f}",
        f"- code: {code}; {versions}",
    ]


def heading(about: list[str]) -> str:
    """Return the beginning of the page."""
    lines = [
        "# Benchmarks",
        "",
        "Written by one run of `python -m benchmarks --write`; [README.md](README.md) explains",
        "the columns. What takes hours or a GPU is in [MILLION.md](MILLION.md): a million stars",
        "ranked, a survey of a million imported and fitted, and runs on a GPU.",
        "",
        *about,
    ]
    return "\n".join(lines) + "\n"


def chapter(section: Section) -> str:
    """Return the chapter of one part."""
    lines = ["", f"## {section.title}", "", fill(section.text, 100)]
    for table in section.tables:
        lines += ["", *_table(table)]
    if section.remarks:
        lines += ["", *(f"- {remark}" for remark in section.remarks)]
    return "\n".join(lines) + "\n"


def _table(table: Table) -> list[str]:
    head = [table.caption, "seconds", "ratio", "CPU s", "CPU ratio", "not counted, s", table.memory]
    rows = [_row(figure, table.figures[0]) for figure in table.figures]
    alignment = ("left", *["right"] * 6, "left")
    text = tabulate(
        rows, [*head, "notes"], tablefmt="pipe", colalign=alignment, disable_numparse=True
    )
    return text.splitlines()


def _row(figure: Figure, first: Figure) -> list[str]:
    return [
        figure.name,
        _number(figure.seconds),
        _number(figure.seconds / first.seconds),
        _number(figure.cpu),
        _number(figure.cpu / first.cpu),
        _number(figure.excluded),
        f"{figure.memory:,.0f}",
        figure.note,
    ]


def _number(value: float) -> str:
    """Return three significant digits or so."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}" if value >= 10 else f"{value:.2f}"
