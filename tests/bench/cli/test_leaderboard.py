"""`starbench leaderboard` as a user types it: what it says, what it writes, how it exits."""

import json
from dataclasses import replace

import h5py
import numpy as np
import pytest
from support.commands import leaderboard
from support.rows import FakeTask

from starbench.leaderboard.pages.readme import BEGIN, END
from starbench.metrics import twin_ranks
from starbench.tasks import registry, suites
from starbench.tasks.suites import get_suite


@pytest.fixture
def checkout(directory, monkeypatch):
    """Stand in a checkout with an empty leaderboard and a README."""
    monkeypatch.setattr(registry, "get_task", lambda name: FakeTask())
    (directory.parent / "README.md").write_text(f"# starbench\n{BEGIN}\n{END}\n")
    (directory.parent / "tests").mkdir()
    monkeypatch.chdir(directory.parent / "tests")
    return directory


def test_add_build_check_and_verify(checkout, make_run):
    code, output = leaderboard("build", "--check")
    assert code == 1
    assert "Out of date: LEADERBOARD.md, suite.csv, leaderboard.csv, README.md; run" in output
    code, output = leaderboard("add", make_run(seed=0), make_run(seed=1))
    assert code == 0
    assert output.count("added apogee-giants-v1__fader__seed") == 2
    assert leaderboard("build") == (
        0,
        "2 rows; wrote LEADERBOARD.md, suite.csv, leaderboard.csv, README.md\n",
    )
    assert leaderboard("build") == (0, "2 rows; no change\n")
    assert leaderboard("build", "--check") == (0, "up to date with 2 rows\n")
    assert "fader" in (checkout.parent / "README.md").read_text()
    code, output = leaderboard("verify")
    assert code == 0
    assert output.count("ok ") == 2


def test_a_refused_row_is_a_user_error(checkout, make_run):
    run = make_run(dirty=True)
    code, output = leaderboard("add", run)
    assert code == 2
    assert "field `dirty` is true" in output
    assert not (checkout / "rows").exists()
    assert leaderboard("add", "--allow-dirty", run)[0] == 0
    assert leaderboard("add", "--allow-dirty", run)[0] == 0  # the same row, as after a kill
    other = make_run(dirty=True, nearest=0.8)
    assert leaderboard("add", "--allow-dirty", other)[0] == 2
    assert leaderboard("add", "--allow-dirty", "--replace", other)[0] == 0


def test_a_missing_path_is_a_user_error(checkout, tmp_path):
    code, output = leaderboard("add", tmp_path / "none")
    assert code == 2
    assert "cannot be read" in output


def test_verify_names_the_refused_row(checkout, make_run):
    leaderboard("add", make_run(seed=0), make_run(seed=1))
    path = next((checkout / "rows").glob("*seed1*.json"))
    content = json.loads(path.read_text())
    content["metrics"]["doppelganger_free"] |= {"value": 0.0, "low": 0.0}
    path.write_text(json.dumps(content))
    code, output = leaderboard("verify", "--quiet")
    assert code == 1
    assert sum(line.startswith("ok ") for line in output.splitlines()) == 1
    assert "refused" in output and "but the ranks give" in output
    assert "1 of 2 rows are refused; see above." in output
    assert leaderboard("build")[0] == 2
    assert not (checkout / "LEADERBOARD.md").exists()


def test_verify_ranks_latents_again(checkout, make_run):
    latent = np.random.default_rng(0).normal(size=(60, 2, 3)).astype(np.float32)
    found = twin_ranks(latent)
    run = make_run(ranks=(found.rank, found.tied))
    with h5py.File(run / "latents.h5", "w") as file:
        file["latent"] = latent
    assert leaderboard("verify", run, "--run", run)[0] == 0
    with h5py.File(run / "latents.h5", "a") as file:
        file["latent"][0] = file["latent"][1]
    code, output = leaderboard("verify", run, "--run", run)
    assert code == 1
    assert "recomputed from the latents" in output
    code, output = leaderboard("verify", "--run", run)
    assert code == 2
    assert "Give exactly one ROW with --run" in output


def test_compare_says_whether_methods_are_tied(checkout, make_run):
    leaderboard("add", make_run(nearest=0.9), make_run(nearest=0.1, method="baseline"))
    code, output = leaderboard("compare", "fader", "baseline")
    assert code == 0
    assert "difference: +" in output
    assert "statistically tied" not in output
    table = [line.split() for line in output.splitlines()]
    assert [
        sum(words[:1] == [label] for words in table) for label in ("Teff", "logg", "[Fe/H]")
    ] == [5, 5, 5]
    assert sum(words[-1:] == ["<"] for words in table) == 3
    assert "statistically tied" in leaderboard("compare", "fader", "fader")[1]
    assert leaderboard("compare", "fader", "nobody")[0] == 2


