"""Every page shows how far rows have been checked, and nothing ranks above its level."""

import csv
import io

import pytest
from support.rows import FakeTask

from starbench.leaderboard.pages import generate
from starbench.leaderboard.pages.terminal import table_for_run
from starbench.leaderboard.store import board
from starbench.leaderboard.web.model import summarise
from starbench.leaderboard.web.pages import Pages

CODE = {"sha256": "0" * 64}


@pytest.fixture
def built(add, make_run, directory, monkeypatch):
    """Build a board of reproduced rows of fader, and of better ones that nobody has run again."""
    levels = {"fader": "reproduced", "worse": "confirmed"}
    monkeypatch.setattr(board, "level_of", lambda row, path: levels.get(row.method, "submitted"))
    for method, share in (("fader", 0.6), ("worse", 0.2), ("perfect", 1.0), ("unnamed", 0.9)):
        fields = {"code": CODE} if method in ("worse", "perfect") else {}
        add(*(make_run(seed=seed, nearest=share, method=method, **fields) for seed in range(3)))
    add(*(
        make_run(seed=seed, method="byhand", nearest=1.0, predictions_sha256="0" * 64,
                 looks_before=seed, declared={"outside_data": "APOGEE"})
        for seed in range(3)
    ))  # fmt: skip
    entries = board.load(directory)
    generate.build(entries, directory)
    return entries, directory


def test_each_ranks_file_is_read_once(built):
    entries, directory = built
    for file in (directory / "rows").glob("*.ranks.h5"):
        file.unlink()
    assert generate.differing(entries, directory) == {}
    assert len(summarise(entries, lambda name: FakeTask()).judged.ranks) == 2


def test_submitted_rows_have_no_rank_and_stand_below(built):
    _, directory = built
    page = (directory / "LEADERBOARD.md").read_text()
    task = page.partition("## apogee-giants\n")[2].partition("\n## ")[0]
    lines = [line.split(" | ")[:3] for line in task.splitlines() if "published" not in line]
    found = [(line[0].strip("| "), *line[1:]) for line in lines if len(line) == 3][2:]
    assert found[:2] == [("1", "fader", "reproduced"), ("2", "worse", "confirmed")]
    assert {line[1:] for line in found[2:5]} == {
        ("byhand", "submitted"), ("perfect", "submitted"), ("unnamed", "submitted"),
    }  # fmt: skip
    assert [line[0] for line in found[2:5]] == ["", "", ""]
    note = task.partition("Without a rank, as a row is only submitted: ")[2].partition(".\n")[0]
    assert set(note.split("; ")) == {
        "nobody has run it again: perfect",
        "its code is not named: unnamed",
        "it holds predictions alone: byhand",
    }
    assert "outside data: APOGEE; scored after 2 other settings on this test split" in page
    verdict = page.partition("## The best methods")[2].partition("\n## ")[0]
    assert "**fader** is significantly better than the other method" in verdict


def test_csv_site_and_terminal_show_levels(built):
    entries, directory = built
    for name in ("leaderboard.csv", "suite.csv"):
        lines = list(csv.DictReader(io.StringIO((directory / name).read_text())))
        levels = {line["method"]: (line["level"], line["rank"] != "") for line in lines}
        ranked = name == "leaderboard.csv"  # over the suite, tracks are missing
        assert levels["fader"] == ("reproduced", ranked)
        assert levels["worse"] == ("confirmed", ranked)
        assert levels["perfect"] == levels["byhand"] == ("submitted", False)
    summary = summarise(entries, lambda name: FakeTask())
    pages = Pages(summary, ())
    (track,) = (each for each in summary.tracks if each.task == "apogee-giants")
    for text in (
        pages.index(()), pages.results(), pages.track(track, (), ()), pages.method("worse", ()),
    ):  # fmt: skip
        assert "confirmed</td>" in text or "<small>confirmed</small>" in text
    assert "scored after 1 other setting" in pages.method("byhand", ())
    shown = table_for_run(entries[0].row, directory)
    assert "worse, confirmed" in shown and "perfect, submitted" in shown
    assert shown.index("worse, confirmed") < shown.index("perfect, submitted")


def test_one_submitted_seed_takes_the_rank_of_its_line(built, add, make_run, monkeypatch):
    _, directory = built
    add(make_run(seed=7, nearest=1.0))
    monkeypatch.setattr(
        board, "level_of", lambda row, path: "submitted" if row.seed == 7 else "reproduced"
    )
    generate.build(board.load(directory), directory)
    page = (directory / "LEADERBOARD.md").read_text()
    assert "|  | fader | submitted | [4]" in page
