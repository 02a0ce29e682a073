"""leaderboard.csv: every row and metric reads back, and no cell is a formula."""

import csv
import io
import json
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from support.rows import diverged, draw_ranks, row_content

from starbench.leaderboard.pages.rows_csv import harmless, rows_csv
from starbench.leaderboard.statistics.aggregate import sections
from starbench.leaderboard.statistics.judgement import Judgement
from starbench.leaderboard.store.board import Entry, file_name
from starbench.results.schema import parse_row

SIGNS = ("=", "+", "-", "@", "\uff1d", "\uff0b", "\uff0d", "\uff20")
CALL = "=cmd|' /C calc'!A0"


def entry(change=lambda content: content, **fields):
    content = change(row_content(*draw_ranks(fields.get("seed", 0), 0.5), **fields))
    row = parse_row(json.dumps(content))
    return Entry(row, Path("rows") / file_name(row), "reproduced")


def read(text, delimiter=","):
    return list(csv.DictReader(io.StringIO(text), delimiter=delimiter))


def formulas(text, delimiter):
    """Return the cells that a spreadsheet with this delimiter could read as formulae."""
    cells = [cell for line in csv.reader(io.StringIO(text), delimiter=delimiter) for cell in line]
    return [cell for cell in cells
            if cell.strip(' "').startswith(SIGNS) and not is_number(cell)]  # fmt: skip


def is_number(cell):
    try:
        float(cell)
    except ValueError:
        return False
    return True


def test_every_row_is_a_line_and_every_metric_reads_back():
    entries = [
        entry(seed=seed, figures={"nuisance_leakage.mlp.Teff": -0.25, "swap_gap": 1e-7})
        for seed in range(2)
    ]
    entries += [entry(method="other"), entry(diverged, method="other", seed=1)]
    (section,) = sections(entries)
    fader = next(group.key for group in section.groups if group.row.method == "fader")
    lines = read(rows_csv(sections(entries), Judgement(ranks={fader: 1})))
    by_file = {line["file"]: line for line in lines}
    assert len(by_file) == len(lines) == 4
    for each in entries:
        line, row = by_file[f"rows/{each.path.name}"], each.row
        assert line["command"] == row.command
        assert (line["method"], int(line["seed"]), line["status"]) == (
            row.method, row.seed, row.status
        )  # fmt: skip
        assert line["rank"] == ("1" if row.method == "fader" else "")
        for name, figure in row.metrics.items():
            read_back = tuple(float(line[f"{name}{end}"]) for end in ("", ".low", ".high"))
            assert read_back == (figure.value, figure.low, figure.high)
            assert line[f"{name}.version"] == "1"
    line_of_diverged = next(line for line in lines if line["status"] == "diverged")
    assert line_of_diverged["doppelganger_free"] == line_of_diverged["ranks_sha256"] == ""
    assert len({line["group"] for line in lines}) == 2
    assert {line["set"] for line in lines} == {"1"}


def test_the_order_of_the_rows_does_not_matter():
    entries = [entry(seed=seed, method=name) for seed in range(3) for name in ("a", "b")]
    assert rows_csv(sections(entries), Judgement()) == rows_csv(
        sections(entries[::-1]), Judgement()
    )
    assert rows_csv([], Judgement()) == ""


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("sign", SIGNS)
def test_untrusted_text_does_not_become_a_formula(sign, delimiter):
    hostile = f"{sign}HYPERLINK(1)"
    for text in (hostile, f" {hostile}", f'"{hostile}', f"a;{hostile}", f'a; "{hostile}'):
        hardware = {"processor": text, "accelerator": text, "cores": 1, "threads": 1,
                    "memory_gib": 1, "device": "cpu", "system": "x"}  # fmt: skip
        sets = {text: text}
        entries = [
            entry(reference=text, hardware=hardware, hyperparameters=sets, overrides=sets,
                  selection={"rule": text, "epoch": 1}),
            entry(lambda content, text=text: {**diverged(content), "message": text},
                  seed=1),
        ]  # fmt: skip
        written = rows_csv(sections(entries), Judgement())
        assert formulas(written, delimiter) == []
        assert read(written)[0]["reference"].replace("'", "") == text


@given(st.text(st.characters(codec="utf-8", exclude_categories=["Cc"]), max_size=30))
@example(CALL)
@example(f'";"{CALL}')
@example(f"a;;{CALL}")
def test_harmless_text_is_unchanged_and_escaping_is_idempotent(text):
    safe = harmless(text)
    for part in safe.split(";"):
        assert not part.lstrip(' "').startswith(SIGNS)
    assert harmless(safe) == safe
    if not any(sign in text for sign in SIGNS):
        assert safe == text
    assert safe.replace("'", "") == text.replace("'", "")
