"""What a folder of runs is said to hold."""

import fcntl
import json
import os
import re
import shutil
import subprocess

import pytest
from support.rows import draw_ranks, row_content

from starbench.results.schema import parse_row, write_row
from starbench.runs.run_folder import RunFolder
from starbench.sweeps.collect import chosen, faults_table, runs_in, summary_table
from starbench.sweeps.state import State, reason_of, state_of


@pytest.fixture
def leave(tmp_path):
    """Return a function that leaves a finished run in a folder of runs."""

    def make(name, *, device="cpu", **fields):
        content = row_content(*draw_ranks([0], 0.5), **fields)
        content["hardware"] |= {"device": device}
        folder = RunFolder(tmp_path / "runs" / "apogee-giants" / "fader" / name)
        folder.path.mkdir(parents=True)
        folder.lock.touch()
        write_row(parse_row(json.dumps(content)), folder.row)
        return folder

    return make


def columns(out):
    """Return the columns of the table of the runs in a folder, by their names."""
    names, dashes, *lines = summary_table(runs_in(out)).splitlines()
    places = [slice(*each.span()) for each in re.finditer("-+", dashes)]
    return {names[place].strip(): [line[place].strip() for line in lines] for place in places}


def test_runs_that_do_not_compare_are_told_apart(leave, tmp_path):
    leave("0-aaaa")
    leave("1-aaaa", seed=1)
    assert not {"scale", "device", "task version", "method version"} & set(
        columns(tmp_path / "runs")
    )
    leave("0-bbbb", scale="mini")
    leave("0-cccc", device="cuda:0")
    leave("0-dddd", task_version=2)
    leave("0-eeee", method_version=2)
    table = columns(tmp_path / "runs")
    assert table["scale"] == ["full", "mini", "full", "full", "full", "full"]
    assert table["device"] == ["cpu", "cpu", "cuda", "cpu", "cpu", "cpu"]
    assert table["task version"] == ["1", "1", "1", "2", "1", "1"]
    assert table["method version"] == ["1", "1", "1", "1", "2", "1"]


@pytest.mark.usefixtures("collector_off")
def test_a_run_without_a_row_is_described_by_its_settings(leave, tmp_path):
    leave("0-aaaa")
    folder = leave("7-bbbb")
    folder.row.unlink()
    settings = {"scale": "tiny", "device_type": "cpu", "task_version": 1, "method_version": 1}
    folder.settings.write_text(json.dumps(settings))
    assert columns(tmp_path / "runs")["scale"] == ["full", "tiny"]
    assert [each.run.seed for each in chosen(runs_in(tmp_path / "runs"), scale="tiny")] == [7]
    for damaged in ("[1]", "{", "[" * 100_000, '{"scale": ""}', '{"scale": 1}'):
        folder.settings.write_text(damaged)
        assert len(runs_in(tmp_path / "runs")) == 2
        assert summary_table(runs_in(tmp_path / "runs"))


@pytest.mark.parametrize("name", [f"{2**63}-aaaa", "9" * 200, "notes"])
def test_a_folder_whose_name_holds_no_seed_is_listed(leave, tmp_path, name):
    leave(name).row.unlink()
    assert [each.run.seed for each in runs_in(tmp_path / "runs")] == [0]


@pytest.mark.parametrize("text", ["", "{", "[]", '{"seed": ' + "9" * 5000 + "}"])
def test_a_damaged_row_is_said_to_be_damaged(leave, tmp_path, text):
    folder = leave("0-aaaa")
    folder.row.write_text(text)
    assert state_of(folder) is State.STOPPED
    assert reason_of(folder).startswith(f"{folder.row}: ")
    assert reason_of(folder).endswith("; the same command runs it again")
    assert "runs it again" in " ".join(faults_table(runs_in(tmp_path / "runs")).split())


def test_runs_are_chosen_by_task_seed_and_scale(leave, tmp_path):
    leave("0-aaaa")
    leave("1-aaaa", seed=1, scale="mini")
    leave("2-aaaa", seed=2, task="apogee-giants-snr50")
    runs = runs_in(tmp_path / "runs")
    assert [each.run.seed for each in chosen(runs)] == [0, 1, 2]
    assert [each.run.seed for each in chosen(runs, tasks=["apogee-giants"])] == [0, 1]
    assert [each.run.seed for each in chosen(runs, seeds=(1, 2, 5))] == [1, 2]
    assert [each.run.seed for each in chosen(runs, scale="full", seeds=(0, 1))] == [0]


def test_runs_on_a_disk_that_cannot_be_written_are_listed(leave, small_disk, tmp_path):
    leave("0-aaaa")
    stopped = leave("1-aaaa", seed=1)
    stopped.row.unlink()
    stopped.settings.write_text("{}")
    out = shutil.copytree(tmp_path / "runs", small_disk / "runs")
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    assert columns(out)["status"] == ["ok", "stopped"]
    held = RunFolder(out / "apogee-giants" / "fader" / "1-aaaa")
    with held.lock.open() as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        assert state_of(held) is State.RUNNING


def test_a_run_whose_files_are_none_hides_no_other(leave, tmp_path):
    leave("0-aaaa")
    for name in ("1-aaaa", "2-aaaa", "3-aaaa"):
        leave(name).row.unlink()
    _, folder, piped, unset = (each.folder for each in runs_in(tmp_path / "runs"))
    folder.log.mkdir()
    os.mkfifo(piped.log)
    os.mkfifo(unset.settings)
    table = faults_table(runs_in(tmp_path / "runs"))
    assert columns(tmp_path / "runs")["status"] == ["ok", "stopped", "stopped", "stopped"]
    assert "log.txt is not a file" in " ".join(table.split())


def test_a_run_that_was_copied_without_its_hidden_file_is_listed(leave, tmp_path):
    leave("0-aaaa")
    leave("1-aaaa").lock.unlink()
    assert columns(tmp_path / "runs")["status"] == ["ok", "ok"]
