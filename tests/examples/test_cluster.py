"""The files of `examples/cluster`, with stand-ins for the programs of SLURM."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from starbench.sweeps.backends import dask as dask_backend
from starbench.sweeps.backends.config import DaskConfig, SubmititConfig, read_config
from starbench.sweeps.backends.submitit import FOLDER, submit
from starbench.sweeps.plan import make_plan, read_plan, write_plan
from starbench.sweeps.process import Command
from starbench.tasks.registry import DEFAULT

FILES = Path(__file__).parents[2] / "examples" / "cluster"
ARRAY = {"SLURM_ARRAY_TASK_COUNT": "2", "SLURM_ARRAY_TASK_MIN": "0", "SLURM_JOB_ID": "41"}


@pytest.fixture
def programs(tmp_path, monkeypatch):
    """Return a function that puts a shell script into the path, which logs its arguments."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}:{Path(sys.executable).parent}:{os.environ['PATH']}")

    def add(name, body=""):
        path = folder / name
        path.write_text(f'#!/bin/bash\necho "$0 $@" >> {tmp_path}/log.txt\n{body}\n')
        path.chmod(0o755)

    return add


def run_task(task, *arguments, cwd):
    environment = {**os.environ, **ARRAY, "SLURM_ARRAY_TASK_ID": str(task)}
    return subprocess.Popen(
        ["bash", FILES / "sweep.sbatch", *arguments], cwd=cwd, env=environment,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip


def test_a_task_of_the_job_array_takes_its_share(programs, tmp_path):
    programs("scontrol")
    plan = make_plan(["constant-latent"], [DEFAULT], range(5), scale="tiny")
    write_plan(tmp_path / "plan.jsonl", plan)
    # The share is written down and not run, which takes a fraction of the time.
    task = run_task(1, "plan.jsonl", "--plan", "share.jsonl", "--device", "cpu", cwd=tmp_path)
    said, _ = task.communicate(timeout=60)
    assert task.returncode == 0, said
    assert read_plan(tmp_path / "share.jsonl") == plan[1::2]
    assert not (tmp_path / "log.txt").exists()  # nothing is queued again


@pytest.mark.parametrize(("sent", "code", "queued"), [("USR1", 138, True), ("TERM", 143, False)])
def test_a_task_near_its_time_limit_lets_the_sweep_end_and_is_queued_again(
    programs, tmp_path, sent, code, queued
):
    programs("scontrol")
    wait = f"kill -{sent} $PPID; while true; do sleep 0.05; done"  # the signal comes at once
    programs("starbench", f"trap 'sleep 0.1; exit {code}' {sent}; {wait}")
    task = run_task(0, cwd=tmp_path)
    task.communicate(timeout=60)
    assert task.returncode == code
    log = (tmp_path / "log.txt").read_text()
    assert "starbench sweep --from-plan plan.jsonl --shard auto\n" in log
    assert ("scontrol requeue 41\n" in log) == queued


def test_slurm_gets_the_jobs_of_submitit_as_one_array(programs, tmp_path):
    programs("srun")
    programs("sbatch", "echo Submitted batch job 7")
    commands = [
        Command(str(number), ("true",), tmp_path / str(number), tmp_path) for number in "123"
    ]
    config = read_config(FILES / "slurm.yml", SubmititConfig)
    jobs = submit(commands, 2, config, tmp_path / "runs")
    assert [job.job_id for job in jobs] == ["7_0", "7_1"]
    (script,) = (tmp_path / "runs" / FOLDER).glob("7_*.sh")
    lines = {line.removeprefix("#SBATCH --") for line in script.read_text().splitlines()}
    expected = {"array=0-1%2", "cpus-per-task=2", "signal=USR2@120", "time=120"}
    assert expected <= lines
    assert [len(job.submission().function.commands) for job in jobs] == [2, 1]


def test_slurm_gets_the_workers_of_dask(programs, tmp_path):
    programs("sbatch", f'cat "$1" >> {tmp_path}/jobs.txt; echo Submitted batch job 7')
    programs("scancel")
    with dask_backend.cluster_of(read_config(FILES / "dask-slurm.yml", DaskConfig)) as cluster:
        cluster.sync(cluster._correct_state)
        script = cluster.job_script()
    for line in ("#SBATCH --cpus-per-task=2", "#SBATCH -t 02:00:00", "#SBATCH --requeue",
                 "#SBATCH --mem=8G", "--nthreads 1"):  # fmt: skip
        assert line in script
    assert (tmp_path / "log.txt").read_text().count("sbatch") == 8


def test_the_configuration_of_this_machine_is_sound():
    assert read_config(FILES / "dask-local.yml", DaskConfig) == DaskConfig(memory_gb=4.0)
