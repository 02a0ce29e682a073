"""Rows that nobody ran: which `add` and `verify` refuse, flag, or leave without a rank."""

import dataclasses
from pathlib import Path

import pytest
from click.testing import CliRunner
from support.rows import FakeTask, draw_ranks

from starbench.cli.main import main
from starbench.leaderboard.store import board
from starbench.leaderboard.store.levels import level_of, unranked
from starbench.leaderboard.store.traces import trace_files
from starbench.leaderboard.store.verify import equal_ranks
from starbench.methods.registry import get_method
from starbench.results.schema import read_row
from starbench.results.text import RowError
from starbench.tasks import registry


@pytest.fixture(scope="module")
def pca():
    """Return the fields of a row that the installed pca could have made."""
    method = get_method("pca")
    return {
        "method": "pca",
        "method_version": method.version,
        "label_access": method.label_access,
        "hyperparameters": dataclasses.asdict(method.Hyperparameters()),
    }


def with_setting(fields, **settings):
    return {**fields, "hyperparameters": {**fields["hyperparameters"], **settings}}


@pytest.mark.parametrize(
    ("forge", "sentence"),
    [
        (lambda f: with_setting(f, latent=-3), "field `hyperparameters`: .*latent"),
        (lambda f: with_setting(f, latent=10**9), "field `hyperparameters`: .*latent"),
        (lambda f: with_setting(f, latent="many"), "field `hyperparameters`: .*latent"),
        (lambda f: with_setting(f, other=1), "differ in `other`"),
        (lambda f: {**f, "method_version": 0}, "field `method_version` is 0, but the installed"),
        (lambda f: {**f, "method_version": 99}, "field `method_version` is 99, but the installed"),
        (lambda f: {**f, "label_access": "pairs"}, "field `label_access` is pairs"),
        (lambda f: {**f, "control": True}, "field `control` is True"),
        (lambda f: {**f, "task_version": 7}, "field `task_version` is 7"),
        (lambda f: {**f, "predictions_sha256": "0" * 64}, "may not take the name of a method"),
        (
            lambda f: {**f, "selection": {"rule": "best", "epoch": 999}, "epochs": 30},
            "`selection.epoch` should be one of the 30 in `epochs`, not 999",
        ),
        (
            lambda f: {**f, "selection": {"rule": "best", "epoch": 1}, "epochs": None},
            "`selection.epoch` should be one of the 0 in `epochs`, not 1",
        ),
        (
            lambda f: {**f, "validation_metrics": {"won": {"value": 1.0, "version": 1}}},
            "`validation_metrics.won` is not a metric of this",
        ),
        (
            lambda f: {
                **f,
                "validation_metrics": {
                    "composition_recovery.mlp.Xx/Fe": {"value": 0.5, "version": 1}
                },
            },
            "`validation_metrics.composition_recovery.mlp.Xx/Fe` is of nothing that",
        ),
    ],
)
def test_a_row_that_the_method_could_not_have_made_is_refused(add, make_run, pca, forge, sentence):
    add(make_run(**pca), installed_method=get_method)
    with pytest.raises(RowError, match=sentence):
        add(make_run(seed=5, **forge(pca)), installed_method=get_method)


def test_edited_figures_with_matching_ranks_stay_submitted(add, make_run, pca):
    """Their file is in order; only a second run or fresh stars tell (see test_confirm)."""
    (path,) = add(make_run(ranks=draw_ranks(3, 1.0), **pca), installed_method=get_method)
    entry = board.Entry(read_row(path), path)
    assert entry.row.metrics["doppelganger_free"].value == 1
    assert level_of(entry.row, entry.path) == "submitted"


def test_predictions_written_by_hand_have_no_rank(add, make_run):
    (path,) = add(make_run(method="perfect", predictions_sha256="0" * 64, nearest=0.99))
    assert unranked(read_row(path), "submitted") == "it holds predictions alone"


