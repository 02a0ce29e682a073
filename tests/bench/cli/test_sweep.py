"""`starbench sweep`, with the methods of toy_methods.py on a file of a few pairs."""

import json

import h5py
import pytest
from click.testing import CliRunner

from starbench.cli.main import main
from starbench.results.schema import read_row


@pytest.fixture
def arguments(toy_task, toy_file, tmp_path):
    path = tmp_path / "toy.h5"
    with h5py.File(path, "w") as file:
        file["wavelength"] = toy_task.wavelength
        for name in ("nuisance_names", "nuisance_units", "elements"):
            file.attrs[name] = list(getattr(toy_task, name))
        for split in ("train", "validation", "test"):
            pairs = toy_task.load(split, "full")
            for name in ("flux", "nuisance"):
                file[f"{split}/{name}"] = getattr(pairs, name)
    return [
        "sweep", "--method", f"{toy_file}:Linear", "--data", str(path), "--device", "cpu",
        "--out", str(tmp_path / "runs"), "--threads", "1", "--quiet",
    ]  # fmt: skip


def invoke(*arguments):
    return CliRunner().invoke(main, [str(each) for each in arguments])


def rows(tmp_path):
    return [read_row(path) for path in sorted(tmp_path.glob("runs/*/*/*/row.json"))]


def test_a_sweep_runs_what_is_not_finished_and_shows_what_failed_and_why(arguments, tmp_path):
    sweep = [*arguments, "--seeds", "0", "--set", "mishap=exit,none"]
    result = invoke(*sweep, "--jobs", 2)
    assert result.exit_code == 1
    assert "SystemExit" in result.stdout
    assert result.stderr.endswith("Not all of the 2 runs ended well: 1 ok, 1 failed.\n")
    found = {row.hyperparameters["mishap"]: row.status for row in rows(tmp_path)}
    assert found == {"exit": "failed", "none": "ok"}
    (good,) = (row for row in rows(tmp_path) if row.status == "ok")
    assert f"{good.metrics['doppelganger_free'].value:.1%}" in result.stdout

    # Without a method, what lies in the folder; with one, its plan: the tables are the same.
    assert invoke(*sweep, "--collect").stdout == result.stdout
    everything = invoke("sweep", "--collect", "--out", tmp_path / "runs")
    assert everything.exit_code == 1 and "SystemExit" in everything.stdout

    collect = ["sweep", "--collect", "--out", tmp_path / "runs"]
    assert invoke(*collect, "--seeds", "0").stdout == everything.stdout
    for absent in (["--seeds", "1-3"], ["--task", "apogee-giants"], ["--scale", "mini"]):
        none = invoke(*collect, *absent)
        assert none.exit_code == 2 and none.stdout == ""
        assert none.stderr.startswith(f"Error: None of the 2 runs in {tmp_path / 'runs'} is of")

    plan = tmp_path / "plan.jsonl"
    planned = invoke(*sweep, "--plan", plan)
    assert planned.exit_code == 0 and "1 runs; 1 are finished" in planned.stdout
    (line,) = plan.read_text().splitlines()
    assert json.loads(line)["settings"] == ["mishap=exit"]  # a failed run is run again
    again = invoke("sweep", "--from-plan", plan, *arguments[5:], "--collect")
    assert again.exit_code == 1 and "SystemExit" in again.stdout and "none" not in again.stdout


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ([], "runs does not exist; give the folder of the runs."),
        (["--data", "pairs.h5"], "Give --data with --collect only where --method is given, too."),
        (["--snr", "50"], "Give --snr with --collect only where --method is given, too."),
        (["--snr", "0"], "Give --snr with --collect only where --method is given, too."),
        (["--set", "a=1"], "Give --set with --collect only where --method is given, too."),
        (["--preset", "a"], "Give --preset with --collect only where --method is given, too."),
        (["--shard", "1/2"], "Give --shard with --collect only where --method is given, too."),
        (["--plan", "a"], "Give either --plan or --collect, not both."),
        (["--from-plan", "a", "--seeds", "0"], "Give either --from-plan or the options of a plan"),
        (["--from-plan", "a", "--snr", "0"], "Give either --from-plan or the options of a plan"),
    ],
)
def test_no_option_of_collect_is_passed_over(tmp_path, options, sentence):
    result = invoke("sweep", "--collect", "--out", tmp_path / "runs", *options)
    assert result.exit_code == 2 and result.stdout == ""
    assert sentence in result.stderr


def test_a_folder_without_runs_is_said_to_hold_none(tmp_path):
    result = invoke("sweep", "--collect", "--out", tmp_path)
    assert result.exit_code == 2 and result.stdout == ""
    assert f"--out {tmp_path} holds no runs; give the folder of the runs." in result.stderr


def test_shards_of_a_sweep_are_its_parts(arguments, tmp_path):
    found = []
    for shard in ("1/2", "2/2"):
        plan = tmp_path / "part.jsonl"
        assert invoke(*arguments, "--seeds", "0-2", "--shard", shard, "--plan", plan).exit_code == 0
        found.append([json.loads(line)["seed"] for line in plan.read_text().splitlines()])
    assert found == [[0, 2], [1]]


