"""Reproducing rows: a tiny run from end to end, tolerances, and rows that are refused."""

import dataclasses
import json

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st
from support.rows import FakeTask, draw_ranks, row_content

from starbench.cli.main import main
from starbench.leaderboard.store.reproduce import (
    agreements,
    check_reproducible,
    check_source,
    settings_of,
    tolerance,
)
from starbench.methods.polynomial_residual import PolynomialResidual
from starbench.results.ranks import Ranks
from starbench.results.schema import RecordedEstimate, parse_row
from starbench.results.text import RowError

SIGNIFICANT = "doppelganger_free"


def starbench(*arguments):
    outcome = CliRunner().invoke(main, [*map(str, arguments)])
    assert "Traceback" not in outcome.output
    return outcome.exit_code, outcome.output


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


def test_a_tiny_row_is_reproduced(tiny):
    run, folder = tiny
    again = ("leaderboard", "reproduce", run, "--cache", folder / "cache", "--quiet")
    code, output = starbench(*again, "--out", folder / "again")
    assert code == 0, output
    assert "Ranks: the same for every star." in output
    assert "DIFFERS" not in output
    assert output.endswith("metrics agree.\n")
    # A finished run there may be the one in question, which proves nothing.
    code, output = starbench(*again, "--out", folder / "runs")
    assert code == 2
    assert "already holds this run; give another --out" in output


def test_an_edited_row_is_not_reproduced(tiny, tmp_path):
    run, folder = tiny
    content = json.loads((run / "row.json").read_text())
    for name in ("doppelganger_free", "doppelganger_0.1", "doppelganger_1"):
        content["metrics"][name] |= {"value": 0.999, "high": 1.0}
    (tmp_path / "row.json").write_text(json.dumps(content))
    code, output = starbench(
        "leaderboard", "reproduce", tmp_path / "row.json", "--cache", folder / "cache", "--quiet"
    )
    assert code == 1
    assert output.count("DIFFERS") == 3
    assert "3 of 48 metrics differ: doppelganger_free." in output


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
        ({"scale": "own"}, "`scale` is own"),
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
        with pytest.raises(RowError, match=f"row.json: field `hyperparameters`: --set {key}"):
            read({**defaults, key: hostile})
    with pytest.raises(RowError, match="only the row has 'stowaway'"):
        read({**defaults, "stowaway": 1})
    with pytest.raises(RowError, match=f"only the installed polynomial-residual has '{key}'"):
        read({name: value for name, value in defaults.items() if name != key})


def test_a_method_that_is_not_installed_is_a_usage_error(make_run):
    code, output = starbench("leaderboard", "reproduce", make_run(method="lab.unheard-of"))
    assert code == 2
    assert "There is no method 'lab.unheard-of'" in output
