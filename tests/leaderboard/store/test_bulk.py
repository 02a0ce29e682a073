"""Many rows are checked by one command, which continues where it was stopped."""

import sys

import pytest
from support.commands import leaderboard
from support.rows import FakeMethod, FakeTask

from starbench.cli.leaderboard import checks as cli
from starbench.leaderboard.store import bulk
from starbench.leaderboard.store.rank_changes import rank_changes
from starbench.leaderboard.store.reproduce import Reproduction
from starbench.leaderboard.store.reproductions import write_reproduction
from starbench.results.ranks import read_ranks
from starbench.results.schema import read_row
from starbench.tasks import registry


@pytest.fixture
def rows(add, make_run):
    """Add three rows, of which the second took the least time, and the third was reproduced."""
    made = [
        add(make_run(seed=seed, seconds={"total": seconds}, state_sha256=f"{seed}" * 64))[0]
        for seed, seconds in enumerate((30, 10, 20))
    ]
    ranks = read_ranks(made[2].with_suffix(".ranks.h5"))
    write_reproduction(made[2], read_row(made[2]), Reproduction([], rank_changes(ranks, ranks), []))
    return made


def test_rows_that_are_done_are_left_out_and_the_quickest_come_first(rows):
    assert bulk.unchecked(rows, "reproduction") == [rows[1], rows[0]]
    assert bulk.unchecked(rows, "confirmation") == [rows[1], rows[2], rows[0]]
    rows[2].write_text(rows[2].read_text() + "\n")  # the record is of another file now
    assert bulk.unchecked(rows, "reproduction") == [rows[1], rows[2], rows[0]]


def test_each_row_is_checked_by_a_process_and_what_it_says_is_shown(rows, monkeypatch, tmp_path):
    monkeypatch.setattr(cli, "installed_method", lambda name: FakeMethod())
    monkeypatch.setattr(registry, "get_task", lambda name: FakeTask())
    program = tmp_path / "python"
    program.write_text('#!/bin/sh\necho all of "$*"; case "$*" in *seed1*) exit 1;; esac\n')
    program.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(program))
    code, output = leaderboard("reproduce", *rows, "--jobs", 2, "--by", "me", "--quiet")
    assert code == 1 and "2 of 3 rows to do" in output and "1 of 2 rows are not as they" in output
    said = [line for line in output.splitlines() if line.startswith(("agrees", "fails"))]
    assert sorted(line[:6] for line in said) == ["agrees", "fails "]
    assert all(f"reproduce {rows[1].parent}" in line and "--by me" in line for line in said)


def test_rows_that_cannot_be_repeated_here_are_left_out(rows, monkeypatch):
    monkeypatch.setattr(cli, "installed_method", lambda name: FakeMethod(version=2))
    code, output = leaderboard("reproduce", *rows)
    assert code == 0 and "0 of 3 rows to do" in output
    assert output.count("of version 1 of fader, but 2 is installed; check out the row's com") == 2
    monkeypatch.setattr(cli, "installed_method", lambda name: FakeMethod())
    monkeypatch.setattr(registry, "get_task", lambda name: FakeTask(version=3))
    assert "of version 1 of apogee-giants, but 3 is" in leaderboard("reproduce", *rows)[1]
    monkeypatch.setattr(cli, "installed_method", lambda name: None)
    assert "fader is not installed; give it with --method" in leaderboard("reproduce", *rows)[1]


def test_states_are_found_among_many_runs(rows, make_run, monkeypatch, tmp_path):
    folder = make_run(seed=1, state_sha256="1" * 64)
    (folder.parent / "other").mkdir()
    (folder.parent / "other" / "row.json").write_text("{}")
    assert bulk.states(rows, folder.parent)[rows[1]].parent == folder.parent
    options = ("--beacon", "b" * 40, "--beacon-source", "a commit")
    assert leaderboard("confirm", *rows, *options)[1].count("Give --runs with several rows") == 1
