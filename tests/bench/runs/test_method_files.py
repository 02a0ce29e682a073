"""Method files of other authors: neighbours, global seeds and worker processes."""

import shlex
import sys
from importlib import import_module
from pathlib import Path

import h5py
import pytest
from click.testing import CliRunner

from starbench.cli.main import main
from starbench.common import sources
from starbench.common.sources import code_digest, source_digest
from starbench.methods.registry import get_method
from starbench.metrics import network
from starbench.results.schema import read_row
from starbench.runs import fitting, runner
from starbench.runs.draft import Identity
from starbench.runs.origin import method_code, source_file

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
    monkeypatch.setattr(network, "_MIN_STEPS", 20)
    monkeypatch.setattr(network, "_EPOCHS", 2)

    def run(method, seed=0, force=True):
        options = {"scale": "tiny", "device": "cpu", "out": tmp_path / "runs", "quiet": True}
        row = runner.run(toy_task, method, seed=seed, force=force, **options).row
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


@pytest.mark.parametrize("top", ["lab_methods", "lab_namespace"])
def test_all_modules_of_a_package_count_in_the_digest(top, tmp_path, monkeypatch):
    package = tmp_path / top / "parts"
    package.mkdir(parents=True)
    if top == "lab_methods":  # the other has no __init__.py, as in methods/README.md
        (tmp_path / top / "__init__.py").write_text("")
    (package / "__init__.py").write_text("")
    (package / "one.py").write_text("from . import two")
    (package / "two.py").write_text("")
    monkeypatch.syspath_prepend(tmp_path)
    path = Path(import_module(f"{top}.parts.one").__file__)

    def digest():
        return code_digest(f"{top}.parts.one", path)

    before = digest()
    (package / "notes.txt").write_text("no code")
    assert digest() == before
    (package / "two.py").write_text("x = 1")
    changed = digest()
    (tmp_path / top / "unused.py").write_text("")
    assert len({before, changed, digest()}) == 3


def test_installed_modules_beside_a_file_are_not_its_neighbours(tmp_path, monkeypatch):
    site = tmp_path / "site-packages"
    site.mkdir()
    path = site / "lab_method.py"
    path.write_text("import lab_helper, someone_elses\n")
    (site / "lab_helper.py").write_text("")
    (site / "someone_elses.py").write_text("")
    owners = {"lab_method": ["lab"], "lab_helper": ["lab"], "someone_elses": ["other"]}
    monkeypatch.setattr(sources, "packages_distributions", lambda: owners)
    before = source_digest(path)
    (site / "someone_elses.py").write_text("x = 1")
    assert source_digest(path) == before
    (site / "lab_helper.py").write_text("x = 1")
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


DRAWS = """
import os
import random

import numpy as np
import torch

from mine import Mine


class Draws(Mine):
    def fit(self, train, validation, monitor):
        monitor.start(self, 4)
        for epoch in range(int(getattr(self, "done", 0)) + 1, 5):
            if epoch == 3 and os.environ.pop("STOP_TEST", None):
                raise OSError("the disk is full")
            size = train.flux.shape[1], 2
            self.axes = torch.rand(size) + torch.from_numpy(np.random.randn(*size))
            self.axes = (self.axes + random.gauss(0, 1) * self.axes[:, :1]).float()
            self.done = torch.tensor(epoch)
            monitor.epoch(self, epoch, {"loss": 1.0})

    def state(self):
        return {"axes": self.axes, "done": self.done}

    def load_state(self, state):
        self.axes, self.done = state["axes"], state["done"]
"""


def test_a_resumed_fit_draws_what_an_uninterrupted_one_draws(load, run, tmp_path, monkeypatch):
    load("mine")
    (tmp_path / "draws.py").write_text(DRAWS)
    method = get_method(f"{tmp_path / 'draws.py'}:Draws")
    monkeypatch.setattr(fitting, "_SECONDS_BETWEEN_CHECKPOINTS", 0.0)
    monkeypatch.setattr(fitting, "_CHECKPOINT_SHARE", 1e9)
    whole = run(method)
    monkeypatch.setenv("STOP_TEST", "1")
    with pytest.raises(OSError, match="disk is full"):
        run(method)
    resumed = run(method, force=False)
    assert resumed.message is None and resumed.epochs == 4
    assert (resumed.metrics, resumed.ranks_sha256) == (whole.metrics, whole.ranks_sha256)


def test_the_row_names_the_code_and_its_command_repeats_the_run(
    load, pairs_file, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(network, "_MIN_STEPS", 20)
    monkeypatch.setattr(network, "_EPOCHS", 2)
    load("named")
    pairs = pairs_file("my pairs.h5", n=(30, 20, 20))
    options = ["--data", str(pairs), "--snr", "50", "--threads", "1", "--quiet", "--out"]
    rows = []
    for command in (["run", "--method", "named.py:Mine", *options, "one"], None):
        words = command or [*shlex.split(rows[0].command)[1:], "--quiet", "--out", "two"]
        outcome = CliRunner().invoke(main, words)
        assert outcome.exit_code == 0, outcome.output
        (path,) = (tmp_path / words[-1]).rglob("row.json")
        rows.append(read_row(path))
    assert rows[0].command == (
        "starbench run --method named.py:Mine --data 'my pairs.h5' --snr 50.0 --seed 0 --threads 1"
    )
    assert rows[1].ranks_sha256 == rows[0].ranks_sha256 and rows[1].command == rows[0].command
    digest = source_digest(tmp_path / "named.py")
    assert rows[0].code.sha256 == rows[1].code.sha256 == digest


def test_two_files_of_one_name_are_two_modules(load, tmp_path):
    first = load("same_name")
    (tmp_path / "other").mkdir()
    second_file = tmp_path / "other" / "same_name.py"
    second_file.write_text((tmp_path / "same_name.py").read_text() + "\n# changed\n")
    second = get_method(f"{second_file}:Mine")
    assert source_file(first) == tmp_path / "same_name.py" and source_file(second) == second_file
    assert method_code(first) != method_code(second)


def test_a_file_with_the_name_of_a_library_is_not_the_library(load):
    method = load("h5py")
    assert method.name == "mine" and h5py.File
    assert method_code(method).sha256 == source_digest(source_file(method))


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


def test_two_files_find_their_own_neighbours_of_one_name(tmp_path):
    for folder in ("one", "two", "one"):
        home = tmp_path / folder
        home.mkdir(exist_ok=True)
        (home / "neighbour.py").write_text(f"NAME = {folder!r}\n")
        (home / "method.py").write_text(
            "from neighbour import NAME\n"
            "from starbench.methods.pca import PrincipalComponents\n\n\n"
            "class Mine(PrincipalComponents):\n    name = NAME\n"
        )
        assert get_method(f"{home / 'method.py'}:Mine").name == folder
