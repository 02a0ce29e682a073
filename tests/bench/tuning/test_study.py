"""A study does each trial once, whichever process does it, and keeps its budget and trials."""

import json
import os
import sys

import pytest
from click.testing import CliRunner

from starbench.cli.main import main
from starbench.common.locks import try_lock
from starbench.common.settings import SettingError
from starbench.methods.linear_erasure import LinearErasure
from starbench.methods.polynomial_residual import PolynomialResidual
from starbench.methods.registry import get_method
from starbench.tuning import study, trial
from starbench.tuning.study import Study, run_studies

PIXELS = '''
from dataclasses import dataclass
from pathlib import Path
import numpy as np
from starbench.methods.base import Method, option

class Pixels(Method):
    """Some pixels, each fit of which is a line in the file FITS."""
    name, label_access, reference = "pixels", "none", "tests"

    @dataclass(frozen=True)
    class Hyperparameters:
        width: int = option(30, "pixels", low=1, tuned=(1, 40))
        weight: float = option(2.0, "factor")

    def fit(self, train, validation, monitor):
        with Path("FITS").open("a") as file:
            file.write(f"{self.hyperparameters.width}\\n")
        if Path("BROKEN").exists():
            raise RuntimeError("no room is left")

    def encode(self, flux, nuisance):
        return flux[:, : self.hyperparameters.width] * np.float32(self.hyperparameters.weight)

    def state(self):
        return {}

    def load_state(self, state):
        pass

class Others(Pixels):
    """The same under the same name."""
'''


@pytest.fixture
def make_study(toy_task, tmp_path):
    def make(method=PolynomialResidual, n_trials=3, part=1):
        return Study(method, [toy_task], None, n_trials, 0, "cpu", tmp_path, part)

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
    assert content["method"] == "polynomial-residual" and content["part"] == "1/1"
    assert len(content["trials"]["toy"]) == 5
    assert set(content["ranges"]) == {"degree", "latent", "whitening"}


def test_a_part_of_the_pairs_makes_other_trials(make_study, toy_task, monkeypatch):
    seen = []
    run = study.run_trial

    def note(method, settings, data, *, quiet):
        seen.append((len(data.train.view), len(data.validation.view)))
        return run(method, settings, data, quiet=quiet)

    monkeypatch.setattr(study, "run_trial", note)
    sizes = toy_task.sizes(toy_task.default_scale)
    for part in (1, 4):
        make_study(n_trials=2, part=part).run(quiet=True)
        expected = tuple(2 * (sizes[split] // part) for split in ("train", "validation"))
        assert seen == [expected] * 2
        seen.clear()


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


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes on this system")
@pytest.mark.parametrize("suffix", [".json", ".lock"])
def test_a_pipe_in_place_of_a_file_is_refused_rather_than_waited_for(make_study, suffix):
    piped = make_study()
    path = piped._path(piped.tasks[0], {}).with_suffix(suffix)
    path.parent.mkdir()
    os.mkfifo(path)
    with pytest.raises(SettingError, match=f"{suffix} is not a file; remove it, or choose another"):
        piped.run(quiet=True)


def test_a_fit_that_fails_is_a_trial_without_figures(make_study, monkeypatch):
    def fail(*_):
        raise RuntimeError("no")

    monkeypatch.setattr(PolynomialResidual, "fit", fail)
    assert make_study().run(quiet=True).by_twins is None


@pytest.fixture
def pixels(toy_task, tmp_path):
    """Return a function that studies a method in a file, and one that counts its fits."""
    file, fits, out = tmp_path / "pixels_method.py", tmp_path / "fits", tmp_path / "out"

    def make(old="", new="", name="Pixels"):
        text = PIXELS.replace("FITS", str(fits)).replace("BROKEN", str(tmp_path / "broken"))
        file.write_text(text.replace(old, new))
        sys.modules.pop(file.stem, None)
        return Study(get_method(f"{file}:{name}"), [toy_task], None, 3, 0, "cpu", out)

    def count():
        return len(fits.read_text().splitlines())

    yield make, count
    sys.modules.pop(file.stem, None)


def test_trials_of_other_code_defaults_or_class_are_not_taken(pixels):
    make, count = pixels
    make().run(quiet=True)
    make().run(quiet=True)
    assert count() == 3
    make("np.float32(self", "-np.float32(self").run(quiet=True)  # the code of a function
    assert count() == 6
    make(name="Others").run(quiet=True)
    assert count() == 9


def test_trials_of_another_default_are_not_taken(pixels, monkeypatch):
    make, count = pixels
    made = make()
    made.run(quiet=True)
    # The default of a dataclass of another file, which the digest of the source need not hold.
    kind = type("Hyperparameters", (made.method.Hyperparameters,), {})
    monkeypatch.setattr(kind.__init__, "__defaults__", (30, 3.0))
    monkeypatch.setattr(made.method, "Hyperparameters", kind)
    made.run(quiet=True)
    assert count() == 6


def test_trials_of_other_code_of_starbench_are_not_taken(make_study, monkeypatch):
    made = make_study()
    before = made._path(made.tasks[0], {})
    assert before == make_study()._path(made.tasks[0], {})
    monkeypatch.setattr(study, "source_sha256", lambda method: "0" * 64)
    assert make_study()._path(made.tasks[0], {}) != before


def test_a_command_runs_failed_trials_once_more_and_says_so(pixels, tmp_path, capsys):
    make, count = pixels
    broken = tmp_path / "broken"
    broken.touch()
    assert make().run(quiet=True).by_twins is None
    assert count() == 3
    capsys.readouterr()
    assert make().run(quiet=False).by_twins is None  # and it ends
    assert count() == 6
    assert "again, as it failed (RuntimeError: no room is left)" in capsys.readouterr().err
    broken.unlink()
    assert make().run(quiet=True).by_twins is not None
    assert count() == 9
    make().run(quiet=True)
    assert count() == 9


def test_processes_of_one_command_do_not_repeat_each_others_failures(pixels, tmp_path):
    make, count = pixels
    (tmp_path / "broken").touch()
    make().run(quiet=True)
    ours, theirs = make(), make()
    failed = ours.failed()
    assert list(failed.values()) == [1, 1, 1]
    theirs.run(quiet=True)
    assert count() == 6
    assert ours.run(failed, quiet=True).by_twins is None
    assert count() == 6


def test_studies_note_their_failures_before_the_first_begins(pixels, tmp_path):
    make, count = pixels
    (tmp_path / "broken").touch()
    make().run(quiet=True)
    assert all(choice.by_twins is None for choice in run_studies([make(), make()], quiet=True))
    assert count() == 6


def test_the_command_shows_both_choices(toy_task, tmp_path):
    arguments = "tune --task apogee-giants-snr100 --scale tiny --trials 2 --threads 1 --quiet"
    result = CliRunner().invoke(
        main,
        [*arguments.split(), "--method", LinearErasure.name, "--out", str(tmp_path)],
    )
    assert result.exit_code == 0, result.output
    assert "by twins" in result.stdout and "linear-erasure" in result.stdout
    assert (tmp_path / "linear-erasure.json").exists()


@pytest.mark.parametrize("group", ["controls", "random-latent"])
def test_controls_are_refused_before_any_work(group, tmp_path):
    result = CliRunner().invoke(main, ["tune", "--method", group, "--out", str(tmp_path / "out")])
    assert result.exit_code == 2 and result.stdout == ""
    assert "nothing to tune" in result.stderr and len(result.stderr.splitlines()) == 1
    assert not (tmp_path / "out").exists()
