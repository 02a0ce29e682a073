import contextlib
import logging
import os
import re
import signal
import subprocess
import sys
import threading
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
from support.waiting import wait_until

from starbench.common import threads
from starbench.common.hdf5_guards import OpenElsewhere
from starbench.tasks.apogee_giants.task import ApogeeGiants
from starbench.tasks.base import SPLITS
from starbench.tasks.errors import DataError
from starbench.tasks.own.hdf5 import OwnData
from starbench.tasks.storage.cache import cache_folder
from starbench.tasks.storage.chunks import Damaged


@pytest.fixture
def built(task):
    task.prepare("mini", progress=False)
    return task


@pytest.fixture
def path(built):
    return built.cached("mini").path


def alter(path, place, change):
    """Change a few bytes of a dataset, as a failing disk does."""
    with h5py.File(path, "r+") as file:
        split, field, *index = place
        dataset = file[split][field]
        dataset[tuple(index)] = change(dataset[tuple(index)])


def messages(caplog):
    return [record.getMessage() for record in caplog.records]


def test_the_file_has_the_documented_layout(built, path, emulator):
    assert path.name == "apogee-giants-1-mini.h5"
    with h5py.File(path) as file:
        assert set(file) == {"wavelength", *SPLITS}
        assert np.array_equal(file["wavelength"], emulator.wavelength)
        assert file["wavelength"].attrs["unit"] == "Angstrom"
        assert file["wavelength"].attrs["medium"] == "vacuum"
        assert list(file.attrs["nuisance_names"]) == ["Teff", "logg"]
        assert list(file.attrs["nuisance_units"]) == ["K", "dex"]
        assert list(file.attrs["elements"])[:2] == ["Fe/H", "C/Fe"]
        assert file.attrs["task"] == "apogee-giants" and file.attrs["version"] == 1
        assert file.attrs["scale"] == "mini" and file.attrs["emulator_sha256"] == emulator.sha256
        assert file["train/flux"].shape == (2500, 2, len(emulator.wavelength))
        assert file["train/flux"].dtype == np.float32
        for field in ("flux", "nuisance", "composition"):
            made = getattr(built.make("test", 1000, 1010), field)
            assert np.array_equal(file["test"][field][1000:1010], made)


def test_a_file_of_an_earlier_version_does_not_state_the_medium(built, path):
    with h5py.File(path, "r+") as file:
        del file["wavelength"].attrs["medium"]
    assert built.cached("mini").fault() is None
    assert OwnData(path).card.medium == "unknown"


def test_a_file_in_air_is_not_that_of_a_task_in_vacuum(built, path):
    with h5py.File(path, "r+") as file:
        file["wavelength"].attrs["medium"] = "air"
    assert built.cached("mini").fault() == "states wavelengths in air instead of vacuum"


def test_a_cached_file_can_be_read_as_own_data(built, path):
    own = OwnData(path)
    assert own.card.medium == "vacuum"
    own.prepare("own", progress=False)
    assert np.array_equal(own.load("test", "own").flux, built.load("test", "mini").flux)


