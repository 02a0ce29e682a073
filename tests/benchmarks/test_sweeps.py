"""The comparison of the ways to run a sweep."""

import copy
import json

import click
import pytest
from click.testing import CliRunner

from benchmarks import sweeps
from benchmarks.sweeps import differences, main, planned, require_equal

ROWS = {"task/pca/0-abc": {"seed": 0, "metrics": {"doppelganger_free": {"value": 0.5}}}}


def test_equal_rows_pass_and_others_are_named():
    require_equal(ROWS, copy.deepcopy(ROWS))
    other = copy.deepcopy(ROWS)
    other["task/pca/0-abc"]["metrics"]["doppelganger_free"]["value"] = 0.5001
    with pytest.raises(click.ClickException, match="task/pca/0-abc differs in metrics"):
        require_equal(other, ROWS)
    assert differences({}, ROWS) == ["task/pca/0-abc is missing"]
    assert differences(ROWS, {}) == ["task/pca/0-abc is not expected"]


def test_ways_go_on_after_a_difference_and_after_an_interruption(tmp_path, monkeypatch):
    calls = []

    def way(sweep):
        calls.append(sweep.out.name)
        row = sweep.out / "task" / "pca" / "0-abc" / "row.json"
        row.parent.mkdir(parents=True)
        seed = 1 if sweep.out.name == "1" else 0
        row.write_text(json.dumps({"seed": seed} | dict.fromkeys(sweeps.MACHINE, 0)))
        return "done"

    monkeypatch.setattr(sweeps, "WAYS", {"first": way, "second": way, "third": way})
    words = ["ways", "--out", str(tmp_path / "out"), "--method", "pca", "--short", "fader"]
    ended = CliRunner().invoke(main, [*words, "--seeds", "0"])
    assert ended.exit_code == 1 and "1 rows differ" in ended.stderr
    assert "second: task/pca/0-abc differs in seed" in ended.stderr
    assert calls == ["0", "1", "2"]
    (tmp_path / "out" / "2.json").unlink()  # as if the third had been interrupted
    assert CliRunner().invoke(main, [*words, "--seeds", "0"]).exit_code == 1
    assert calls == ["0", "1", "2", "2"]
    other = CliRunner().invoke(main, [*words, "--seeds", "1"])
    assert other.exit_code == 1 and "holds the runs of another plan" in other.stderr


def test_networks_of_a_plan_are_given_four_epochs():
    plan = planned(("pca",), ("fader",), ("apogee-giants",), "0-1", "tiny")
    assert [(run.method, run.settings) for run in plan] == [
        ("pca", ()), ("pca", ()), ("fader", ("epochs=4",)), ("fader", ("epochs=4",)),
    ]  # fmt: skip
