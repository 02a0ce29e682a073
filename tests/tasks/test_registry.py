import re
import subprocess
import sys
from importlib.metadata import EntryPoint

import pytest

from starbench.common import plugins
from starbench.tasks.errors import DataError
from starbench.tasks.registry import get_task, task_names


def test_every_name_gives_the_task_of_that_name(tmp_path):
    snr = {
        "": None, "-snr100": 100.0, "-snr50": 50.0, "-snr30": 30.0,
        "-dense": None, "-dense-snr200": 200.0,
        "-branch": 100.0, "-hidden": 100.0, "-labels": 100.0, "-metallicity": 100.0,
        "-mismatch": 100.0, "-survey": None,
    }  # fmt: skip
    assert task_names() == [f"apogee-giants{track}" for track in snr]
    tasks = [get_task(name, cache=tmp_path) for name in task_names()]
    assert [task.name for task in tasks] == task_names()
    assert [task.snr for task in tasks] == list(snr.values())
    ideal = {"train": 25_000, "validation": 12_500, "test": 12_500}
    other = {"train": 12_500, "validation": 5_000, "test": 5_000, "stars": 25_000}
    survey = {"train": 25_000, "validation": 4_101, "test": 10_931, "pairs": 12_500}
    assert [task.sizes("full") for task in tasks] == [*[ideal] * 4, *[other] * 7, survey]
    assert all(task.card.base in (None, "apogee-giants") for task in tasks)
    assert get_task().name == "apogee-giants"
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("name", "nearest"),
    [("apogee-giant", "apogee-giants"), ("apogee-giants-snr10", "apogee-giants-snr100")],
)
def test_an_unknown_name_suggests_the_nearest_names(name, nearest):
    with pytest.raises(
        DataError, match=f"There is no task '{name}'; the nearest names are {nearest}"
    ):
        get_task(name)


def test_a_name_unlike_all_others_lists_all_names():
    with pytest.raises(DataError, match="apogee-giants, apogee-giants-snr100, apogee-giants-snr50"):
        get_task("xyz")


def test_data_replaces_the_default_task_only(pairs_file):
    path = pairs_file()
    assert get_task(data=path).sizes("own")["train"] == 6
    assert get_task("apogee-giants", data=path).name == "own-data-my-pairs"
    with pytest.raises(
        DataError, match=r"either --task apogee-giants-snr50 or --data .*, not both"
    ):
        get_task("apogee-giants-snr50", data=path)


MY_TASK = """
from starbench.tasks.example import MyTask as Example


class MyTask(Example):
    pass


class Taken(Example):
    card = Example.card.derive(name="apogee-giants", base=None)


class NoCard(Example):
    card = None


class Fails(Example):
    def __init__(self, cache=None):
        raise ZeroDivisionError("no stars")


def function(cache=None):
    return MyTask(cache)


def number(cache=None):
    return 3


constant = 3
"""


@pytest.fixture
def my_file(tmp_path):
    path = tmp_path / "my_task.py"
    path.write_text(MY_TASK)
    return path


@pytest.mark.parametrize("attribute", ["MyTask", "function"])
def test_a_task_is_found_in_a_file(my_file, attribute):
    task = get_task(f"{my_file}:{attribute}")
    assert task.name == "my-task" and task.sizes("tiny")["train"] == 128


@pytest.mark.parametrize(
    ("attribute", "sentence"),
    [
        ("Nothing", "defines no 'Nothing'; give --task as PATH.py:CLASS."),
        ("number", "is not a subclass of starbench.tasks.base.Task."),
        ("constant", "is neither a class nor a function that returns a task."),
        ("NoCard", "does not set `card` to a starbench.tasks.card.Card."),
        ("Taken", "has the name of starbench's own task apogee-giants; rename it."),
        ("Fails", "could not be created: ZeroDivisionError('no stars')."),
    ],
)
def test_a_wrong_attribute_of_a_file_is_refused_in_one_sentence(my_file, attribute, sentence):
    with pytest.raises(DataError, match=re.escape(sentence)) as caught:
        get_task(f"{my_file}:{attribute}")
    assert "\n" not in str(caught.value)


def test_a_file_that_cannot_be_used_is_refused_in_one_sentence(tmp_path):
    with pytest.raises(
        DataError, match=r"There is no file .*absent\.py; give --task as PATH.py:CL"
    ):
        get_task(f"{tmp_path}/absent.py:MyTask")
    with pytest.raises(DataError, match=r"names no class; give it as .*my_task\.py:CLASS"):
        get_task("my_task.py")
    broken = tmp_path / "broken.py"
    broken.write_text("import nothing_of_the_kind")
    with pytest.raises(DataError, match=r"broken\.py cannot be loaded: ModuleNotFoundError"):
        get_task(f"{broken}:MyTask")


@pytest.mark.parametrize(
    ("target", "sentence"),
    [
        (
            "no_such_module:Task",
            "Task 'their-task' of a package without a name cannot be loaded: ModuleNotFoundError(",
        ),
        ("starbench.tasks.example:MyTask", "registered as their-task is named my-task on its card"),
    ],
)
def test_a_wrong_entry_point_is_refused_in_one_sentence(monkeypatch, target, sentence):
    points = [EntryPoint("their-task", target, "starbench.tasks")]
    monkeypatch.setattr(plugins, "entry_points", lambda group: points)
    assert task_names()[-1] == "their-task"
    with pytest.raises(DataError, match=re.escape(sentence)):
        get_task("their-task")


def test_a_name_that_two_packages_register_is_refused(monkeypatch):
    targets = ("starbench.tasks.example:MyTask", "starbench.tasks.example:ELEMENTS")
    points = [EntryPoint("my-task", target, "starbench.tasks") for target in targets]
    monkeypatch.setattr(plugins, "entry_points", lambda group: points)
    with pytest.raises(DataError, match="register a task 'my-task'; uninstall all but one"):
        get_task("my-task")


def test_a_file_that_exits_or_has_a_wrong_card_is_refused_in_one_sentence(tmp_path):
    exits, wrong = tmp_path / "exits.py", tmp_path / "wrong.py"
    exits.write_text("raise SystemExit('bye')")
    wrong.write_text(
        "from starbench.tasks.example import MyTask\nMyTask.card.derive(name='No, thanks')"
    )
    with pytest.raises(DataError, match=r"exits\.py cannot be loaded: SystemExit\('bye'\)"):
        get_task(f"{exits}:MyTask")
    with pytest.raises(DataError, match=r"loaded: Card\(name: String should match .*\)\.$"):
        get_task(f"{wrong}:MyTask")


def test_listing_imports_no_torch():
    code = "import sys; from starbench.tasks.registry import *; task_names(); get_task().card; "
    code += "assert not {'torch', 'pyarrow', 'datasets'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
