"""Files and folders are written atomically."""

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from starbench.common import files
from starbench.common.files import atomic_path


@pytest.fixture
def fill():
    """Return a function that writes a text as a file, or as a file in a folder."""

    def write(path, text, kind):
        if kind == "folder":
            (path / "inner").mkdir(parents=True)
            path = path / "inner" / "file.txt"
        path.write_text(text)

    return write


def text_of(path):
    return (path / "inner" / "file.txt" if path.is_dir() else path).read_text()


@pytest.mark.parametrize("kind", ["file", "folder"])
def test_new_content_replaces_the_old_and_leaves_nothing_else(tmp_path, fill, kind):
    path = tmp_path / "new folder" / "result"
    for text in ("first", "second"):
        with atomic_path(path) as temporary:
            fill(temporary, text, kind)
        assert text_of(path) == text
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("kind", ["file", "folder"])
def test_an_error_keeps_the_old_content_and_removes_the_new(tmp_path, fill, kind):
    path = tmp_path / "result"
    fill(path, "old", kind)
    with pytest.raises(OSError, match="disk full"), atomic_path(path) as temporary:
        fill(temporary, "half", kind)
        raise OSError("disk full")
    assert text_of(path) == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_full_disk_is_reported_with_the_name_of_the_file(small_disk):
    path = small_disk / "notes.txt"
    with pytest.raises(OSError, match=r"No space left on device: .*notes\.txt"):  # noqa: SIM117
        with atomic_path(path) as temporary:
            temporary.write_bytes(bytes(3_000_000))
    assert not list(small_disk.iterdir())


def test_a_folder_that_cannot_be_put_in_place_leaves_the_old_one(tmp_path, fill, monkeypatch):
    monkeypatch.setattr(files, "_exchange", lambda *_: False)  # as on systems other than Linux
    path = tmp_path / "result"
    fill(path, "old", "folder")
    rename = type(path).rename

    def refuse(self, target):
        if target == path and "old" not in text_of(self):
            raise PermissionError("not allowed")
        return rename(self, target)

    monkeypatch.setattr(type(path), "rename", refuse)
    with pytest.raises(PermissionError), atomic_path(path) as temporary:
        fill(temporary, "new", "folder")
    assert text_of(path) == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_the_temporary_name_is_hidden_and_names_machine_and_process(tmp_path):
    with atomic_path(tmp_path / "row.json") as one, atomic_path(tmp_path / "row.json") as other:
        assert one != other
        for temporary in (one, other):
            assert temporary.name.startswith(f".row.json.{files._HOST}-{os.getpid()}-")
            temporary.write_text("{}")


def test_content_reaches_the_disk_before_the_new_name(tmp_path, monkeypatch):
    path, events = tmp_path / "row.json", []
    monkeypatch.setattr(os, "fsync", lambda handle: events.append(path.exists()))
    with atomic_path(path) as temporary:
        temporary.write_text("{}")
    assert events == [False]


@pytest.mark.skipif(os.name == "nt", reason="Windows has other permissions")
def test_the_file_has_the_permissions_of_any_new_file(tmp_path):
    with atomic_path(tmp_path / "row.json") as temporary:
        temporary.write_text("{}")
    (tmp_path / "other").touch()
    modes = {stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("row.json", "other")}
    assert len(modes) == 1


def test_what_killed_processes_left_is_removed_and_nothing_else(tmp_path):
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    for name in (
        f".site.{files._HOST}-{dead.pid}-0123abcd.tmp",
        f".site.{files._HOST}-{dead.pid}-0123abcd.tmp.x1y2",
    ):
        (tmp_path / name).mkdir()
        (tmp_path / name / "page.html").touch()
    kept = {
        f".site.{files._HOST}-{os.getpid()}-0123abcd.tmp",
        f".site.ffffff-{dead.pid}-0123abcd.tmp",
        f".other.{files._HOST}-{dead.pid}-0123abcd.tmp",
        ".site.tmp",
    }
    for name in kept:
        (tmp_path / name).touch()
    with atomic_path(tmp_path / "site") as temporary:
        temporary.mkdir()
    assert {file.name for file in tmp_path.iterdir()} == kept | {"site"}


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux swaps two folders in one step")
def test_a_folder_that_is_replaced_is_never_missing(tmp_path, monkeypatch):
    """A kill at any moment finds a folder: nothing renames it away first."""
    target = tmp_path / "site"
    target.mkdir()

    def no_rename(*_):
        raise AssertionError("the folder was renamed away")

    monkeypatch.setattr(Path, "rename", no_rename)
    with atomic_path(target) as temporary:
        temporary.mkdir()
        (temporary / "new").touch()
    assert [file.name for file in tmp_path.rglob("*")] == ["site", "new"]
