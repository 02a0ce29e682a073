"""Reproducing rows: a tiny run from end to end, tolerances, and rows that are refused."""

import dataclasses
import json
import re
import shutil

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.commands import starbench
from support.rows import FakeTask, draw_ranks, row_content

from starbench.leaderboard.store.checks import settings_of
from starbench.leaderboard.store.rank_changes import LARGEST_EXCESS, rank_changes
from starbench.leaderboard.store.reproduce import (
    agreements,
    check_reproducible,
    check_source,
    compare,
    differing_conditions,
    tolerance,
)
from starbench.methods.polynomial_residual import PolynomialResidual
from starbench.metrics import TwinRanks, recovery_estimates
from starbench.results.ranks import Ranks, ranks_digest, read_ranks, write_ranks
from starbench.results.schema import RecordedEstimate, parse_row
from starbench.results.text import RowError

SIGNIFICANT = "doppelganger_free"


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    """Return the folder of a run at the tiny scale, and the cache of its data."""
    folder = tmp_path_factory.mktemp("tiny")
    code, output = starbench(
        "run", "--method", "polynomial-residual", "--scale", "tiny", "--threads", 1, "--quiet",
        "--cache", folder / "cache", "--out", folder / "runs",
    )  # fmt: skip
    assert code == 0, output
    (run,) = (folder / "runs").glob("*/*/0-*")
    return run, folder


@pytest.fixture
def reproduce(tiny):
    """Run a row again, by the command line."""
    _, folder = tiny
    return lambda row, *options: starbench(
        "leaderboard", "reproduce", row, "--cache", folder / "cache", "--quiet", *options
    )


@pytest.fixture
def edited(tiny, tmp_path):
    """Copy the tiny run with other ranks, whose figures follow from them, and other fields."""

    def copy(change_ranks, **hardware):
        run, _ = tiny
        content = json.loads((run / "row.json").read_text())
        rank, tied, *_ = read_ranks(run / "ranks.h5")
        rank = change_ranks(rank.copy())
        tied = np.minimum(tied, rank - 1)
        for name, each in recovery_estimates(TwinRanks(rank, tied)).items():
            content["metrics"][name] = dataclasses.asdict(each)
        content["ranks_sha256"] = ranks_digest(rank)
        content["hardware"] |= hardware
        write_ranks(tmp_path / "ranks.h5", rank, tied)
        (tmp_path / "row.json").write_text(json.dumps(content))
        return tmp_path

    return copy


def better(rank, n):
    """Find the twins of n more stars."""
    rank.flat[np.flatnonzero(rank > 1)[:n]] = 1
    return rank


def test_a_tiny_row_is_reproduced(tiny, reproduce):
    run, folder = tiny
    code, output = reproduce(run, "--out", folder / "again")
    assert code == 0, output
    assert "Ranks: the same for every star." in output
    assert "DIFFERS" not in output and "better" not in output
    assert output.endswith("metrics agree.\n")
    record = run / "reproduction.json"
    first = record.read_bytes()
    code, output = reproduce(run, "--by", "Another")
    assert code == 0, output
    assert "reproduction.json keeps an earlier repetition; give --replace to record" in output
    assert record.read_bytes() == first
    code, output = reproduce(run, "--by", "Another", "--replace")
    assert code == 0, output
    assert json.loads(record.read_bytes())["by"] == "Another"
    # A finished run there may be the one in question, which proves nothing.
    code, output = reproduce(run, "--out", folder / "runs")
    assert code == 2
    assert "already holds this run; give another --out" in output


def test_on_equal_hardware_one_other_rank_is_too_much(edited, reproduce):
    code, output = reproduce(edited(lambda rank: better(rank, 1)))
    assert code == 1, output
    assert (
        "Ranks: those of 1 of 128 stars differ. The twin is nearest in the row only for 1" in output
    )
    assert "the row finds 0.78 points more." in output
    assert "The ranks of 1 stars differ, although hardware, libraries and threads equal" in output


def test_on_other_hardware_a_few_other_ranks_are_said_and_accepted(edited, reproduce):
    other = {"instruction_sets": {"torch": "AVX2"}}
    code, output = reproduce(edited(lambda rank: better(rank, 1), **other))
    assert code == 0, output
    assert re.search(r"doppelganger_free +\S+ +\S+ +better +\S+ +agrees", output)
    assert "Ranks may differ, as instruction sets: {'torch': 'AVX2'} in the row, {'torch'" in output


