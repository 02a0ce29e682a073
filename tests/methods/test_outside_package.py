"""A method in a package of its own, by what methods/README.md says: installed, found, run."""

import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tomllib
from pathlib import Path

import pytest

from starbench.methods import example

pytestmark = pytest.mark.outside

README = Path(__file__).parents[2] / "methods" / "README.md"


@pytest.fixture(scope="module")
def user(tmp_path_factory):
    """Return a function that runs a command of a user whose fresh environment holds my-package."""
    home = tmp_path_factory.mktemp("user")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", home / "venv"], check=True)
    python = home / "venv" / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    # What these tests run on serves the environment too, so that no network is needed.
    (site,) = (home / "venv").rglob("site-packages")
    paths = dict.fromkeys(sysconfig.get_path(name) for name in ("purelib", "platlib"))
    lines = [f"import site; site.addsitedir({path!r})\n" for path in paths]
    (site / "of-the-tests.pth").write_text("".join(lines))

    (project,) = re.findall(r"```toml\n(.*?)```", README.read_text(), re.DOTALL)
    (target,) = tomllib.loads(project)["project"]["entry-points"]["starbench.methods"].values()
    module = home / "my-package" / f"{target.split(':')[0].replace('.', '/')}.py"
    module.parent.mkdir(parents=True)
    shutil.copy(example.__file__, module)
    shutil.copy(example.__file__, home / "my_method.py")
    (home / "my-package" / "pyproject.toml").write_text(project)
    environment = {**os.environ, "STARBENCH_CACHE": str(home / "cache"), "MPLBACKEND": "agg"}
    environment.pop("PYTHONPATH", None)

    def run(*command, fails=None):
        done = subprocess.run(
            [python, "-m", *map(str, command)],
            cwd=home, env=environment, capture_output=True, text=True,
        )  # fmt: skip
        assert done.returncode == (fails or 0), done.stdout + done.stderr
        return done.stdout + done.stderr

    run("pip", "install", "--quiet", "--no-index", "--no-deps", "--no-build-isolation",
        "-e", "my-package")  # fmt: skip
    run.home = home
    return run


def row_of(folder):
    (path,) = folder.glob("*/my-method/*/row.json")
    return json.loads(path.read_text()), path.parent


def test_a_method_of_another_package_is_listed_and_described(user):
    assert re.search(r"^my-method +nuisance +You et al\. \(2026\)$",
                     user("starbench", "methods"), re.MULTILINE)  # fmt: skip
    described = user("starbench", "methods", "my-method")
    assert "An example to copy: principal components of" in described
    assert "principal components kept" in described


def test_a_method_of_another_package_passes_the_check(user):
    output = user("starbench", "check", "my-method")
    assert "FAIL" not in output and output.count("pass") > 5


@pytest.mark.slow
def test_a_method_of_another_package_gives_one_result_by_name_and_from_its_file(user):
    options = ("--scale", "tiny", "--quiet", "--threads", "1", "--device", "cpu")
    output = user("starbench", "run", "--method", "my-method", *options)
    assert (
        "my-method on apogee-giants" in output
        and "accepts only standard tasks at --scale full" in output
    )
    by_name, folder = row_of(user.home / "runs")
    assert by_name["status"] == "ok" and by_name["label_access"] == "nuisance"
    user("starbench", "run", "--method", "my_method.py:MyMethod", "--out", "other", *options)
    from_file, _ = row_of(user.home / "other")
    assert by_name["code"]["package"] == "my-package 0.1.0" and by_name["given"]["method"] is None
    assert from_file["code"]["package"] is None
    assert (
        len({each["code"]["sha256"] for each in (by_name, from_file)}) == 2
    )  # of a package, a file
    assert from_file["given"]["method"] == "my_method.py:MyMethod"
    assert from_file["ranks_sha256"] == by_name["ranks_sha256"]

    # The leaderboard takes full rows alone, and says so.
    (user.home / "leaderboard").mkdir()
    said = user("starbench", "leaderboard", "add", folder, "--directory", "leaderboard", fails=2)
    assert "`scale` is tiny, but the leaderboard accepts only full-scale rows" in said
