"""Levels of rows, and the records that they rest on."""

import json

import numpy as np
import pytest
from click.testing import CliRunner
from support.rows import FakeTask, draw_ranks, row_content

from starbench.cli.main import main
from starbench.leaderboard.store import board
from starbench.leaderboard.store.levels import level_of, unnamed, unranked
from starbench.leaderboard.store.names import record_beside
from starbench.leaderboard.store.rank_changes import rank_changes
from starbench.leaderboard.store.reproduce import Reproduction
from starbench.leaderboard.store.reproductions import (
    check_reproduction,
    read_reproduction,
    write_reproduction,
)
from starbench.results.ranks import Ranks, ranks_digest, read_ranks
from starbench.results.schema import read_row
from starbench.results.text import RowError
from starbench.tasks import registry

HARDWARE = {
    **row_content(*draw_ranks(0, 0.5))["hardware"],
    "instruction_sets": {"torch": "AVX2"},
    "linear_algebra": {"mkl 2024.2": "by processor"},
}
CODE = {"sha256": "0" * 64, "package": "theirs 1.0"}


def reproduced(path, rank=None, conditions=()):
    """Write a reproduction of a row with some ranks, by default its own."""
    row, own = read_row(path), read_ranks(board.ranks_beside(path))
    again = row
    if rank is not None:
        again = row.model_copy(update={"ranks_sha256": ranks_digest(rank)})
    changes = rank_changes(own, own if rank is None else Ranks(rank, 0 * rank))
    return write_reproduction(path, again, Reproduction([], changes, list(conditions)), by="me")


@pytest.fixture
def entry(add, make_run):
    """Return a function that adds a row and gives its entry."""

    def of(**fields):
        (path,) = add(make_run(**fields), allow_dirty=True)
        return board.Entry(read_row(path), path)

    return of


def test_a_row_is_reproduced_where_a_second_run_agreed(entry):
    one = entry()
    assert level_of(one.row, one.path) == "submitted"
    assert unranked(one.row, "submitted") == "nobody has run it again"
    kept = reproduced(one.path)
    assert kept == one.path.parents[1] / "reproductions" / one.path.name
    assert level_of(one.row, one.path) == "reproduced"
    record = read_reproduction(one.path)
    assert (record.by, record.differing, record.stars, record.fault) == ("me", 0, 120, None)
    check_reproduction(one.path, one.row, read_ranks(board.ranks_beside(one.path)))
    other, _ = draw_ranks(7, 0.1)
    reproduced(one.path, other)
    assert "although hardware, libraries and threads equal" in read_reproduction(one.path).fault
    assert level_of(one.row, one.path) == "submitted"


def test_a_record_of_another_row_counts_for_nothing_and_is_refused(entry):
    one = entry()
    kept = reproduced(one.path)
    one.path.write_text(one.path.read_text() + "\n")
    assert level_of(one.row, one.path) == "submitted"
    with pytest.raises(RowError, match="field `row_sha256` is not that of the row"):
        check_reproduction(one.path, one.row, read_ranks(board.ranks_beside(one.path)))
    content = json.loads(kept.read_text())
    kept.write_text(json.dumps({**content, "differing": 200}))
    with pytest.raises(RowError, match="only_row \\+ only_again <= differing <= stars"):
        level_of(one.row, one.path)
    kept.write_text("{}")
    with pytest.raises(RowError, match="is missing; add it"):
        level_of(one.row, one.path)