def test_rows_of_other_data_have_no_table_by_label(checkout, make_run, monkeypatch):
    leaderboard("add", make_run(nearest=0.9), make_run(nearest=0.1, method="baseline"))
    monkeypatch.setattr(registry, "get_task", lambda name: FakeTask(data="new"))
    code, output = leaderboard("compare", "fader", "baseline")
    assert code == 0
    assert "difference: +" in output
    assert "so the table by label is omitted." in output


def test_rows_of_a_task_that_is_not_installed_are_compared_but_not_added(
    checkout, add, make_run, monkeypatch
):
    monkeypatch.undo()
    monkeypatch.chdir(checkout)
    elsewhere = {"task": "someones-giants", "task_version": 3}
    for method, nearest in (("fader", 0.9), ("baseline", 0.1)):
        add(make_run(method=method, nearest=nearest, **elsewhere),
            task=FakeTask(name="someones-giants", version=3))  # fmt: skip
    compare = ["compare", "fader", "baseline", "--directory", checkout]
    code, output = leaderboard(*compare, "--task", "someones-giants")
    assert code == 0
    assert "doppelganger_free on someones-giants, version 3" in output
    assert "difference: +" in output
    assert "The task someones-giants is not installed here, so the table by label" in output
    code, output = leaderboard(*compare, "--task", "nobodys-giants")
    assert code == 2 and "no rows on nobodys-giants; choose another --task" in output

    refused = "The row is on the task someones-giants, which is not installed here; install the"
    code, output = leaderboard("add", make_run(seed=1, **elsewhere), "--directory", checkout)
    assert code == 2 and refused in output and "There is no task" not in output
    code, output = leaderboard("verify", "--directory", checkout)
    assert code == 1 and output.count(refused) == 2


def test_verify_refuses_rows_of_other_data_put_there_by_hand(checkout, make_run, monkeypatch):
    leaderboard("add", make_run())
    monkeypatch.setattr(registry, "get_task", lambda name: FakeTask(data="new"))
    code, output = leaderboard("verify", "--quiet")
    assert code == 1
    assert "field `data_fingerprint` is abc123-full, but" in output
    # Of a version that this starbench has left behind, nothing can be said but what ranks tell.
    monkeypatch.setattr(registry, "get_task", lambda name: FakeTask(data="new", version=2))
    assert leaderboard("verify", "--quiet")[0] == 0


def test_a_symlink_among_the_rows_is_refused(checkout, make_run, tmp_path):
    leaderboard("add", make_run())
    (path,) = (checkout / "rows").glob("*.json")
    path.rename(tmp_path / "elsewhere.json")
    path.symlink_to(tmp_path / "elsewhere.json")
    for command in ("build", "verify"):
        code, output = leaderboard(command)
        assert code in (1, 2)
        assert "put the file itself there" in output
    assert not (checkout / "LEADERBOARD.md").exists()


def test_outside_a_checkout_build_asks_for_a_directory(checkout, monkeypatch, tmp_path, make_run):
    leaderboard("add", make_run())
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    code, output = leaderboard("build")
    assert code == 2
    assert "not inside a checkout of starbench; change into one, or give --directory" in output
    assert leaderboard("build", "--directory", checkout)[0] == 0
    assert (checkout / "LEADERBOARD.md").exists()


def test_the_suite_is_shown_and_methods_are_compared_on_it(
    checkout, add, make_run, monkeypatch, reproduced_rows
):
    suite = replace(get_suite(), tracks=get_suite().tracks[:2])
    monkeypatch.setitem(suites.SUITES, suite.name, suite)
    shares = {"fader": 0.9, "baseline": 0.2, "information-bound": 1.1}
    for task in suite.tasks:
        runs = [
            make_run(task=task, method=method, seed=seed, nearest=share)
            for method, share in shares.items()
            for seed in range(3)
        ]
        add(*runs, task=FakeTask(name=task))
    add(make_run(method="partial"))
    code, output = leaderboard("suite")
    assert code == 0
    lines = [line.split() for line in output.splitlines()]
    assert [line[:5] for line in lines if line[:1] in (["1"], ["2"])] == [
        ["1", "fader", "reproduced", "nuisance", "3"],
        ["2", "baseline", "reproduced", "nuisance", "3"],
    ]
    code, output = leaderboard("compare", "fader", "baseline", "--task", suite.name)
    assert code == 0 and "difference: +" in output and "statistically tied" not in output
    assert sum(line.startswith(suite.tasks[0]) for line in output.splitlines()) == 2
    code, output = leaderboard("compare", "fader", "partial", "--task", suite.name)
    assert code == 2
    assert (
        "partial has no score on giants-v1 (no rows on apogee-giants-snr100); choose from "
        "baseline, fader" in output
    )
    assert "no rows of it" in leaderboard("compare", "nobody", "fader", "--task", suite.name)[1]
    code, output = leaderboard("suite", "stars-v9")
    assert code == 2 and "There is no suite 'stars-v9'; choose one of giants-v1." in output
