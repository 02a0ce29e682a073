"""Runs on a survey: stars in groups, with errors and masks."""

import h5py
import numpy as np
import pytest
from support.toy_task import ToySurvey, ToyTask

from starbench.evaluation.encoding import encode_split
from starbench.evaluation.views import view_split
from starbench.metrics import network, ordered_pairs, recovery_estimates, sibling_ranks
from starbench.results.example import read_example, write_example
from starbench.results.ranks import Ranks, ranks_digest, read_ranks, write_ranks
from starbench.results.schema import read_row
from starbench.results.selection_rule import SELECTION_RULE, SURVEY_RULE
from starbench.results.text import RowError
from starbench.runs import fitting, plots, runner
from starbench.runs.fitting import selection_stars
from starbench.runs.panels import rms_residuals
from starbench.runs.predictions import PredictionsError
from starbench.runs.predictions_scoring import score_predictions
from starbench.runs.predictions_writing import write_predictions
from starbench.runs.restore import restore


@pytest.fixture
def run(linear, tmp_path, monkeypatch):
    monkeypatch.setattr(network, "_MIN_STEPS", 20)
    monkeypatch.setattr(network, "_EPOCHS", 2)

    def run(task, method=linear, **settings):
        return runner.run(
            task, method, method.Hyperparameters(**settings), scale="tiny", device="cpu",
            out=tmp_path, quiet=True,
        )  # fmt: skip

    return run


def test_a_method_has_the_same_settings_on_pairs_and_on_a_survey(run):
    on_survey, on_pairs = (run(task, epochs=2).row for task in (ToySurvey(), ToyTask()))
    assert on_survey.selection.epoch is not None and on_pairs.selection.rule == SELECTION_RULE
    assert on_survey.selection.rule != on_pairs.selection.rule
    assert on_survey.settings_digest == on_pairs.settings_digest
    assert on_survey.settings_digest != run(ToySurvey(), epochs=3).row.settings_digest


def test_a_run_on_a_survey_leaves_a_row_and_its_files(run, linear):
    task = ToySurvey()
    row, folder, fresh = run(task)
    assert fresh and row.status == "ok", row.message
    assert row == read_row(folder.row)
    assert row.selection.rule == SURVEY_RULE and row.filling == runner.FILLING
    ranks = read_ranks(folder.ranks)
    assert ranks_digest(ranks.rank) == row.ranks_sha256
    group = task.groups("test", "tiny")
    assert ranks.n_stars == 60 and np.array_equal(ranks.group, ordered_pairs(group).group)
    for name, estimate in recovery_estimates(ranks.measured()).items():
        assert row.metrics[name].value == estimate.value
    for name in (
        "doppelganger_free", "alike_field_pairs", "reconstruction_mse", "swap_gap",
        "nuisance_leakage.ridge.Teff", "composition_recovery.ridge.Fe/H",
        "conditional_leakage.ridge.Teff",
    ):  # fmt: skip
        assert name in row.metrics
    assert "explained_twin_distance" not in row.metrics
    assert row.metrics["doppelganger_free"].value > 0.5
    assert {path.name for path in plots.draw_run(folder, linear.diagnostics)} == {
        "spectra.png", "history.png",
    }  # fmt: skip


def test_figures_follow_from_latents_and_flux(run, linear):
    task = ToySurvey()
    row, folder, _ = run(task)
    truth = task.load("test", "tiny")
    method, _ = restore(folder, linear)
    view = view_split(task, "train", "tiny", "nuisance", 0).view
    known = np.isfinite(view.error)
    filling = (np.where(known, view.flux, 0).sum(0, dtype=np.float64) / known.sum(0)).astype("f4")
    masked = np.isinf(truth.error[:, 0])
    flux = np.where(masked, filling, truth.flux[:, 0])
    nuisance = truth.nuisance[:, 0]
    latent = method.encode(flux, nuisance)
    expected = sibling_ranks(latent, truth.group)
    assert np.array_equal(read_ranks(folder.ranks).rank, expected.rank)
    pairs = ordered_pairs(truth.group)

    def mean_error(of, at):
        made = method.decode(latent[of], nuisance[at])
        error = np.where(masked[at], 0, made - truth.flux[at, 0]).astype(np.float64)
        mse = (error**2).sum(axis=1) / (~masked[at]).sum(axis=1)
        return np.mean([mse[pairs.group == g].mean() for g in range(3)])

    plain, swapped = mean_error(pairs.query, pairs.query), mean_error(pairs.sibling, pairs.query)
    assert row.metrics["reconstruction_mse"].value == pytest.approx(plain, rel=1e-5)
    assert row.metrics["swapped_reconstruction_mse"].value == pytest.approx(swapped, rel=1e-5)


def test_masked_pixels_are_neither_drawn_nor_counted_in_the_figure(run):
    task = ToySurvey()
    folder = run(task)[1]
    example, truth = read_example(folder.example), task.load("test", "tiny")
    masked = np.isinf(truth.error[example.pair, 0])
    assert masked.any() and np.array_equal(np.isnan(example.flux), masked)
    error = (example.reconstruction - truth.flux[example.pair, 0])[~masked]
    assert rms_residuals(example)[0] == pytest.approx(np.sqrt(np.mean(error**2)), rel=1e-5)
    (line, *_) = plots.figure_spectra(example, "toy").axes[0].lines
    assert np.array_equal(np.isnan(line.get_ydata()), masked)  # all pixels are in one window
    write_example(folder.example, example.stretch())
    assert np.isnan(read_example(folder.example).flux).sum() == masked.sum()


