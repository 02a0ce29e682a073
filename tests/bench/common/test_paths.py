"""`~` means the user's home folder wherever a path is given."""

from pathlib import Path

import platformdirs
import pytest
from click.testing import CliRunner

from starbench.cli.commands import UserPath
from starbench.cli.main import main
from starbench.common.paths import user_path
from starbench.methods.registry import get_method
from starbench.tasks.errors import DataError
from starbench.tasks.storage.cache import cache_folder


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


def test_the_home_folder_is_expanded(home, monkeypatch):
    assert user_path("~/a") == UserPath(path_type=Path)("~/a") == home / "a"
    assert cache_folder(Path("~/a")) == home / "a"
    monkeypatch.setenv("STARBENCH_CACHE", "~/b")
    assert cache_folder() == home / "b"
    assert user_path("a/~") == Path("a/~")


def test_files_of_methods_and_data_are_found_in_the_home_folder(home, toy_file):
    (home / "mine.py").write_text(toy_file.read_text())
    assert get_method("~/mine.py:Linear").name == "toy-linear"
    result = CliRunner().invoke(main, ["data", "info", "--data", "~/pairs.h5"])
    assert f"{home}/pairs.h5 is not a file" in result.output


def test_a_user_without_a_home_folder_is_told_the_option(monkeypatch):
    for name in ("STARBENCH_CACHE", "HOME", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)

    def unknown(user):
        raise KeyError(user)

    monkeypatch.setattr(pytest.importorskip("pwd"), "getpwuid", unknown)
    with pytest.raises(DataError, match="name a folder with --cache or STARBENCH_CACHE"):
        cache_folder()


def test_without_a_home_folder_the_option_is_named(monkeypatch):
    monkeypatch.delenv("STARBENCH_CACHE", raising=False)
    monkeypatch.setattr(platformdirs, "user_cache_dir", lambda *_, **__: "~/.cache/starbench")

    def no_home(self):
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "expanduser", no_home)
    with pytest.raises(DataError, match="name a folder with --cache or STARBENCH_CACHE"):
        cache_folder()
    assert user_path("~/a") == Path("~/a")
