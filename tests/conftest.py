"""Fixtures that tests of several packages share; what they are made of lies in `support`."""

import gc
import json
import os
import shutil
import subprocess
from pathlib import Path

# Before NumPy and torch: threads of several test processes spin in wait of each other. On two cores
# the methods' tests take four times as long otherwise.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import h5py
import numpy as np
import pytest
from support.emulator import AnalyticEmulator
from support.rows import FakeTask, draw_ranks, row_content
from support.toy_task import ToyTask

from starbench.evaluation import fresh_process
from starbench.leaderboard.store import board
from starbench.methods.registry import get_method
from starbench.results.ranks import write_ranks
from starbench.results.schema import parse_row, write_row
from starbench.runs import load, looks
from starbench.tasks.apogee_giants.make_manifest import make_manifest
from starbench.tasks.apogee_giants.task import ApogeeGiants
from starbench.tasks.base import SPLITS


@pytest.fixture(autouse=True)
def short_kernel(monkeypatch):
    """Let the reference kernel, which every run times, take no time."""
    monkeypatch.setattr(load, "KERNEL_SIZES", (1, 8, 4, 2))


@pytest.fixture(autouse=True, scope="session")
def looks_apart(tmp_path_factory):
    """Keep what was scored on test out of the user's cache."""
    folder = tmp_path_factory.mktemp("looks")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(looks, "cache_folder", lambda chosen: chosen or folder)
        yield


@pytest.fixture(autouse=True, scope="session")
def states_checked_in_this_process():
    """Ask a method's state in the process of the tests, as a new one takes seconds to start."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fresh_process, "_address", lambda method_class: None)
        yield


@pytest.fixture
def toy_task():
    return ToyTask()


@pytest.fixture(scope="session")
def make_toy_task():
    return ToyTask


@pytest.fixture(scope="session")
def toy_file():
    """Path of the file of small methods, for ``--method FILE:CLASS``."""
    return Path(__file__).parent / "support" / "toy_methods.py"


@pytest.fixture(scope="session")
def linear(toy_file):
    return get_method(f"{toy_file}:Linear")


@pytest.fixture(scope="session")
def blind(toy_file):
    return get_method(f"{toy_file}:Blind")


@pytest.fixture(scope="session")
def emulator():
    return AnalyticEmulator()


@pytest.fixture(scope="session")
def manifest(emulator):
    """A manifest of the formula's spectra."""
    return make_manifest(ApogeeGiants(emulator=emulator))


@pytest.fixture
def task(tmp_path, emulator, manifest):
    """The task with spectra by a formula, in a cache of its own."""
    return ApogeeGiants(tmp_path / "cache", emulator=emulator, manifest=manifest)


@pytest.fixture
def pairs_file(tmp_path):
    """A factory of files of own pairs; the keyword arguments replace arrays or attributes."""

    def write(name="my pairs.h5", n=(6, 4, 4), n_pixels=12, n_nuisance=2, dtype="f4", **changes):
        rng = np.random.default_rng(7)
        path = tmp_path / name
        with h5py.File(path, "w") as file:
            file["wavelength"] = np.linspace(5000.0, 6000.0, n_pixels)
            file.attrs["nuisance_names"] = [f"u{i}" for i in range(n_nuisance)]
            file.attrs["nuisance_units"] = ["K"] * n_nuisance
            file.attrs["elements"] = ["Fe/H", "Mg/Fe"]
            for split, size in zip(SPLITS, n, strict=True):
                file[f"{split}/flux"] = rng.normal(1, 0.1, (size, 2, n_pixels)).astype(dtype)
                file[f"{split}/nuisance"] = rng.normal(size=(size, 2, n_nuisance)).astype(dtype)
                file[f"{split}/composition"] = rng.normal(size=(size, 2)).astype(dtype)
            for place, value in changes.items():
                if place in ("nuisance_names", "nuisance_units", "elements", "snr"):
                    file.attrs.pop(place, None)
                    if value is not None:
                        file.attrs[place] = value
                else:
                    if place in file:
                        del file[place]
                    if value is not None:
                        file[place] = value
        return path

    return write


@pytest.fixture
def collector_off():
    """Keep the garbage collector from running finalisers at the limit of recursion, which fail."""
    gc.disable()
    yield
    gc.enable()


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 2 MB, where the machine lets one be mounted."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = shutil.which("mount")
    options = ["-t", "tmpfs", "-o", "size=2m", "tmpfs", str(folder)]
    if mount is None or subprocess.run([mount, *options], capture_output=True).returncode:
        pytest.skip("mounting a file system needs rights that this process lacks")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


@pytest.fixture
def make_run(tmp_path):
    """Return a function that writes the folder of a run."""
    count = iter(range(1000))

    def make(*, seed=0, nearest=0.5, change=None, ranks=None, **fields):
        rank, tied = ranks or draw_ranks([seed, int(100 * nearest)], nearest)
        content = row_content(rank, tied, seed=seed, **fields)
        if change:
            content = change(content)
        folder = tmp_path / "runs" / str(next(count))
        folder.mkdir(parents=True)
        write_row(parse_row(json.dumps(content)), folder / "row.json")
        if content["status"] == "ok":
            write_ranks(folder / "ranks.h5", rank, tied)
        return folder

    return make


@pytest.fixture
def directory(tmp_path):
    """Return the leaderboard folder of a checkout without rows."""
    folder = tmp_path / "checkout" / "leaderboard"
    folder.mkdir(parents=True)
    (folder / board.MARKER).write_text("")
    return folder


@pytest.fixture
def reproduced_rows(monkeypatch):
    """Let every row of a leaderboard count as reproduced, so that it may have a rank."""
    monkeypatch.setattr(board, "level_of", lambda row, path: "reproduced")


@pytest.fixture
def add(directory):
    """Return `board.add` to that folder, with a fake task and without installed methods."""

    def add_runs(*runs, task=None, installed_method=lambda name: None, **options):
        return board.add(
            runs,
            directory,
            get_task=lambda name: task or FakeTask(),
            installed_method=installed_method,
            **options,
        )

    return add_runs
