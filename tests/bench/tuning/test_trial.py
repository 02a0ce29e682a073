"""A trial whose output a run would refuse has failed; no figure of a trial is NaN."""

import json

import numpy as np
import pytest

from starbench.evaluation.views import view_split
from starbench.tuning.part import first_pairs
from starbench.tuning.trial import Trial, TrialData, read_trial, run_trial, write_trial


@pytest.fixture
def data(toy_task):
    train, validation = (
        view_split(toy_task, split, "full", "nuisance", 0) for split in ("train", "validation")
    )
    return TrialData(train, first_pairs(validation, 20))


def judged(linear, data, **functions):
    """Try a small method, some functions of which are replaced."""
    kind = type("Changed", (linear,), functions)
    return run_trial(kind(seed=0), {}, data, quiet=True)


def test_a_trial_has_all_figures_of_a_method_with_a_decoder(linear, data):
    trial = judged(linear, data)
    assert trial.message is None
    assert 0 < trial.twin_share <= 1 and 0 < trial.squared_error < 1e-3 and trial.leakage < 1


@pytest.mark.parametrize(
    ("decode", "message"),
    [
        (lambda flux: np.where(np.arange(len(flux)) == 3, np.nan, flux.T).T, "Diverged: 1 plain"),
        (lambda flux: flux * np.float32(np.inf), "reconstructions are not finite"),
        (lambda flux: flux[:, :-1], r"must return [40, 60], but returned [40, 59]"),
        (lambda flux: flux[:-1], r"must return [40, 60], but returned [39, 60]"),
        (lambda flux: flux.astype(complex), "must return a NumPy array of float32"),
    ],
)
def test_a_decoder_whose_output_cannot_be_scored_fails_the_trial(linear, data, decode, message):
    def changed(self, latent, nuisance):
        return decode(linear.decode(self, latent, nuisance))

    trial = judged(linear, data, decode=changed)
    assert message in trial.message
    assert trial.twin_share is trial.squared_error is trial.leakage is None


@pytest.mark.parametrize("of", ["validation", "training"])
def test_a_latent_that_is_not_finite_fails_the_trial(linear, data, of):
    n = {"validation": 40, "training": 80}[of]

    def encode(self, flux, nuisance):
        latent = linear.encode(self, flux, nuisance)
        if len(flux) == n:
            latent[2, 1] = np.inf
        return latent

    trial = judged(linear, data, encode=encode)
    assert trial.message == f"Diverged: the latents of 1 {of} spectra are not finite"
    assert trial.twin_share is None


def test_a_perfect_decoder_has_an_error_of_zero(linear, data):
    def encode(self, flux, nuisance):
        return flux

    trial = judged(linear, data, encode=encode, decode=lambda self, latent, nuisance: latent)
    assert trial.squared_error == 0


@pytest.mark.parametrize(
    "damage",
    [
        {"squared_error": float("nan")},
        {"squared_error": -1.0},
        {"twin_share": 1e300},
        {"leakage": 7.0},
        {"attempts": -1},
    ],
)
def test_a_file_with_impossible_figures_is_not_a_trial(tmp_path, damage):
    path = tmp_path / "trial.json"
    trial = Trial({"weight": 2}, 0.5, 0.0, None, 1.0)
    write_trial(path, trial)
    assert read_trial(path) == trial
    path.write_text(json.dumps(json.loads(path.read_text()) | damage))
    assert read_trial(path) is None
