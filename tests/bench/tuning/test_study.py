"""A study does each trial once, whichever process does it, and keeps its budget and trials."""

import json

import pytest
from click.testing import CliRunner

from starbench.cli.main import main
from starbench.common.locks import try_lock
from starbench.methods.linear_erasure import LinearErasure
from starbench.methods.polynomial_residual import PolynomialResidual
from starbench.tuning import study, trial
from starbench.tuning.study import Study


@pytest.fixture
def make_study(toy_task, tmp_path):
    def make(method=PolynomialResidual, n_trials=3):
        return Study(method, [toy_task], None, n_trials, 0, "cpu", tmp_path)

    return make


def test_repeating_a_study_runs_what_is_left(make_study, tmp_path, monkeypatch):
    first = make_study().run(quiet=True)
    assert len(first.twin_shares) == 3 and first.by_twins is not None
    calls = []
    run = study.run_trial
    monkeypatch.setattr(study, "run_trial", lambda *a, **k: calls.append(a) or run(*a, **k))
    assert make_study().run(quiet=True) == first
    assert calls == []
    assert make_study(n_trials=5).run(quiet=True).twin_shares[:3] == first.twin_shares
    assert len(calls) == 2
    (kept,) = tmp_path.glob("*.json")
    content = json.loads(kept.read_text())
    assert content["method"] == "polynomial-residual" and content["part"] == "1/4"
    assert len(content["trials"]["toy"]) == 5
    assert set(content["ranges"]) == {"degree", "latent", "whitening"}


def test_a_trial_that_another_process_holds_is_left_to_it(make_study, monkeypatch):
    held = make_study()
    planned = study.planned_settings(PolynomialResidual, 3)
    path = held._path(held.tasks[0], planned[1])
    with study._locked(path), path.with_suffix(".lock").open("a") as other:
        assert not try_lock(other)
        waits = []

        def finish(seconds):  # the other process ends its trial
            waits.append(len(list(path.parent.glob("*.json"))))
            trial.write_trial(path, trial.Trial(planned[1], 0.123, 1e-5, 0.1, 1.0))

        monkeypatch.setattr(study.time, "sleep", finish)
        choice = held.run(quiet=True)
    assert waits == [2]  # the others were done meanwhile
    assert choice.twin_shares[1] == 0.123


def test_a_fit_that_fails_is_a_trial_without_figures(make_study, monkeypatch):
    def fail(*_):
        raise RuntimeError("no")

    monkeypatch.setattr(PolynomialResidual, "fit", fail)
    assert make_study().run(quiet=True).by_twins is None


def test_the_command_shows_both_choices(toy_task, tmp_path):
    arguments = "tune --task apogee-giants-snr100 --scale tiny --trials 2 --threads 1 --quiet"
    result = CliRunner().invoke(
        main,
        [*arguments.split(), "--method", LinearErasure.name, "--out", str(tmp_path)],
    )
    assert result.exit_code == 0, result.output
    assert "by twins" in result.stdout and "linear-erasure" in result.stdout
    assert (tmp_path / "linear-erasure.json").exists()
