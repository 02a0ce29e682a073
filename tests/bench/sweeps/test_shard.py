"""Shares of a plan."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from starbench.common.settings import SettingError
from starbench.sweeps.shard import Shard, parse_shard


@given(st.lists(st.integers()), st.integers(1, 12))
def test_shards_are_disjoint_and_complete(items, count):
    numbered = list(enumerate(items))
    shards = [Shard(number, count).of(numbered) for number in range(1, count + 1)]
    assert sorted(item for shard in shards for item in shard) == numbered
    sizes = [len(shard) for shard in shards]
    assert max(sizes) - min(sizes) <= 1


@given(st.integers(0, 30), st.integers(1, 5), st.integers(1, 12))
def test_the_tasks_of_a_job_array_are_all_shards(first, step, count):
    found = []
    for task in range(first, first + step * count, step):
        environment = {
            "SLURM_ARRAY_TASK_ID": task, "SLURM_ARRAY_TASK_COUNT": count,
            "SLURM_ARRAY_TASK_MIN": first, "SLURM_ARRAY_TASK_STEP": step,
        }  # fmt: skip
        found.append(parse_shard("auto", {name: str(n) for name, n in environment.items()}))
    assert found == [Shard(number, count) for number in range(1, count + 1)]


@pytest.mark.parametrize("text", ["", "0/4", "5/4", "1", "1/", "a/b", "-1/4", "1/4/2"])
def test_a_malformed_shard_is_refused(text):
    with pytest.raises(SettingError, match="--shard must be i/n"):
        parse_shard(text)


@pytest.mark.parametrize(
    ("environment", "sentence"),
    [
        ({}, "needs SLURM_ARRAY_TASK_ID, which a SLURM job array sets"),
        ({"SLURM_ARRAY_TASK_ID": "2"}, "needs whole numbers"),
        (
            {
                "SLURM_ARRAY_TASK_ID": "9",
                "SLURM_ARRAY_TASK_COUNT": "3",
                "SLURM_ARRAY_TASK_MIN": "1",
            },
            "task 9 is none of 3 from 1",
        ),
    ],
)
def test_an_environment_that_is_no_even_array_is_refused(environment, sentence):
    with pytest.raises(SettingError, match=sentence):
        parse_shard("auto", environment)
