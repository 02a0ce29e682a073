"""Method files of other authors: neighbours, global seeds and worker processes."""

import sys

import pytest

from starbench.common.sources import source_digest
from starbench.methods.registry import get_method
from starbench.metrics import probes
from starbench.runs import runner
from starbench.runs.draft import Identity

METHOD = """
from dataclasses import dataclass

import numpy as np
import torch

from starbench.methods.base import Method

{head}


class Mine(Method):
    name = "mine"
    label_access = "none"
    reference = "tests"

    @dataclass(frozen=True)
    class Hyperparameters:
        width: int = 4

    def fit(self, train, validation, monitor):
        monitor.start(self, 1)
        {body}
        self.axes = torch.as_tensor(axes, dtype=torch.float32)
        monitor.epoch(self, 1, {{"loss": 1.0}})

    def encode(self, flux, nuisance):
        return flux @ self.axes.numpy()

    def state(self):
        return {{"axes": self.axes}}

    def load_state(self, state):
        self.axes = state["axes"]
"""


@pytest.fixture
def load(tmp_path, monkeypatch):
    """Write a method file, and load it as a new process would."""
    monkeypatch.setattr(sys, "path", [*sys.path])

    def write(name, head="", body="axes = np.ones((train.flux.shape[1], 2))"):
        monkeypatch.delitem(sys.modules, name, raising=False)
        path = tmp_path / f"{name}.py"
        path.write_text(METHOD.format(head=head, body=body))
        return get_method(f"{path}:Mine")

    return write


@pytest.fixture
def run(toy_task, tmp_path, monkeypatch):
    monkeypatch.setattr(probes, "_MIN_STEPS", 20)
    monkeypatch.setattr(probes, "_EPOCHS", 2)

    def run(method, seed=0):
        options = {"scale": "tiny", "device": "cpu", "out": tmp_path / "runs", "quiet": True}
        row = runner.run(toy_task, method, seed=seed, force=True, **options).row
        assert row.status == "ok", row.message
        return row

    return run


def test_a_neighbour_is_imported_and_counts_in_the_digest(load, toy_task, tmp_path, monkeypatch):
    (tmp_path / "helper_one.py").write_text("from helper_two import SCALE\n")
    (tmp_path / "helper_two.py").write_text("SCALE = 2.0\n")
    (tmp_path / "unrelated.py").write_text("")
    method = load("sibling_a", "from helper_one import SCALE")
    options = {"scale": "tiny", "seed": 0, "device": "cpu"}

    def digest():
        return Identity.of(toy_task, method, method.Hyperparameters(), **options).source_sha256

    before = digest()
    (tmp_path / "unrelated.py").write_text("x = 1\n")
    assert digest() == before
    (tmp_path / "helper_two.py").write_text("SCALE = 3.0\n")
    assert digest() != before


def test_the_digest_of_a_file_without_neighbours_is_that_of_its_bytes(tmp_path):
    import hashlib

    path = tmp_path / "alone.py"
    path.write_text("import numpy\nfrom torch import nn\n")
    assert source_digest(path) == hashlib.sha256(path.read_bytes()).hexdigest()
    (tmp_path / "package").mkdir()
    (tmp_path / "package" / "__init__.py").write_text("")
    path.write_text("def f():\n    import package.part\n")
    before = source_digest(path)
    (tmp_path / "package" / "part.py").write_text("x = 1\n")
    assert source_digest(path) != before


@pytest.mark.parametrize(
    ("head", "draw"),
    [
        ("", "np.random.randn(train.flux.shape[1], 4)"),
        ("import random", "[[random.gauss(0, 1)] * 4 for _ in range(train.flux.shape[1])]"),
    ],
)
def test_global_generators_are_seeded(load, run, head, draw):
    method = load("global_seed", head, f"axes = {draw}")
    one, same, other = (run(method, seed) for seed in (5, 5, 2**63 - 1))
    assert one.ranks_sha256 == same.ranks_sha256 != other.ranks_sha256


def test_workers_may_be_spawned(load, run):
    head = (
        "from torch.utils.data import DataLoader, Dataset\n\n\n"
        "class Spectra(Dataset):\n"
        "    def __init__(self, x):\n        self.x = x\n\n"
        "    def __len__(self):\n        return len(self.x)\n\n"
        "    def __getitem__(self, i):\n        return self.x[i]"
    )
    body = (
        "loader = DataLoader(Spectra(train.flux), 64, num_workers=1,"
        ' multiprocessing_context="spawn")\n'
        "        axes = np.ones((train.flux.shape[1], 2)) * sum(len(x) for x in loader)"
    )
    run(load("spawns_workers", head, body))