def rows_of(directory):
    return [(path, read_row(path)) for path in board.row_paths(directory)]


def test_a_copy_under_another_seed_is_flagged(add, make_run, directory):
    ranks = draw_ranks(0, 0.5)
    add(*(make_run(seed=seed, ranks=ranks) for seed in range(2)))
    assert not list(equal_ranks(rows_of(directory)))  # a method without random numbers
    add(make_run(seed=2))
    (sentence,) = equal_ranks(rows_of(directory))
    assert "__seed1-" in sentence and "while other seeds differ" in sentence


def test_a_copy_under_another_name_is_flagged(make_run, directory, monkeypatch):
    monkeypatch.setattr(registry, "get_task", lambda name: FakeTask())

    def starbench(*arguments):
        outcome = CliRunner().invoke(
            main, ["leaderboard", *map(str, arguments), "--quiet", "--directory", str(directory)]
        )
        assert outcome.exit_code == 0, outcome.output
        return outcome.output

    code = {"sha256": "0" * 64}
    assert "flagged" not in starbench("add", make_run(method="theirs", code=code))
    again = make_run(method="theirs", code=code, hyperparameters={"n_latent": 3})
    assert "flagged" not in starbench("add", again)  # one method may have a setting of no effect
    every = [make_run(method=f"m{i}", code=code, ranks=draw_ranks(0, 2.0)) for i in (1, 2)]
    assert "flagged" not in starbench("add", *every)  # both find all twins
    sentence = "has the ranks of a row of "
    assert sentence in starbench("add", make_run(method="stolen", code=code))
    assert "flagged" not in starbench("add", make_run(method="mine", code=code, task="toys"))
    assert sentence in starbench("verify")
    assert all("stolen" in each and "theirs" in each for each in equal_ranks(rows_of(directory)))


def test_files_that_belong_to_no_row_by_name_are_refused(add, make_run, directory, monkeypatch):
    """A row under the name of another seed, or of other settings, and files beside no row."""
    monkeypatch.setattr(registry, "get_task", lambda name: FakeTask())
    (path,) = add(make_run())
    verify = ["leaderboard", "verify", "--quiet", "--directory", str(directory)]
    assert CliRunner().invoke(main, verify).exit_code == 0
    for file in sorted(path.parent.glob("*")):
        file.rename(file.with_name(file.name.replace("seed0", "seed7")))
    outcome = CliRunner().invoke(main, verify)
    assert outcome.exit_code == 1 and f"must be named {path.name}; rename it" in outcome.output
    board.ranks_beside(path).write_bytes(b"")
    outcome = CliRunner().invoke(main, verify)
    assert f"{board.ranks_beside(path).name}: there is no row of this name" in outcome.output
    assert "1 of 1 rows and 1 file without a row are refused" in outcome.output


@pytest.mark.parametrize("encoding", ["utf-16", "utf-32", "utf-8-sig"])
def test_a_row_in_another_encoding_is_refused(add, make_run, encoding):
    """Python's parser guesses encodings; other readers of rows do not."""
    (path,) = add(make_run())
    path.write_text(path.read_text(encoding="utf-8"), encoding=encoding)
    with pytest.raises(RowError, match="not valid JSON"):
        read_row(path)


@pytest.mark.parametrize("place", [0, 1], ids=["history", "example"])
def test_what_lies_beside_a_row_is_read_too(add, make_run, directory, monkeypatch, place):
    monkeypatch.setattr(registry, "get_task", lambda name: FakeTask())
    (path,) = add(make_run())
    verify = ["leaderboard", "verify", "--quiet", "--directory", str(directory)]
    beside = trace_files(path)[place]
    for spoil in (Path.mkdir, lambda file: (file.rmdir(), file.write_bytes(b"\xff\xfe"))):
        spoil(beside)
        outcome = CliRunner().invoke(main, verify)
        assert outcome.exit_code == 1 and beside.name in outcome.output