def test_equal_ranks_cannot_differ(entry):
    one = entry()
    kept = reproduced(one.path)
    kept.write_text(json.dumps({**json.loads(kept.read_text()), "differing": 3}))
    with pytest.raises(RowError, match="which `ranks_sha256` and that of the row contradict"):
        check_reproduction(one.path, one.row, read_ranks(board.ranks_beside(one.path)))


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({}, None),
        ({"commit": None}, "its commit is unknown"),
        ({"dirty": True}, "its commit had uncommitted changes"),
        ({"method": "theirs"}, "its code is not named"),
        ({"method": "theirs", "code": CODE}, None),
    ],
)
def test_rows_whose_code_nobody_can_have_stay_submitted(entry, fields, reason):
    one = entry(**fields)
    reproduced(one.path)
    level = level_of(one.row, one.path)
    assert level == ("reproduced" if reason is None else "submitted")
    assert unnamed(one.row) == unranked(one.row, level) == reason


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"stars": 5000}, "field `stars` is 5,000, but the row has ranks of"),
        ({"excess": 50.0}, "field `excess` is 50, but where `differing` is 0, "),
        ({"excess": -50.0}, "it lies between 0 and 0"),
        ({"made_at": "9999-99-99T99:99:99Z"}, "made_at"),
    ],
)
def test_records_that_reproduce_never_writes_are_refused(entry, changes, sentence):
    one = entry()
    assert_refused(one, reproduced(one.path), changes, sentence)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"excess": 5.0}, "field `fault` is null, but ranks differ by more than"),
        ({"differing": 0, "only_row": 0, "only_again": 0, "excess": 0.0}, "contradict"),
        ({"only_row": 20, "only_again": 0, "excess": 0.0}, "field `excess` is 0, but where"),
        ({"only_row": 0, "only_again": 20, "excess": -9.0}, "it lies between -4.47214 and "),
        (
            {"differing": 120, "only_row": 90},
            "field `only_row` is 90, but the row has ranks of 120 stars, ",
        ),
        (
            {"differing": 120, "only_again": 90, "only_row": 0},
            "field `only_again` is 90, but the row has ranks of",
        ),
        ({"excess": 1e9}, "field `excess` is 1e\\+09, but where"),
        (lambda row: {"hardware": row.hardware.model_dump()}, "`hardware` and `libraries` are"),
    ],
)
def test_numbers_that_no_run_on_another_machine_gives_are_refused(entry, changes, sentence):
    one = entry(hardware=HARDWARE)
    again, _ = draw_ranks([0, 50], 0.5)
    again[:20] = again[:20][::-1]
    machine = {**HARDWARE, "processor": "Another"}
    kept = reproduced(one.path, again, ["processor: another here"])
    kept.write_text(json.dumps({**json.loads(kept.read_text()), "hardware": machine}))
    check_reproduction(one.path, one.row, read_ranks(board.ranks_beside(one.path)))
    assert level_of(one.row, one.path) == "reproduced"
    assert_refused(one, kept, changes(one.row) if callable(changes) else changes, sentence)


def assert_refused(one, kept, changes, sentence):
    kept.write_text(json.dumps({**json.loads(kept.read_text()), **changes}))
    with pytest.raises(RowError, match=sentence):
        check_reproduction(one.path, one.row, read_ranks(board.ranks_beside(one.path)))


def test_predictions_cannot_be_reproduced(entry):
    one = entry(method="theirs", predictions_sha256="0" * 64)
    reproduced(one.path)
    assert level_of(one.row, one.path) == "submitted"
    with pytest.raises(RowError, match="of predictions, which nobody can run again; remove"):
        check_reproduction(one.path, one.row, read_ranks(board.ranks_beside(one.path)))


def test_predictions_alone_have_no_rank(entry):
    one = entry(method="theirs", predictions_sha256="0" * 64)
    assert level_of(one.row, one.path) == "submitted"
    assert (
        unnamed(one.row) is None and unranked(one.row, "submitted") == "it holds predictions alone"
    )


def test_verify_checks_records_and_finds_stray_ones(entry, directory, monkeypatch):
    monkeypatch.setattr(registry, "get_task", lambda name: FakeTask())

    def verify():
        outcome = CliRunner().invoke(
            main, ["leaderboard", "verify", "--quiet", "--directory", str(directory)]
        )
        return outcome.exit_code, outcome.output

    one = entry()
    kept = reproduced(one.path)
    assert verify()[0] == 0
    stray = kept.with_name("nobody.json")
    stray.write_bytes(kept.read_bytes())
    code, output = verify()
    assert code == 1 and "nobody.json: there is no row of this name; remove it" in output
    stray.unlink()
    other, _ = draw_ranks(8, 0.1)
    assert np.any(other != read_ranks(board.ranks_beside(one.path)).rank)
    kept.write_text(json.dumps({**json.loads(kept.read_text()), "row_sha256": "0" * 64}))
    code, output = verify()
    assert code == 1 and "reproduce the row again" in output
    assert record_beside(one.path, "confirmation").parent.name == "confirmations"