def test_what_a_record_cannot_hold_is_refused_before_anything_runs(tiny, reproduce):
    for name in ("x" * 301, "a\nb"):
        code, output = reproduce(tiny[0], "--by", name)
        assert code == 2 and "--by should be 1 to 300 printable characters" in output
        assert "Running again" not in output


def test_figures_that_do_not_follow_from_the_ranks_are_refused(tiny, reproduce, tmp_path):
    run, _ = tiny
    content = json.loads((run / "row.json").read_text())
    for name in ("doppelganger_free", "doppelganger_0.1", "doppelganger_1"):
        content["metrics"][name] |= {"value": 0.999, "high": 1.0}
    (tmp_path / "row.json").write_text(json.dumps(content))
    shutil.copy(run / "ranks.h5", tmp_path)
    code, output = reproduce(tmp_path)
    assert code == 2
    assert "`metrics.doppelganger_free.value` is 0.999, but the ranks give" in output


def changed(rank, n_better, n_worse):
    """Return ranks with the twins of some stars newly found and of others lost."""
    rank = rank.copy()
    found, lost = np.flatnonzero(rank == 1), np.flatnonzero(rank > 1)
    rank.flat[lost[:n_better]] = 1
    rank.flat[found[:n_worse]] = 2
    return rank


@pytest.mark.parametrize(
    ("n_better", "n_worse", "by_chance"),
    [
        (0, 0, True),
        (30, 20, True),  # rounding alone: few stars, in both directions
        (2800, 2600, True),  # another seed: a fifth of the stars, 0.8 points
        (3150, 2600, False),  # the same with 2.2 points more
        (550, 0, False),  # 2.2 points more where all else is equal
        (0, 550, True),  # a row that is worse claims nothing
    ],
)
def test_only_a_systematic_gain_is_no_chance(n_better, n_worse, by_chance):
    rank = np.where(np.random.default_rng(0).random((12_500, 2)) < 0.5, 1, 2)
    again = changed(rank, n_better, n_worse)
    changes = rank_changes(Ranks(again, 0 * rank), Ranks(rank, 0 * rank))
    assert (changes.only_row, changes.only_again) == (n_better, n_worse)
    assert changes.differing == n_better + n_worse
    assert (changes.excess <= LARGEST_EXCESS) == by_chance


def test_a_gain_within_one_percent_counts_too():
    rank = np.full((12_500, 2), 400)
    better = rank.copy()
    better[:300] = 200
    changes = rank_changes(Ranks(better, 0 * rank), Ranks(rank, 0 * rank))
    assert changes.excess > LARGEST_EXCESS


def on_known(row, device="cpu", libraries=None, **hardware):
    """Return a row that says what made it."""
    known = {"instruction_sets": {"torch": "AVX2"}, "linear_algebra": {"openblas 1": "Zen"}}
    machine = row.hardware.model_copy(update={**known, "device": device, **hardware})
    return row.model_copy(
        update={"hardware": machine, "libraries": libraries or {"torch": "2.13.0"}}
    )


def test_a_row_inflated_within_its_tolerance_is_not_reproduced():
    rank = np.where(np.random.default_rng(0).random((12_500, 2)) < 0.5, 1, 2)
    ranks = Ranks(rank, np.zeros_like(rank))
    inflated = Ranks(changed(rank, 550, 0), ranks.tied)
    again, row = (parse_row(json.dumps(row_content(*each[:2]))) for each in (ranks, inflated))
    gain = row.metrics[SIGNIFICANT].value - again.metrics[SIGNIFICANT].value
    assert gain == pytest.approx(0.022)

    elsewhere = compare(row, inflated, again, ranks)
    assert elsewhere.conditions and all(each.agrees for each in elsewhere.metrics)
    assert elsewhere.metrics[0].direction == "better"
    assert "more twins than the repeated run by 19.2 standard errors" in elsewhere.fault
    assert compare(again, ranks, row, inflated).fault is None  # a worse row claims nothing

    equal = compare(on_known(row), inflated, on_known(again), ranks)
    assert equal.fault.startswith("The ranks of 550 stars differ, although hardware, libraries")


