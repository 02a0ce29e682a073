"""Plans: expansion, groups, JSON lines."""

import pytest

from starbench.common.settings import SettingError
from starbench.methods.registry import get_method, method_names
from starbench.sweeps.groups import expand_methods, expand_tasks
from starbench.sweeps.plan import PlannedRun, combinations, make_plan, read_plan, write_plan
from starbench.tasks.registry import task_names
from starbench.tasks.suites import get_suite


def test_a_plan_survives_its_file(tmp_path):
    plan = make_plan(["pca", "my.py:Mine"], ["a", "b"], [0, 3], ["epochs=2,3", "widths=(8,4)"],
                     scale="mini", preset="short")  # fmt: skip
    assert len(set(plan)) == len(plan) == 16
    path = tmp_path / "plan.jsonl"
    write_plan(path, plan)
    assert read_plan(path) == plan
    with path.open("a") as file:
        file.write("\n" + path.read_text())  # joined with itself
    assert read_plan(path) == plan


def test_the_words_of_a_run_ask_for_that_run():
    run = PlannedRun(
        "fader", "apogee-giants-snr50", scale="mini", seed=3, preset="published",
        settings=("a=(1,2)",),
    )  # fmt: skip
    assert run.words() == [
        "--method", "fader", "--seed", "3", "--task", "apogee-giants-snr50", "--scale", "mini",
        "--preset", "published", "--set", "a=(1,2)",
    ]  # fmt: skip
    own = PlannedRun("pca", data="pairs.h5", snr=50.0)
    assert own.words() == [
        "--method", "pca", "--seed", "0", "--data", "pairs.h5", "--snr", "50.0",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "holds no run"),
        ("nonsense", "line 1: Invalid JSON"),
        ('{"method": "pca"}\n{"seed": 1}', "line 2: field `method` is missing"),
        ('{"method": "pca", "sed": 1}', "field `sed` is not a field of a plan"),
        ('{"method": "pca", "seed": -1}', "field `seed` should be greater than or equal to 0"),
        ('{"method": "pca", "seed": "1"}', "field `seed` should be a valid integer"),
        ('{"method": "pca", "settings": "epochs=2"}', "field `settings` should be a valid array"),
    ],
)
def test_a_plan_that_is_none_is_refused_with_its_line(tmp_path, text, sentence):
    path = tmp_path / "plan.jsonl"
    path.write_text(text)
    with pytest.raises(SettingError) as caught:
        read_plan(path)
    assert sentence in str(caught.value)


def test_a_plan_that_cannot_be_read_is_named(tmp_path):
    with pytest.raises(SettingError, match="nowhere cannot be read: No such file"):
        read_plan(tmp_path / "nowhere")


def test_a_setting_given_twice_is_refused():
    with pytest.raises(SettingError, match="--set epochs is given twice; list its values"):
        combinations(["epochs=2", "epochs=3"])


def test_groups_hold_every_method_once():
    everything = expand_methods(["all"])
    assert sorted(everything) == sorted(method_names())
    groups = ["controls", "none", "nuisance", "pairs", "oracle"]
    parts = [expand_methods([group]) for group in groups]
    assert sorted(name for part in parts for name in part) == sorted(everything)
    assert all(get_method(name).control for name in parts[0])
    assert expand_methods(["nuisance", "fader", "my.py:Mine"]) == [*parts[2], "my.py:Mine"]


def test_all_tasks_are_those_of_the_list():
    assert expand_tasks(["all"]) == task_names()
    assert expand_tasks(["b", "a", "b"]) == ["b", "a"]
    assert expand_tasks(["giants-v1", "apogee-giants"]) == list(get_suite("giants-v1").tasks)