def test_a_file_that_another_program_has_open_is_not_rebuilt(built, path):
    before = path.stat()
    script = "import h5py, sys; f = h5py.File(sys.argv[1], 'a'); print('open', flush=True); input()"
    other = subprocess.Popen(
        [sys.executable, "-c", script, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    try:
        assert other.stdout.readline() == b"open\n"
        with pytest.raises(OpenElsewhere):
            built.prepare("mini", progress=False)
    finally:
        other.communicate(b"\n")
    assert (path.stat().st_ino, path.stat().st_size) == (before.st_ino, before.st_size)
    built.prepare("mini", progress=False)  # which is still whole


def test_building_again_changes_nothing(built, path):
    before = path.stat()
    built.prepare("mini", progress=False)
    after = path.stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_a_build_leaves_only_the_file_and_its_lock(path):
    assert {file.name for file in path.parent.iterdir()} <= {path.name, path.name + ".lock"}


@pytest.mark.parametrize(
    "place",
    [
        ("train", "flux", 700, 1, 3),
        ("test", "flux", 0, 0, 0),
        ("validation", "nuisance", 1249, 1, 1),
    ],
)
def test_one_altered_number_is_named_and_only_its_chunk_rebuilt(built, path, caplog, place):
    split, field, pair, *_ = place
    wanted = getattr(built.load(split, "mini"), field)
    alter(path, place, lambda x: np.nextafter(x, np.float32(9), dtype=np.float32))
    inode = path.stat().st_ino
    # the labels are compared whenever the set is opened, at a resolution that one last bit escapes
    with caplog.at_level(logging.WARNING):
        found = getattr(built.load(split, "mini"), field)
    assert np.array_equal(found, wanted)
    chunk = pair // 625
    last = min(625 * (chunk + 1), len(wanted)) - 1
    assert messages(caplog) == [
        f"{path}: {split} chunk {chunk} (pairs {625 * chunk}-{last}) is damaged; it is rebuilt"
    ]
    assert path.stat().st_ino == inode
    caplog.clear()
    built.load(split, "mini")
    assert not caplog.records


def test_a_flipped_bit_anywhere_in_a_chunk_is_found(built, path):
    cached = built.cached("mini")
    with h5py.File(path) as file:
        offset = file["validation/flux"].id.get_offset()
    with path.open("r+b") as file:
        file.seek(offset + 12345)
        byte = file.read(1)[0]
        file.seek(offset + 12345)
        file.write(bytes([byte ^ 4]))
    problems = list(cached.problems(progress=False))
    assert problems == [(f"{path}: validation chunk 0 (pairs 0-624) is damaged", ("validation", 0))]
    cached.rebuild("validation", 0)
    assert not list(cached.problems(progress=False))


def test_a_damaged_digest_is_found_and_repaired(built, path):
    alter(path, ("train", "digest", 2), lambda x: x ^ 1)
    cached = built.cached("mini")
    assert [place for _, place in cached.problems(progress=False)] == [("train", 2)]
    built.load("train", "mini")
    assert not list(cached.problems(progress=False))


@pytest.mark.parametrize("keep", [0, 100, 5000, 0.3, 0.999, -1])
def test_a_truncated_file_is_named_and_rebuilt(built, path, caplog, keep):
    wanted = path.read_bytes()
    size = len(wanted)
    os.truncate(path, size + keep if keep < 0 else int(keep * size) if keep < 1 else keep)
    with caplog.at_level(logging.WARNING):
        built.prepare("mini", progress=False)
    (message,) = messages(caplog)
    what = "(is truncated|cannot be read as HDF5 .*)"
    assert re.fullmatch(rf"{re.escape(str(path))} {what}; it is rebuilt", message)
    assert path.read_bytes() == wanted


def test_truncation_after_opening_is_noticed_while_reading(built, path):
    chunks = built.chunks("test", "mini")
    next(chunks)
    os.truncate(path, path.stat().st_size // 2)
    (rows, piece), *_ = chunks
    assert np.array_equal(piece.flux, built.make("test", rows.start, rows.stop).flux)


def test_altered_labels_are_found_without_reading_flux(built, path, caplog):
    alter(path, ("test", "composition", 3, 5), lambda x: x + np.float32(2e-5))
    with caplog.at_level(logging.WARNING):
        built.prepare("mini", progress=False)
    assert (
        "holds labels of test that are not those of the manifest; it is rebuilt"
        in messages(caplog)[0]
    )
    assert not list(built.problems("mini", progress=False))


def test_a_file_made_by_another_emulator_is_rebuilt(built, path, caplog):
    with h5py.File(path, "r+") as file:
        file.attrs["emulator_sha256"] = "another"
    with caplog.at_level(logging.WARNING):
        built.prepare("mini", progress=False)
    assert "has emulator_sha256 = another" in messages(caplog)[0]
    assert built.cached("mini").fault() is None


def test_data_with_a_right_digest_that_differ_from_the_manifest_are_found(built, path):
    cached = built.cached("mini")
    piece = cached._store.read("train", 1)
    piece.flux[100, 1, 40] += 0.0006
    cached._store.write("train", 1, piece)
    ((text, place),) = cached.problems(progress=False)
    assert "the flux of train pairs 725-749 is not that of the manifest" in text
    assert place == ("train", 1)
    cached.rebuild("train", 1)
    assert not list(cached.problems(progress=False))


def test_building_data_that_differ_from_the_manifest_is_refused(tmp_path, emulator, manifest):
    off = type(emulator)(strength=1.05)
    off.sha256 = emulator.sha256
    task = ApogeeGiants(tmp_path, emulator=off, manifest=manifest)
    with pytest.raises(
        DataError, match=r"differ from what the task expects: the flux of train pairs 0-24 .*"
    ) as caught:
        task.prepare("tiny", progress=False)
    assert "`python -m starbench.tasks.apogee_giants.make_manifest`" in str(caught.value)
    assert not task.cached("tiny").path.exists()


class StopsAfter:
    """An emulator that is interrupted, as by Ctrl-C, after some calls."""

    def __init__(self, emulator, calls):
        self._emulator, self.left, self.calls = emulator, calls, 0
        self._lock = threading.Lock()
        self.wavelength, self.sha256 = emulator.wavelength, emulator.sha256

    def flux(self, labels):
        with self._lock:
            if self.left == 0:
                raise KeyboardInterrupt
            self.left -= 1
            self.calls += 1
        return self._emulator.flux(labels)


def test_an_interrupted_build_resumes(tmp_path, emulator, manifest):
    stopping = StopsAfter(emulator, 13)  # two chunks of five blocks, and a part of the third
    task = ApogeeGiants(tmp_path, emulator=stopping, manifest=manifest)
    task.thread_safe = False  # or the third chunk is begun before the second is done
    with pytest.raises(KeyboardInterrupt):
        task.prepare("mini", progress=False)
    path = task.cached("mini").path
    assert not path.exists()
    stopping.left, stopping.calls = -1, 0
    task.prepare("mini", progress=False)
    assert stopping.calls == 5 * 6  # of the eight chunks, six were left
    assert not list(task.problems("mini", progress=False))
    assert not path.with_name(path.name + ".partial").exists()


def test_threads_build_the_same_file(built, path, tmp_path, emulator, manifest, monkeypatch):
    monkeypatch.setattr(threads, "_chosen", 3)
    again = ApogeeGiants(tmp_path / "threads", emulator=emulator, manifest=manifest)
    again.prepare("mini", progress=False)
    assert again.cached("mini").path.read_bytes() == path.read_bytes()


def test_an_interrupted_build_by_threads_resumes(tmp_path, emulator, manifest, monkeypatch):
    monkeypatch.setattr(threads, "_chosen", 2)
    stopping = StopsAfter(emulator, 23)
    task = ApogeeGiants(tmp_path, emulator=stopping, manifest=manifest)
    before = torch.get_num_threads()
    with pytest.raises(KeyboardInterrupt):
        task.prepare("mini", progress=False)
    assert torch.get_num_threads() == before
    stopping.left, stopping.calls = -1, 0
    task.prepare("mini", progress=False)
    assert 5 * 4 <= stopping.calls <= 5 * 6  # of the eight chunks, two to four were kept
    assert not list(task.problems("mini", progress=False))


def test_an_unfinished_file_of_other_data_is_discarded(tmp_path, emulator, manifest):
    stopping = StopsAfter(emulator, 13)
    task = ApogeeGiants(tmp_path, emulator=stopping, manifest=manifest)
    with pytest.raises(KeyboardInterrupt):
        task.prepare("mini", progress=False)
    partial = task.cached("mini").path.with_name("apogee-giants-1-mini.h5.partial")
    with h5py.File(partial, "r+") as file:
        file.attrs["emulator_sha256"] = "another"
    stopping.left, stopping.calls = -1, 0
    task.prepare("mini", progress=False)
    assert stopping.calls == 5 * 8
    assert not list(task.problems("mini", progress=False))


def test_a_chunk_can_be_built_before_the_others(task):
    cached = task.cached("mini")
    cached.rebuild("validation", 1)
    assert not cached.path.exists()
    alone = cached._partial.read("validation", 1)
    assert np.array_equal(alone.flux, task.make("validation", 625, 1250).flux)
    for split, chunk in cached.header.chunks:
        cached.rebuild(split, chunk)
    assert cached.path.exists() and cached.fault() is None


@pytest.mark.parametrize(
    ("place", "sentence"),
    [
        (("train", 4), "--chunk 4 does not exist; train has the chunks 0 to 3"),
        (("train", -1), "--chunk -1 does not exist"),
        (("dev", 0), "--split dev does not exist; choose one of train, validation, test"),
    ],
)
def test_a_chunk_that_does_not_exist_is_named(task, place, sentence):
    with pytest.raises(DataError, match=re.escape(sentence)):
        task.cached("mini").rebuild(*place)


SUPPORT = Path(__file__).parents[2] / "support" / "emulator.py"

BUILD = """
import runpy, sys, time
from pathlib import Path
support = runpy.run_path({support!r})
from starbench.tasks.apogee_giants.task import ApogeeGiants
from starbench.tasks.apogee_giants.manifest import Manifest
emulator = support["AnalyticEmulator"]()
make, delay = emulator.flux, {delay}
emulator.flux = lambda labels: (time.sleep(delay), make(labels))[1]
task = ApogeeGiants(Path({cache!r}), emulator=emulator, manifest=Manifest.read(Path({manifest!r})))
{limit}
print("start", flush=True)
task.prepare("mini", progress=False)
"""


@pytest.fixture
def script(tmp_path, manifest):
    """A factory of programs that build the set in a process of their own."""
    manifest.write(tmp_path / "manifest.json")

    def start(cache, delay=0.0, limit=""):
        code = BUILD.format(
            support=str(SUPPORT),
            cache=str(cache),
            manifest=str(tmp_path / "manifest.json"),
            delay=delay,
            limit=limit,
        )
        return subprocess.Popen(
            [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )

    return start


def test_a_killed_build_is_resumed(script, task):
    cached = task.cached("mini")
    process = script(cached.path.parent, delay=0.04)
    partial = cached._partial

    def begun():
        with contextlib.suppress(Damaged):  # not laid out yet
            return any(partial.is_written(*place) for place in cached.header.chunks)

    wait_until(begun)
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=60)
    assert not cached.path.exists() and partial.path.exists()
    assert not all(partial.is_written(*place) for place in cached.header.chunks)
    task.prepare("mini", progress=False)
    assert not list(task.problems("mini", progress=False))


def test_the_second_of_two_processes_waits_for_the_build(script, task):
    cache = task.cached("mini").path.parent
    processes = [script(cache, delay=0.01) for _ in range(2)]
    errors = [process.communicate(timeout=120)[1] for process in processes]
    assert [process.returncode for process in processes] == [0, 0]
    assert sum("waiting for another process" in text for text in errors) <= 1
    assert not list(task.problems("mini", progress=False))


# A limit on the size of files ends writes as a full disk does: from the start, or once chunks are
# being made.
LIMIT = """
import resource
limit = lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (3_000_000, resource.RLIM_INFINITY))
"""
FULL_FROM_THE_START = LIMIT + "limit()"
FULL_LATER = LIMIT + "emulator.flux = lambda labels: (limit(), make(labels))[1]"


@pytest.mark.parametrize("limit", [FULL_FROM_THE_START, FULL_LATER])
def test_a_full_disk_is_reported_and_leaves_nothing(script, tmp_path, limit):
    cache = tmp_path / "full"
    process = script(cache, limit=limit)
    error = process.communicate(timeout=120)[1]
    assert process.returncode == 1
    last = error.strip().splitlines()[-1]
    assert last.startswith("OSError: [Errno 28] no room left on the disk for 6 MB; free some space")
    assert "--cache" in last and "apogee-giants-1-mini.h5" in last
    assert {file.name for file in cache.iterdir()} <= {"apogee-giants-1-mini.h5.lock"}


def test_a_full_file_system_is_reported(small_disk, emulator, manifest):
    task = ApogeeGiants(small_disk, emulator=emulator, manifest=manifest)
    with pytest.raises(OSError, match="no room left on the disk"):
        task.prepare("mini", progress=False)
    assert {file.suffix for file in small_disk.iterdir()} <= {".lock"}
    task.prepare("tiny", progress=False)
    assert not list(task.problems("tiny", progress=False))


def test_the_cache_folder_is_chosen_by_argument_then_environment(monkeypatch, tmp_path):
    monkeypatch.setenv("STARBENCH_CACHE", str(tmp_path / "by-environment"))
    assert cache_folder() == tmp_path / "by-environment"
    assert cache_folder(tmp_path / "by-option") == tmp_path / "by-option"
    monkeypatch.delenv("STARBENCH_CACHE")
    assert cache_folder().name == "starbench"