def test_on_equal_hardware_other_metrics_have_no_tolerance_either():
    row, again, ranks = rows(reconstruction_mse=1e-6, again={"reconstruction_mse": 0.9e-6})
    assert compare(row, ranks, again, ranks).fault is None
    fault = compare(on_known(row), ranks, on_known(again), ranks).fault
    assert fault == f"1 of {len(row.metrics)} metrics differ: reconstruction_mse."
    assert compare(on_known(row), ranks, on_known(row), ranks).fault is None


def test_conditions_that_may_change_ranks():
    row, again, _ = rows()
    assert differing_conditions(row, again) == [
        "the row does not say which instruction sets made it"
    ]

    def on(*device, **fields):
        return on_known(row, *device, **fields)

    assert differing_conditions(on(), on()) == []
    assert differing_conditions(on(memory_gib=9.0), on(cores=64)) == []
    assert differing_conditions(on("cuda"), on("cuda")) == [
        "accelerators do not add in a fixed order"
    ]
    assert differing_conditions(on(threads=1), on(linear_algebra={"openblas 1": "Haswell"})) == [
        "linear algebra: {'openblas 1': 'Zen'} in the row, {'openblas 1': 'Haswell'} here",
        "threads: 1 in the row, 2 here",
    ]
    assert differing_conditions(on(), on(libraries={"torch": "2.14.0"})) == [
        "torch: 2.13.0 in the row, 2.14.0 here"
    ]


def rows(again=None, **figures):
    """Return a row, the repeated run with changed values, and the ranks of both."""
    rank, tied = draw_ranks(0, 0.5)
    content = row_content(rank, tied, figures=figures)
    first = parse_row(json.dumps(content))
    for name, value in (again or {}).items():
        content["metrics"][name] = {"value": value, "low": value, "high": value, "version": 1}
    return first, parse_row(json.dumps(content)), Ranks(rank, tied)


def test_tolerance_of_each_kind_of_metric():
    def figure(value, half=0.0):
        return RecordedEstimate(value=value, low=value - half, high=value + half, version=1)

    assert tolerance("doppelganger_free", figure(0.5)) == pytest.approx(0.025)
    assert tolerance("doppelganger_free", figure(0.01)) == pytest.approx(0.05 * 0.0995, rel=1e-3)
    assert tolerance("doppelganger_free", figure(1.0)) == 0.001
    assert tolerance("tied_share", figure(0.0)) == 0.001
    assert tolerance("doppelganger_free", figure(0.5, half=0.04)) == pytest.approx(0.04)
    assert tolerance("swapped_reconstruction_mse", figure(2e-6)) == pytest.approx(4e-7)
    assert tolerance("swapped_reconstruction_mse", figure(2e-6, half=1e-6)) == pytest.approx(1e-6)
    assert tolerance("swap_gap", figure(-2e-6)) == pytest.approx(4e-7)
    assert tolerance("nuisance_leakage.mlp.Teff", figure(-0.3)) == 0.05
    assert tolerance("doppelganger_free", RecordedEstimate(value=0.5, version=1)) == pytest.approx(
        0.025
    )


def test_an_untrusted_row_does_not_set_its_own_tolerance():
    row, again, ranks = rows(reconstruction_mse=1e-9, again={"reconstruction_mse": 1e-6})
    wide = row.metrics["reconstruction_mse"].model_copy(update={"low": 0.0, "high": 1.0})
    row = row.model_copy(update={"metrics": {**row.metrics, "reconstruction_mse": wide}})
    differing = [each.name for each in agreements(row, again, ranks) if not each.agrees]
    assert differing == ["reconstruction_mse"]


@given(st.floats(1e-9, 1e-3), st.floats(0.81, 1.19))
def test_squared_errors_within_a_fifth_agree(value, factor):
    figures = {"reconstruction_mse": RecordedEstimate(value=value, version=1)}
    allowed = tolerance("reconstruction_mse", figures["reconstruction_mse"])
    assert abs(value * factor - value) <= allowed < abs(value * 1.21 - value)


def test_a_metric_that_one_of_them_lacks_differs():
    row, again, ranks = rows(again={"reconstruction_mse": 1e-6})
    for one, other in ((row, again), (again, row)):
        (differing,) = [each for each in agreements(one, other, ranks) if not each.agrees]
        assert differing.name == "reconstruction_mse"


