"""A task in a package outside the repository, by what tasks/README.md says."""

import json
import re
import shutil
from pathlib import Path

import h5py
import pytest
from support.outside_user import OutsideUser

from starbench.tasks import example
from starbench.tasks.example import MyTask

pytestmark = pytest.mark.outside

TASKS = Path(__file__).parents[2] / "tasks"
CHECK = """
from starbench.tasks.contract import check_task
from starbench.tasks.registry import get_task

for clause, problem in check_task(get_task("my-task")):
    print(clause, problem)
"""


@pytest.fixture(scope="module")
def user(tmp_path_factory):
    home = tmp_path_factory.mktemp("user")
    return OutsideUser(home, TASKS / "README.md", "starbench.tasks", Path(example.__file__))


def test_the_example_has_at_most_60_lines():
    assert len(Path(example.__file__).read_text().splitlines()) <= 60


def test_a_task_of_another_package_is_listed_last(user):
    listed = user.run("starbench", "tasks")
    assert re.search(r" apogee-giants .* my-task  [^\n]*\Z", listed.rstrip(), re.DOTALL)
    assert "You et al. (2026)" in user.run("starbench", "tasks", "my-task")


def test_a_task_of_another_package_keeps_the_contract(user):
    (user.home / "examine.py").write_text(CHECK)
    lines = user.run("examine").splitlines()
    assert len(lines) > 10
    assert all(line.endswith(" None") for line in lines), lines


@pytest.mark.parametrize(
    "method", ["pca", pytest.param("polynomial-residual", marks=pytest.mark.slow)]
)
def test_methods_run_on_a_task_of_another_package(user, method):
    user.run("starbench", "run", "--task", "my-task", "--method", method, "--scale", "tiny",
             "--quiet", "--threads", "1", "--device", "cpu")  # fmt: skip
    (path,) = user.home.glob(f"runs/my-task/{method}/*/row.json")
    row = json.loads(path.read_text())
    assert (row["status"], row["task"], row["scale"]) == ("ok", "my-task", "tiny")
    assert row["data_fingerprint"] == MyTask().fingerprint("tiny")
    assert row["metrics"]["doppelganger_free"]["value"] > 0.1


def test_a_task_of_another_package_is_exported_alike_by_name_and_from_its_file(user):
    shutil.copy(example.__file__, user.home / "my_task.py")
    for task, out in (("my-task", "by_name.h5"), ("my_task.py:MyTask", "from_file.h5")):
        user.run("starbench", "data", "export", out, "--task", task, "--scale", "tiny", "--quiet")
    with h5py.File(user.home / "by_name.h5") as one, h5py.File(user.home / "from_file.h5") as two:
        assert one.attrs["fingerprint"] == two.attrs["fingerprint"]
        assert (one["test/flux"][()] == two["test/flux"][()]).all()
        assert one["train/composition"].shape == (128, 4)
