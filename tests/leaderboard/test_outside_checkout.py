"""The shipped rows: a wheel installed in a fresh environment, used from an empty folder."""

import lzma
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

pytestmark = pytest.mark.outside

ROOT = Path(__file__).parents[2]
SOURCES = ("bench", "methods", "tasks", "leaderboard", "pyproject.toml", "setup.py", "README.md",
           "LICENSE")  # fmt: skip
MAX_WHEEL_BYTES = 80_000_000  # 54 kB a row with its ranks and records; an index takes 100 MB
N_ROWS = len(list((ROOT / "leaderboard" / "rows").glob("*.json")))


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """Build a wheel from a copy of the checkout in which an earlier build left a stale module."""
    home = tmp_path_factory.mktemp("build")
    checkout = home / "checkout"
    checkout.mkdir()
    for name in SOURCES:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(
                source, checkout / name, ignore=shutil.ignore_patterns("__pycache__", "site")
            )
        else:
            shutil.copy(source, checkout)
    stale = checkout / "build" / "lib" / "starbench" / "stale.py"
    stale.parent.mkdir(parents=True)
    stale.touch()
    subprocess.run(
        [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-index", "--no-deps",
         "--no-build-isolation", "--wheel-dir", home, checkout],
        check=True,
    )  # fmt: skip
    (path,) = home.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def user(wheel, tmp_path_factory):
    """Return a function that runs Python in an empty folder of an environment with the wheel."""
    home = tmp_path_factory.mktemp("user")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", home / "venv"], check=True)
    python = home / "venv" / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    # The libraries of the tests serve this environment too, so that no network is needed.
    (site,) = (home / "venv").rglob("site-packages")
    paths = dict.fromkeys(sysconfig.get_path(name) for name in ("purelib", "platlib"))
    lines = [f"import site; site.addsitedir({path!r})\n" for path in paths]
    (site / "of-the-tests.pth").write_text("".join(lines))
    folder = home / "empty"
    folder.mkdir()
    environment = {**os.environ, "STARBENCH_CACHE": str(home / "cache"), "MPLBACKEND": "agg"}
    environment.pop("PYTHONPATH", None)

    def run(*arguments, fails=0):
        done = subprocess.run(
            [python, *map(str, arguments)],
            cwd=folder, env=environment, capture_output=True, text=True,
        )  # fmt: skip
        assert done.returncode == fails, done.stdout + done.stderr
        return done.stdout + done.stderr

    run("-m", "pip", "install", "--quiet", "--no-index", "--no-deps", "--force-reinstall", wheel)
    run.folder = folder
    installed = run("-c", "import starbench; print(starbench.__file__)").strip()
    assert Path(installed).is_relative_to(site)
    return run


def test_the_wheel_has_all_rows_and_no_stale_files(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    rows = [name for name in names if re.match(r"starbench/leaderboard/rows/.*\.json", name)]
    assert len(rows) == N_ROWS
    assert not any("stale" in name for name in names)
    assert wheel.stat().st_size < MAX_WHEEL_BYTES


def test_methods_are_compared_on_the_shipped_rows(user):
    output = user("-m", "starbench", "leaderboard", "compare", "fader", "factordis")
    assert re.search(r"^difference: \+0\.\d\d points, 95 % interval", output, re.MULTILINE)
    assert re.search(r"^Teff +4000 to 4\d\d\d ", output, re.MULTILINE)
    assert list(user.folder.iterdir()) == []


@pytest.mark.slow
def test_the_data_frame_has_all_shipped_rows(user):
    code = (
        "from starbench.leaderboard.frame import rows_frame; rows = rows_frame(); "
        "print(len(rows), int((rows.status == 'ok').sum()), rows['doppelganger_free.low'].min())"
    )
    n_rows, n_scored, lowest = user("-c", code).split()
    assert (int(n_rows), int(n_scored), float(lowest)) == (N_ROWS, N_ROWS, 0)


@pytest.mark.slow
def test_the_site_is_built_from_the_shipped_rows(user, tmp_path):
    """Of a copy of the installed package with few rows, as figures of all take a minute."""
    installed = Path(user("-c", "import starbench; print(starbench.__path__[0])").strip())
    shutil.copytree(installed, tmp_path / "starbench")
    rows = tmp_path / "starbench" / "leaderboard" / "rows"
    for file in rows.iterdir():
        if not file.name.startswith("apogee-giants-v1__pca__seed0"):
            file.unlink()
    main = "from starbench.cli.main import main; main(['leaderboard', 'site', '--quiet'])"
    output = user("-c", f"import sys; sys.path.insert(0, {str(tmp_path)!r}); {main}")
    assert re.search(r"\d+ files, \d+\.\d MB; open site", output)
    assert [path.name for path in user.folder.iterdir()] == ["site"]
    n_rows = len(list(rows.glob("*.json")))
    assert 0 < n_rows < N_ROWS
    with lzma.open(user.folder / "site" / "rows.jsonl.xz", "rt") as lines:
        assert len(lines.readlines()) == n_rows


def test_adding_and_building_need_a_checkout(user):
    for command in (("build",), ("add", "runs/apogee-giants/fader/0-ced64dfee2")):
        output = user("-m", "starbench", "leaderboard", *command, fails=2)
        assert "not inside a checkout of starbench; change into one, or give --dir" in output