def test_metrics_that_came_after_an_older_row_are_not_compared():
    later = {"explained_twin_distance": 0.2, "conditional_leakage.mlp.Teff": 0.1}
    row, again, ranks = rows(again=later)
    compared = agreements(row, again, ranks)
    assert {each.name for each in compared} == set(row.metrics)
    assert all(each.agrees for each in compared)
    # A row that has one of them was made with all.
    partly, again, ranks = rows(explained_twin_distance=0.2, again=later)
    (differing,) = [each for each in agreements(partly, again, ranks) if not each.agrees]
    assert differing.name == "conditional_leakage.mlp.Teff"


def test_metrics_of_differing_ranks_have_the_wider_tolerance():
    row, again, ranks = rows()
    moved = row.metrics[SIGNIFICANT].model_copy(
        update={"value": row.metrics[SIGNIFICANT].value - 0.01}
    )
    row = row.model_copy(update={"metrics": {**row.metrics, SIGNIFICANT: moved}})
    assert [each.name for each in agreements(row, again, ranks) if not each.agrees] == [SIGNIFICANT]
    elsewhere = row.model_copy(update={"ranks_sha256": "0" * 64})
    assert all(each.agrees for each in agreements(elsewhere, again, ranks))


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"predictions_sha256": "0" * 64}, "`predictions_sha256` is set"),
        ({"scale": "own"}, "`scale` is own.* `starbench run .* --data PAIRS"),
    ],
)
def test_a_row_that_cannot_be_repeated_is_refused(fields, words):
    row, _, _ = rows()
    with pytest.raises(RowError, match=words):
        check_source(row.model_copy(update=fields), "row.json")


def test_a_row_of_other_code_or_data_is_refused():

    def check(task=None, **fields):
        content = row_content(*draw_ranks(0, 0.5), **{**mine, **fields})
        check_reproducible(
            parse_row(json.dumps(content)), "row.json", PolynomialResidual, task or FakeTask()
        )

    mine = {
        "method": PolynomialResidual.name,
        "method_version": PolynomialResidual.version,
        "label_access": PolynomialResidual.label_access,
    }
    check()
    with pytest.raises(RowError, match="`method_version` is 99, but the installed polynomial"):
        check(method_version=99)
    with pytest.raises(RowError, match=r"`method` is fader, .* check out the row's commit"):
        check(method="fader")
    with pytest.raises(RowError, match="`data_fingerprint` is abc123-full, but"):
        check(task=FakeTask(data="new"))
    with pytest.raises(RowError, match=r"`code.sha256` is 0+, but .* restore the code that made"):
        check(code={"sha256": "0" * 64})


def test_a_row_does_not_choose_which_file_is_run(make_run, reproduce):
    code, output = reproduce(make_run(method="mine", given={"method": "../evil.py:Mine"}))
    assert code == 2
    assert "The row's method was given as ../evil.py:Mine; give that file with --method." in output


def test_settings_are_checked_like_options():
    defaults = json.loads(json.dumps(dataclasses.asdict(PolynomialResidual.Hyperparameters())))
    key, value = next((key, value) for key, value in defaults.items() if type(value) is int)
    row, _, _ = rows()

    def read(settings):
        of_row = row.model_copy(update={"hyperparameters": settings})
        return settings_of(of_row, "row.json", PolynomialResidual)

    assert read(defaults) == PolynomialResidual.Hyperparameters()
    assert getattr(read({**defaults, key: value + 1}), key) == value + 1
    for hostile in (-(10**9), "; rm -rf ~", None, [1]):
        with pytest.raises(
            RowError, match=f"row.json: field `hyperparameters`: hyperparameter {key} must be "
        ):
            read({**defaults, key: hostile})
    with pytest.raises(RowError, match="Only the row has the hyperparameter 'stowaway'"):
        read({**defaults, "stowaway": 1})
    only = f"Only the installed polynomial-residual has the hyperparameter '{key}'"
    with pytest.raises(RowError, match=only):
        read({name: value for name, value in defaults.items() if name != key})


def test_a_method_that_is_not_installed_is_a_usage_error(make_run):
    code, output = starbench("leaderboard", "reproduce", make_run(method="lab.unheard-of"))
    assert code == 2
    assert "There is no method 'lab.unheard-of'" in output