def test_a_method_that_takes_errors_gets_them(run, linear):
    class WithErrors(linear):
        name = "toy-with-errors"
        takes_errors = True

        def fit(self, train, validation, monitor):
            assert np.isinf(train.error).any() and np.isinf(validation.error).any()
            super().fit(train, validation, monitor)

        def encode(self, flux, nuisance, error=None):
            assert error.shape == flux.shape
            return super().encode(np.where(np.isinf(error), 1, flux).astype(np.float32), nuisance)

    row, _, _ = run(ToySurvey(), WithErrors)
    assert row.status == "ok", row.message
    assert row.filling is None


def test_a_survey_without_errors_or_validation_groups_runs(run, monkeypatch):
    task = ToySurvey(errors=False)
    monkeypatch.setattr(
        task, "_groups",
        lambda split: np.arange(task.n_pairs[split]) // (2 if split == "test" else 1),
    )  # fmt: skip
    row, _, _ = run(task)
    assert row.status == "ok", row.message
    assert row.filling is None and row.validation_metrics == {}
    assert "alike_field_pairs" not in row.metrics  # no star of the field


def test_states_are_selected_on_whole_groups_and_field_stars(monkeypatch):
    group = np.array([7, 0, 7, 1, 2, 9, 9, 9, 9, 3, 7])
    assert selection_stars(group).tolist() == list(range(11))
    monkeypatch.setattr(fitting, "SELECTION_PAIRS", 3)
    # The group of three fits into half of six stars, that of four does not.
    assert selection_stars(group).tolist() == [0, 1, 2, 3, 4, 10]


def test_latents_of_a_survey_have_the_order_of_the_data(run, linear):
    task = ToySurvey(errors=False)
    _, folder, _ = run(task)
    method, _ = restore(folder, linear)
    view = view_split(task, "test", "tiny", "nuisance", 0)
    truth = task.load("test", "tiny")
    latent = method.encode(truth.flux[:, 0], truth.nuisance[:, 0])
    assert np.allclose(encode_split(method, view)[:, 0], latent, atol=1e-5)


def test_predictions_of_a_run_give_its_figures(run, linear, tmp_path):
    task = ToySurvey()
    row, folder, _ = run(task)
    path = tmp_path / "predictions.h5"
    write_predictions(folder, task, path, linear, quiet=True)
    with h5py.File(path) as file:
        assert file["latent"].shape == (60, 6) and file["train/latent"].shape == (80, 6)
    given = {"method_name": "mine", "label_access": "nuisance", "reference": "tests"}
    again = score_predictions(
        path, task, scale="tiny", device="cpu", out=tmp_path / "scored", quiet=True, **given
    )
    for name, estimate in again.row.metrics.items():
        assert estimate == row.metrics[name]
    assert again.row.ranks_sha256 == row.ranks_sha256
    assert "nuisance_leakage.ridge.Teff" in again.row.metrics
    with h5py.File(path, "r+") as file:
        file["reconstruction"] = np.ones((60, 60), "f4")
    with pytest.raises(PredictionsError, match="reconstructions of a survey are not scored"):
        score_predictions(path, task, scale="tiny", out=tmp_path, **given)
    with h5py.File(path, "r+") as file:
        del file["reconstruction"], file["latent"]
        file["latent"] = np.ones((60, 2, 6), "f4")
    with pytest.raises(PredictionsError, match=r"this task needs \[60, d\] at scale tiny\."):
        score_predictions(path, task, scale="tiny", out=tmp_path, **given)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"rank": [1, 9, 1, 1, 1, 1, 1, 1]}, "`rank` should lie between 1 and 6"),
        ({"rank": [1, 1, 6, 1, 1, 1, 1, 1]}, "one more than the number of strangers"),
        ({"group": [0, 0, 0, 0, 0, 0, 0, 1]}, r"m \(m - 1\) ordered pairs"),
        ({"group": [0, 0, 2, 2, 2, 2, 2, 2]}, r"m \(m - 1\) ordered pairs"),
        ({"group": [0, 0, 1]}, r"should be integers \[8\]"),
        ({"n_stars": 4}, "at least 5"),
    ],
)
def test_ranks_that_no_survey_can_have_are_refused(tmp_path, change, sentence):
    content = {
        "rank": [1, 2, 1, 1, 1, 3, 1, 1], "tied": [0] * 8, "group": [0, 0, *[1] * 6], "n_stars": 7,
    }  # fmt: skip
    path = tmp_path / "ranks.h5"

    def write(content):
        arrays = {
            name: np.array(value) if isinstance(value, list) else value
            for name, value in content.items()
        }
        write_ranks(path, **arrays)

    write(content)
    read = read_ranks(path)
    assert isinstance(read, Ranks) and read.rank.tolist() == content["rank"]
    assert read.measured().n_strangers.tolist() == [5, 5, *[4] * 6]
    with pytest.raises(RowError, match=sentence):
        write(content | change)
