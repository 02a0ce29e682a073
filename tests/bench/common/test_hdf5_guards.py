import logging
import os
import signal

import h5py
import numpy as np
import pytest
from campaigns.damage import packed_zeros

from starbench.common import hdf5_guards
from starbench.common.hdf5_guards import (
    UNREADABLE,
    ended_together,
    mostly_unwritten,
    open_hdf5,
    read_numbers,
    require_end,
)


@pytest.fixture
def file(tmp_path):
    with h5py.File(tmp_path / "file.h5", "w") as file:
        yield file


def test_numbers_are_read_whole_or_by_rows(file):
    numbers = np.arange(12.0).reshape(4, 3)
    file.create_dataset("packed", data=numbers, chunks=(2, 3), compression="gzip")
    assert np.array_equal(read_numbers(file["packed"]), numbers)
    assert np.array_equal(read_numbers(file["packed"], slice(1, 9)), numbers[1:])


def test_a_chunk_that_unpacks_to_gigabytes_is_refused(file):
    dataset = file.create_dataset("bomb", (4, 3), "f8", chunks=(4, 3), compression="gzip")
    dataset.id.write_direct_chunk((0, 0), packed_zeros(200))  # 3.4 GB
    with pytest.raises(UNREADABLE, match=r"memory allocation failed|filter returned failure"):
        read_numbers(dataset)


def test_a_dataset_that_was_never_written_is_told_from_one_that_is_compressed(file):
    file.create_dataset("never", (10**9, 3), "f4", chunks=(1, 3))
    file.create_dataset("zeros", data=np.zeros((10**6, 10), "f4"), compression="gzip")
    file.create_dataset("small", (100, 3), "f4", chunks=(1, 3))
    assert [name for name in file if mostly_unwritten(file[name])] == ["never"]


def crash():
    os.kill(os.getpid(), signal.SIGKILL)


def loop():
    while True:
        pass


@pytest.mark.parametrize("read", [crash, loop])
def test_reading_that_crashes_or_never_ends_is_an_error(monkeypatch, read):
    monkeypatch.setattr(hdf5_guards, "_SECONDS", 1)
    with pytest.raises(OSError, match="crashes or never ends"):
        require_end(read)


def test_files_that_one_child_has_read_are_not_tried_again(monkeypatch, tmp_path):
    monkeypatch.setattr(hdf5_guards, "_SECONDS", 1)
    good, bad = tmp_path / "good.h5", tmp_path / "bad.h5"

    def fail():
        raise ValueError("the parent will say it")

    with ended_together({good: fail, bad: lambda: None}):
        require_end(crash, good)  # which it was not when the child read it
        with pytest.raises(OSError, match="crashes"):
            require_end(crash, tmp_path / "other.h5")
    with ended_together({good: lambda: None, bad: crash}):
        require_end(lambda: None, good)
        with pytest.raises(OSError, match="crashes"):
            require_end(crash, bad)
    with pytest.raises(OSError, match="crashes"):
        require_end(crash, good)


def test_reading_that_ends_in_any_way_is_left_to_the_parent(capfd):
    def fail():
        logging.getLogger("starbench").warning("the parent will warn too")
        raise ValueError("the parent will say it")

    require_end(fail)
    require_end(lambda: None)
    assert capfd.readouterr() == ("", "")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes on this system")
def test_a_pipe_is_refused_rather_than_waited_for(tmp_path):
    os.mkfifo(tmp_path / "file.h5")
    with pytest.raises(UNREADABLE, match="not a file"):
        open_hdf5(tmp_path / "file.h5")