def test_a_plan_is_written_only_over_a_plan_and_only_with_runs(arguments, tmp_path):
    notes, plan = tmp_path / "notes.txt", tmp_path / "plan.jsonl"
    notes.write_text("notes")
    refused = invoke(*arguments, "--seeds", "0", "--plan", notes)
    assert refused.exit_code == 2 and "is no plan; give another file" in refused.stderr
    assert notes.read_text() == "notes"

    none = [*arguments, "--seeds", "0", "--shard", "2/2", "--plan", plan]
    result = invoke(*none)
    assert result.exit_code == 0
    assert result.stdout == f"{plan}: none of 0 runs is left, so no file is written.\n"
    assert not plan.exists()
    for seeds in ("0", "0-1"):
        assert invoke(*arguments, "--seeds", seeds, "--plan", plan).exit_code == 0
    before = plan.read_text()
    assert len(before.splitlines()) == 2
    assert invoke(*none).stdout.endswith("so the plan that is there stays.\n")
    assert plan.read_text() == before


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--set", "latent=2,0"], "--set latent must be between 1 and 64"),
        (["--set", "latent=2", "--set", "latent=3"], "--set latent is given twice"),
        (["--seeds", "0", "--seeds", "1"], "--seeds is given twice; give it once."),
        (["--jobs", "2", "--jobs", "4"], "--jobs is given twice; give it once."),
        (["--task", "apogee-giants"], "Give either --task or --data, not both."),
        (["--from-plan", "plan.jsonl"], "Give either --from-plan or the options of a plan"),
        (["--shard", "3/2"], "--shard must be i/n"),
        (["--config", "cluster.yml"], "Give --backend submitit or --backend dask with --config."),
        (["--plan", "plan.jsonl", "--collect"], "Give either --plan or --collect, not both."),
        (["--scale", ""], "--scale is empty; give it a value, or leave it out."),
        (["--snr", "-5"], "--snr: snr is -5.0; give one number above 0"),
        (["--wait"], "Give --wait only with --backend submitit"),
        (["--jobs", "100000"], "'--jobs': 100000 is too many for the"),
        (["--threads", "100000"], "'--threads': 100000 is too many for the"),
        (["--backend", "dask", "--jobs", "100000"], "Give the number of workers in --config"),
        (["--backend", "dask", "--jobs", "2"], "Give the number of workers in --config"),
        (["--backend", "dask", "--config", "no.yml"], "--config no.yml cannot be read"),
        *[(["--seeds", seeds], "--seeds") for seeds in ("", "a", "3-1", "0-99999", "1,,2", "-1")],
    ],
)
def test_a_user_error_is_said_before_the_first_run(arguments, tmp_path, options, sentence):
    result = invoke(*arguments, *options)
    assert result.exit_code == 2
    assert sentence in result.stderr
    assert not (tmp_path / "runs").exists()


def test_a_sweep_without_a_method_or_with_an_unknown_task_is_refused(tmp_path):
    assert "Give --method, or a plan with --from-plan." in invoke("sweep").stderr
    result = invoke("sweep", "--method", "pca", "--task", "nosuch", "--out", tmp_path / "runs")
    assert result.exit_code == 2 and "no task 'nosuch'" in result.stderr


def test_a_task_whose_labels_fail_stops_no_other_run(toy_file, tmp_path):
    file = tmp_path / "two_tasks.py"
    file.write_text(
        "from starbench.tasks.example import MyTask\n\n\n"
        "class Sound(MyTask):\n    pass\n\n\n"
        "class Faulty(MyTask):\n"
        "    card = MyTask.card.derive(name='faulty')\n\n"
        "    def labels(self, split, start, stop):\n"
        "        raise ZeroDivisionError('no stars')\n"
    )
    out = tmp_path / "runs"
    sweep = ["sweep", "--method", f"{toy_file}:Blind", "--scale", "tiny", "--device", "cpu",
             "--out", out, "--threads", "1", "--quiet"]  # fmt: skip
    for name in ("Faulty", "Sound"):
        sweep += ["--task", f"{file}:{name}"]
    sentence = "Task faulty: its code raised ZeroDivisionError('no stars') (two_tasks.py:12)."
    plan = tmp_path / "plan.jsonl"
    assert "4 runs; 0 are finished" in invoke(*sweep, "--seeds", "0-1", "--plan", plan).stdout
    result = invoke(*sweep, "--seeds", "0")
    assert result.exit_code == 1
    assert f"{file}:Faulty seed 0 is not started: {sentence}" in result.stderr
    assert result.stderr.endswith("Not all of the 2 runs ended well: 1 ok, 1 failed.\n")
    assert "ZeroDivisionError" in result.stdout
    assert [(row.task, row.status) for row in rows(tmp_path)] == [("my-task", "ok")]
    assert {path.name for path in out.iterdir()} == {"my-task"}
