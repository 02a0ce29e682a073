"""Arrays on disk are read in parts, and give their memory back."""

import sys
from pathlib import Path

import numpy as np
import pytest

from starbench.common.paging import expect_order, on_disk, release, rows_on_disk, walk


def test_rows_on_disk_keep_what_is_written_and_leave_no_file(tmp_path):
    rows = rows_on_disk((5, 3), tmp_path / "cache")
    assert rows.dtype == np.float32
    assert on_disk(rows)
    assert on_disk(rows[2:])
    assert not on_disk(np.zeros(3))
    rows[1:3] = 7
    release(rows[2:])
    release(np.zeros(3))
    assert rows.sum() == 2 * 3 * 7
    assert list((tmp_path / "cache").iterdir()) == []


def test_walk_yields_the_parts_of_all_arrays(tmp_path):
    rows = rows_on_disk((5, 2), tmp_path)
    rows[:] = np.arange(10).reshape(5, 2)
    parts = list(walk(2, rows, np.arange(5)))
    assert [part[0] for part in parts] == [slice(0, 2), slice(2, 4), slice(4, 5)]
    assert np.concatenate([part[1] for part in parts]) == pytest.approx(np.asarray(rows))
    assert np.concatenate([part[2] for part in parts]).tolist() == [0, 1, 2, 3, 4]


@pytest.mark.skipif(sys.platform != "linux", reason="reads what Linux knows of mapped files")
def test_the_system_reads_nothing_ahead_of_rows_in_a_random_order(tmp_path):
    """59 GB were once read from the disk to write 7 GB of shuffled rows."""
    rows = rows_on_disk((5, 3), tmp_path)

    def random() -> bool:
        (of_rows,) = [
            part
            for part in Path("/proc/self/smaps").read_text().split("VmFlags:")
            if str(tmp_path) in part
        ]
        flags = Path("/proc/self/smaps").read_text().split(of_rows)[1].splitlines()[0]
        return "rr" in flags.split()

    assert not random()
    expect_order(rows[1:], in_order=False)
    assert random()
    expect_order(rows, in_order=True)
    assert not random()
    expect_order(np.zeros(3), in_order=False)
    expect_order(None, in_order=False)
