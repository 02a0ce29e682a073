"""Plans: expansion, groups, JSON lines."""

import os

import pytest

from starbench.common.settings import SettingError
from starbench.methods.registry import get_method, method_names
from starbench.sweeps.groups import expand_methods, expand_tasks
from starbench.sweeps.locate import RunOptions, locate
from starbench.sweeps.plan import (
    PlannedRun,
    combinations,
    holds_a_plan,
    make_plan,
    parse_seeds,
    read_plan,
    write_plan,
)
from starbench.sweeps.shard import parse_shard
from starbench.tasks.errors import DataError
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
        ('{"method": "pca", "scale": ""}', "field `scale` should have at least 1 character"),
        ('{"method": "pca", "data": ""}', "field `data` should have at least 1 character"),
        ('{"method": "pca", "method": "fader"}', "line 1: key 'method' occurs twice; remove one."),
        (
            '{"method": "pca"}\n\n{"method": ',
            "line 3: Invalid JSON: EOF while parsing a value at col",
        ),
    ],
)
def test_a_plan_that_is_none_is_refused_with_its_line(tmp_path, text, sentence):
    path = tmp_path / "plan.jsonl"
    path.write_text(text)
    with pytest.raises(SettingError) as caught:
        read_plan(path)
    assert sentence in str(caught.value)


def test_a_plan_with_a_byte_order_mark_is_read(tmp_path):
    path = tmp_path / "plan.jsonl"
    path.write_text('{"method": "pca"}\n', encoding="utf-8-sig")
    assert read_plan(path) == [PlannedRun("pca")]
    assert holds_a_plan(path)


@pytest.mark.parametrize("content", [b"notes", b'{"method": "pca"}\nnotes\n', b"\x89HDF"])
def test_a_plan_replaces_no_other_file(tmp_path, content):
    path = tmp_path / "notes.txt"
    assert not holds_a_plan(path)
    path.write_bytes(content)
    with pytest.raises(SettingError, match=r"--plan .* exists and is no plan; give another file"):
        holds_a_plan(path)


def test_a_plan_does_not_wait_for_a_pipe(tmp_path):
    path = tmp_path / "pipe"
    os.mkfifo(path)
    with pytest.raises(SettingError, match="exists and is no plan"):
        holds_a_plan(path)


@pytest.mark.parametrize("seeds", ["99999999999999999999", str(2**63), "0-" + "9" * 5000])
def test_seeds_that_no_row_can_hold_are_refused(seeds):
    with pytest.raises(SettingError, match="--seeds must be less than 9223372036854775808, not"):
        parse_seeds(seeds)
    assert parse_seeds(f"{2**63 - 1}") == (2**63 - 1,)


@pytest.mark.parametrize("shard", ["1/" + "9" * 5000, "1/2/3", "1", "0/2", "3/2", "a/2"])
def test_a_shard_that_is_none_is_refused(shard):
    with pytest.raises(SettingError, match="--shard must be i/n with i from 1 to n"):
        parse_shard(shard)


@pytest.mark.parametrize("snr", [-5.0, 0.0, float("nan"), float("inf")])
def test_an_snr_that_is_none_is_refused(snr):
    with pytest.raises(DataError, match=r"--snr: snr is .*; give one number above 0"):
        make_plan(["pca"], ["a"], [0], data="pairs.h5", snr=snr)


def test_a_plan_that_cannot_be_read_is_named(tmp_path):
    with pytest.raises(SettingError, match="nowhere cannot be read: No such file"):
        read_plan(tmp_path / "nowhere")


def test_a_setting_given_twice_is_refused():
    with pytest.raises(SettingError, match="--set epochs is given twice; list its values"):
        combinations(["epochs=2", "epochs=3"])


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        (
            {"settings": ("latent=3,4",)},
            "pca on apogee-giants latent=3,4 seed 1: --set latent",
        ),
        ({"preset": "nope"}, "pca on apogee-giants seed 1: pca has no preset 'nope'"),
        ({"scale": "huge"}, "pca on apogee-giants seed 1: --scale huge does not exist"),
        ({"data": "none.h5"}, "pca on none.h5 seed 1: none.h5 is not a file"),
        ({"method": "a\0b.py:Mine"}, "a\0b.py:Mine on apogee-giants seed 1: There is no file a"),
        (
            {"method": "a" * 300 + ".py:Mine"},
            "aaa: --method aaa.* too long",
        ),
    ],
)
def test_a_line_that_asks_for_what_does_not_exist_is_told_from_others(fields, sentence, tmp_path):
    plan = [PlannedRun("pca", seed=0), PlannedRun(**{"method": "pca", "seed": 1} | fields)]
    with pytest.raises(SettingError, match=sentence):
        locate(plan, RunOptions(tmp_path, None, "cpu", 1, quiet=True), named=True)


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
