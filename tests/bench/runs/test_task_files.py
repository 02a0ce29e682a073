"""Task files of other authors: what was made before an edit is not used after it."""

import sys
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest

from starbench.common.settings import SettingError
from starbench.methods.registry import get_method
from starbench.metrics import network
from starbench.runs import runner
from starbench.runs.draft import Identity
from starbench.runs.predictions_writing import write_predictions
from starbench.tasks import example
from starbench.tasks.base import Task
from starbench.tasks.fresh import FreshTest
from starbench.tasks.registry import BUILT_IN, get_task

LINES = "depth = 0.3"
NOISY = """
from starbench.tasks.example import MyTask
from starbench.tasks.observation.noise import NoiseTrack


def noisy(cache=None):
    return NoiseTrack(MyTask(cache), 40.0)
"""


@pytest.fixture
def file(tmp_path, monkeypatch):
    """A file of a task whose spectra an edit changes, and neither its labels nor its version."""
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.delitem(sys.modules, "my_task", raising=False)
    path = tmp_path / "my_task.py"
    path.write_text(Path(example.__file__).read_text())
    return path


def edit(path, old=LINES, new="depth = 0.25"):
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    sys.modules.pop(path.stem, None)


def load(path, name="MyTask", **options):
    return get_task(f"{path}:{name}", **options)


@pytest.fixture
def run(tmp_path, linear, monkeypatch):
    monkeypatch.setattr(network, "_MIN_STEPS", 20)
    monkeypatch.setattr(network, "_EPOCHS", 2)

    def run(task, out="runs", method="pca"):
        return runner.run(
            task, get_method(method), scale="tiny", device="cpu", out=tmp_path / out, quiet=True
        )

    return run


def test_a_finished_run_is_not_that_of_an_edited_task(file, run):
    first = run(load(file))
    assert not run(load(file)).fresh
    edit(file)
    edited = run(load(file))
    assert edited.fresh and edited.row.ranks_sha256 != first.row.ranks_sha256
    assert edited.row.data_fingerprint == first.row.data_fingerprint


def test_predictions_of_a_run_are_not_made_for_an_edited_task(file, run, tmp_path):
    finished = run(load(file))
    write_predictions(finished.folder, load(file), tmp_path / "own.h5", quiet=True)
    edit(file)
    with pytest.raises(SettingError, match="was run on other data than my-task now has; run it"):
        write_predictions(finished.folder, load(file), tmp_path / "other.h5", quiet=True)


STOPPED = """
import os
from dataclasses import dataclass

import numpy as np
import torch

from starbench.methods.base import Method


class Stopped(Method):
    name = "stopped"
    label_access = "none"
    reference = "tests"

    @dataclass(frozen=True)
    class Hyperparameters:
        pass

    def fit(self, train, validation, monitor):
        monitor.start(self, 4)
        for epoch in range(int(getattr(self, "done", 0)) + 1, 5):
            if epoch == 3 and os.environ.pop("STOP_TEST", None):
                raise OSError("the disk is full")
            axes = torch.from_numpy(train.flux[epoch::4][:3].T.copy())
            self.axes = axes + getattr(self, "axes", 0)
            self.done = torch.tensor(epoch)
            monitor.epoch(self, epoch, {"loss": 1.0})

    def encode(self, flux, nuisance):
        return flux @ self.axes.numpy()

    def state(self):
        return {"axes": self.axes, "done": self.done}

    def load_state(self, state):
        self.axes, self.done = state["axes"], state["done"]
"""


def test_an_interrupted_fit_does_not_continue_on_the_data_of_an_edited_task(
    file, run, tmp_path, monkeypatch
):
    path = tmp_path / "stopped.py"
    path.write_text(STOPPED)
    method = f"{path}:Stopped"
    monkeypatch.setenv("STOP_TEST", "1")
    with pytest.raises(OSError, match="the disk is full"):
        run(load(file), method=method)
    edit(file)
    after = run(load(file), method=method).row
    anew = run(load(file), out="others", method=method).row
    assert after.status == "ok" and after.state_sha256 == anew.state_sha256


def test_a_stored_file_of_an_edited_task_is_built_again(file, tmp_path, caplog):
    edit(file, "    wavelength =", "    stored = True\n    wavelength =")
    load(file, cache=tmp_path).prepare("tiny", progress=False)
    assert load(file, cache=tmp_path).cached("tiny").fault() is None
    edit(file)
    edited = load(file, cache=tmp_path)
    assert "has code_sha256 = " in edited.cached("tiny").fault()
    edited.prepare("tiny", progress=False)
    assert "it is rebuilt" in caplog.text and edited.cached("tiny").fault() is None
    kept, drawn = edited.load("test", "tiny"), edited.make("test", 0, 64)
    assert np.array_equal(kept.flux, drawn.flux)


def test_the_code_of_a_function_that_makes_a_task_counts(file):
    file.write_text(NOISY)
    before = load(file, "noisy")
    fresh = FreshTest(before, "a-value-of-later-times")
    edit(file, "40.0", "20.0")
    after = load(file, "noisy")
    assert before.code_sha256 != after.code_sha256
    assert fresh.code_sha256 == before.code_sha256  # as it was when the task was loaded


def test_an_edit_of_another_module_of_a_package_makes_no_other_task(tmp_path, monkeypatch):
    package = tmp_path / "lab_tasks"
    package.mkdir()
    text = Path(example.__file__).read_text()
    for name, content in (
        ("__init__", ""), ("lines", "from .depth import DEPTH\n"), ("depth", "DEPTH = 0.3\n"),
        ("method", ""), ("task", f"from . import lines\n{text}"),
    ):  # fmt: skip
        (package / f"{name}.py").write_text(content)
    monkeypatch.syspath_prepend(tmp_path)
    made = import_module("lab_tasks.task").MyTask

    before = made().code_sha256
    (package / "method.py").write_text("x = 1\n")
    assert made().code_sha256 == before
    (package / "depth.py").write_text("DEPTH = 0.2\n")
    assert made().code_sha256 not in (None, before)


@pytest.mark.parametrize("name", BUILT_IN)
def test_tasks_of_starbench_have_no_other_code(name):
    task = get_task(name)
    assert task.code_sha256 is None and not task.has_unknown_code


def test_folders_of_runs_on_tasks_of_starbench_keep_their_names(linear):
    class Ours(example.MyTask):
        __module__ = "starbench.tasks.example"

    options = {"scale": "tiny", "seed": 0, "device": "cpu"}
    pca = get_method("pca")
    settings = Identity.of(Ours(), pca, pca.Hyperparameters(), **options).settings()
    assert "task_sha256" not in settings


def test_a_task_without_a_file_has_unknown_code():
    scope = {"MyTask": example.MyTask, "__name__": "no_such_module"}
    exec("class Mine(MyTask):\n    pass", scope)
    task: Task = scope["Mine"]()
    assert task.has_unknown_code and task.code_sha256 is None
