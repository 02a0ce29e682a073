import errno
import fcntl
import subprocess
import sys

import h5py
import pytest

from starbench.common import locks
from starbench.common.hdf5_guards import OpenElsewhere, open_hdf5

NO_LOCKS = [errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, 524]


@pytest.fixture
def disk(monkeypatch):
    """Return a function that lets every lock fail with an error number."""
    monkeypatch.setattr(locks, "_warned", set())

    def fail(number):
        def flock(*_):
            raise OSError(number, "")

        monkeypatch.setattr(fcntl, "flock", flock)

    return fail


@pytest.mark.parametrize("number", NO_LOCKS)
def test_a_disk_without_locks_is_used_with_one_warning(tmp_path, disk, caplog, number):
    disk(number)
    for name in ("one", "another"):
        with (tmp_path / name).open("a") as file:
            assert locks.try_lock(file)
    (warning,) = caplog.messages
    assert warning.startswith(f"{tmp_path / 'one'}: this disk has no file locks")


@pytest.mark.parametrize("number", [errno.EAGAIN, errno.EACCES, errno.EWOULDBLOCK])
def test_a_lock_of_another_process_is_respected(tmp_path, disk, number):
    disk(number)
    with (tmp_path / "file").open("a") as file:
        assert not locks.try_lock(file)


def test_an_hdf5_file_on_a_disk_without_locks_is_read(tmp_path, monkeypatch, caplog):
    path = tmp_path / "pairs.h5"
    with h5py.File(path, "w") as file:
        file["numbers"] = [1, 2]
    monkeypatch.setattr(locks, "_warned", set())
    real = h5py.File

    def refuse(*arguments, **options):
        if options.get("locking") is not False:
            raise OSError(errno.ENOLCK, "(unable to lock file, errno = 37)")
        return real(*arguments, **options)

    monkeypatch.setattr(h5py, "File", refuse)
    with open_hdf5(path) as file:
        assert file["numbers"][()].tolist() == [1, 2]
    assert str(path) in caplog.text


def test_an_hdf5_file_that_another_program_writes_is_said_to_be_open(tmp_path):
    path = tmp_path / "pairs.h5"
    script = "import h5py, sys; f = h5py.File(sys.argv[1], 'a'); print('open', flush=True); input()"
    other = subprocess.Popen(
        [sys.executable, "-c", script, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    try:
        assert other.stdout.readline() == b"open\n"
        with pytest.raises(OpenElsewhere, match=r"pairs\.h5 is open in another program"):
            open_hdf5(path)
    finally:
        other.communicate(b"\n")
