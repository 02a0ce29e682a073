"""The comparison of the ways to run a sweep."""

import copy

import click
import pytest

from benchmarks.sweeps import compare, planned

ROWS = {"task/pca/0-abc": {"seed": 0, "metrics": {"doppelganger_free": {"value": 0.5}}}}


def test_equal_rows_pass_and_others_are_named():
    compare(ROWS, copy.deepcopy(ROWS), "way")
    other = copy.deepcopy(ROWS)
    other["task/pca/0-abc"]["metrics"]["doppelganger_free"]["value"] = 0.5001
    with pytest.raises(click.ClickException, match="way: task/pca/0-abc differs in metrics"):
        compare(other, ROWS, "way")
    with pytest.raises(click.ClickException, match="way: other runs than"):
        compare({}, ROWS, "way")


def test_networks_of_a_plan_are_given_four_epochs():
    plan = planned(("pca",), ("fader",), ("apogee-giants",), "0-1", "tiny")
    assert [(run.method, run.settings) for run in plan] == [
        ("pca", ()), ("pca", ()), ("fader", ("epochs=4",)), ("fader", ("epochs=4",)),
    ]  # fmt: skip
