"""Counting the runs of a machine, and the reference kernel."""

import subprocess
import sys

import numpy as np
import torch

from starbench.runs import load
from starbench.runs.load import MachineLoad, kernel_seconds

OTHER = (
    "import pathlib, sys\n"
    "from starbench.common.locks import try_lock\n"
    "file = (pathlib.Path(sys.argv[1]) / sys.argv[2]).open('w')\n"
    "assert try_lock(file)\n"
    "print('running', flush=True)\n"
    "sys.stdin.read()\n"
)


def test_runs_of_other_processes_are_counted_while_they_last(tmp_path):
    (tmp_path / "123").touch()  # of a run that was killed
    others = [
        subprocess.Popen(
            [sys.executable, "-c", OTHER, str(tmp_path), f"other-{number}"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        )
        for number in range(2)
    ]  # fmt: skip
    for other in others:
        assert other.stdout.readline() == b"running\n"
    machine = MachineLoad(tmp_path)
    with machine.counted():
        assert machine.runs_at_once == 3
        for other in others:
            other.communicate()
        machine.count()
    assert machine.runs_at_once == 3  # the largest number counts
    assert list(tmp_path.iterdir()) == []
    alone = MachineLoad(tmp_path)
    with alone.counted():
        pass
    assert alone.measured().runs_at_once == 1


def test_a_machine_without_temporary_files_runs_all_the_same(tmp_path):
    machine = MachineLoad(tmp_path / "no" / "such")
    with machine.counted():
        machine.count()
    assert machine.measured().runs_at_once == 1


def test_the_kernel_is_that_of_its_version_and_leaves_the_generators_alone(monkeypatch):
    monkeypatch.undo()  # its full size
    assert (load.KERNEL_VERSION, load.KERNEL_SIZES) == (1, (4, 1024, 2000, 20))
    monkeypatch.setattr(load, "KERNEL_REPEATS", 1)
    before = np.random.get_state()[1].copy(), torch.get_rng_state()  # noqa: NPY002
    assert kernel_seconds() > 0
    assert (np.random.get_state()[1] == before[0]).all()  # noqa: NPY002
    assert torch.equal(torch.get_rng_state(), before[1])


def test_the_kernel_is_timed_on_processors_only():
    machine = MachineLoad()
    machine.time_kernel("cuda")
    assert machine.measured().kernel_seconds is None
    machine.time_kernel("cpu")
    assert machine.measured().kernel_seconds > 0
