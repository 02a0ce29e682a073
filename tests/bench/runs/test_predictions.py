"""Predictions of any program get the scores that a run of the same method gets."""

import json
import shutil

import h5py
import numpy as np
import pytest

from starbench.methods.base import SettingError
from starbench.metrics import network
from starbench.results.schema import read_row, write_row
from starbench.runs import runner
from starbench.runs.predictions import Predictions, PredictionsError
from starbench.runs.predictions_scoring import parse_settings, score_predictions
from starbench.runs.predictions_writing import write_predictions
from starbench.tasks.registry import get_task
from starbench.tasks.storage.shuffled import ATTRIBUTE, order_name

TITLE = {"method_name": "mine", "label_access": "nuisance", "reference": "tests"}


@pytest.fixture
def finished(toy_task, linear, tmp_path, monkeypatch):
    monkeypatch.setattr(network, "_MIN_STEPS", 20)
    monkeypatch.setattr(network, "_EPOCHS", 2)
    return runner.run(toy_task, linear, scale="tiny", device="cpu", out=tmp_path, quiet=True)


@pytest.fixture
def written(finished, toy_task, linear, tmp_path):
    path = tmp_path / "predictions.h5"
    write_predictions(finished.folder, toy_task, path, linear)
    return path


def scored(path, task, tmp_path, **changes):
    arguments = {"scale": "tiny", "out": tmp_path, "quiet": True, **TITLE, **changes}
    return score_predictions(path, task, **arguments)


def test_predictions_of_a_run_give_its_row(finished, written, toy_task, tmp_path):
    row, folder, _ = scored(written, toy_task, tmp_path, seed=4, hyperparameters={"depth": 3})
    assert row.metrics == finished.row.metrics
    assert row.validation_metrics == finished.row.validation_metrics
    assert row.ranks_sha256 == finished.row.ranks_sha256
    assert (row.method, row.seed, row.hyperparameters) == ("mine", 4, {"depth": 3})
    assert row == read_row(folder.row)
    with h5py.File(folder.latents) as file, h5py.File(finished.folder.latents) as own:
        assert np.array_equal(file["latent"], own["latent"])
    assert row.command.startswith(
        "starbench score PREDICTIONS.h5 --method-name mine --label-access nuisance"
    )
    assert "--set depth=3" in row.command


def test_metrics_whose_data_are_missing_are_left_out(written, toy_task, tmp_path):
    bare = tmp_path / "bare.h5"
    with h5py.File(written) as file, h5py.File(bare, "w") as to:
        to["latent"] = file["latent"][()]
    row = scored(bare, toy_task, tmp_path).row
    full = scored(written, toy_task, tmp_path).row
    assert set(row.metrics) < set(full.metrics)
    assert not any("mse" in name or "leakage" in name for name in row.metrics)
    assert row.metrics["doppelganger_free"] == full.metrics["doppelganger_free"]
    assert row.validation_metrics == {}


def test_a_latent_that_is_not_finite_ranks_last(written, toy_task, tmp_path):
    with h5py.File(written, "a") as file:
        file["latent"][3, 0, 0] = np.nan
    row = scored(written, toy_task, tmp_path).row
    assert row.metrics["doppelganger_free"].value < 1
    assert row.message == "the latents of 1 of 40 test stars are not finite; they rank last"


def test_float64_latents_are_centred_before_they_become_float32(written, toy_task, tmp_path):
    plain = scored(written, toy_task, tmp_path).row
    with h5py.File(written, "a") as file:
        for place in ("latent", "train/latent", "validation/latent"):
            replace(place, lambda z: z.astype("f8") + 1e8)(file)
    far = scored(written, toy_task, tmp_path).row
    for name in ("doppelganger_free", "composition_recovery.ridge"):
        if name in plain.metrics:
            assert far.metrics[name].value == pytest.approx(plain.metrics[name].value, abs=1e-3)
    assert far.metrics["doppelganger_free"] == plain.metrics["doppelganger_free"]


def test_float64_latents_may_be_extreme(written, toy_task, tmp_path):
    with h5py.File(written, "a") as file:
        for place in ("latent", "train/latent", "validation/latent"):
            replace(place, lambda z: z.astype("f8"))(file)
        file["latent"][0, 0] = 1e300
        file["latent"][1, 0] = np.nan
    assert scored(written, toy_task, tmp_path).row.message.startswith("the latents of 2 of 40")


def test_any_damage_is_named_in_one_sentence(written, toy_task, tmp_path):
    """Bytes changed at random: a row or a sentence, never another exception."""
    content = written.read_bytes()
    rng = np.random.default_rng(5)
    damaged = tmp_path / "damaged.h5"
    for _ in range(80):
        changed = bytearray(content)
        for at in rng.integers(0, 4096, rng.integers(1, 5)):
            changed[at] = rng.integers(256)
        damaged.write_bytes(changed)
        try:
            with Predictions(damaged, toy_task, "tiny") as file:
                for split in ("train", "validation", "test"):
                    if file.has(split):
                        file.latent(split)
        except PredictionsError as error:
            text = str(error)
            assert text.startswith(str(damaged)) and text.endswith(".")


def remove(name):
    def edit(file):
        del file[name]

    return edit


def replace(name, make):
    def edit(file):
        values = make(file[name][()])
        del file[name]
        file[name] = values

    return edit


def link(*names):
    def edit(file):
        for name in names:
            del file[name]
            file[name] = h5py.SoftLink("/latent")

    return edit


@pytest.mark.parametrize(
    ("edit", "sentence"),
    [
        (remove("latent"), "has no dataset latent; add it"),
        (
            replace("latent", lambda z: np.zeros((len(z), 2, 2049), "f4")),
            "latent has 2049 dimensions; give at most 2048",
        ),
        (link("validation/latent"), "validation/latent is not a dataset of this file"),
        (
            link("reconstruction", "swapped_reconstruction"),
            r"reconstruction is not a dataset of this file; .* \(links are refused\)",
        ),
        (replace("latent", lambda z: z[:-1]), r"latent has shape \[19, 2, 6\]; .* \[20, 2, d\]"),
        (replace("latent", lambda z: z.reshape(40, -1)), "latent has shape"),
        (replace("latent", lambda z: z.astype(int)), "latent holds int64; give floating-point"),
        (
            replace("train/latent", lambda z: z[:, :, :3]),
            "train/latent has 3 dimensions, but latent has 6",
        ),
        (remove("reconstruction"), "has only swapped_reconstruction; give both"),
        (replace("reconstruction", lambda x: x[..., 1:]), "reconstruction has shape"),
        (replace("validation/latent", lambda z: z[1:]), "validation/latent has shape"),
        (
            replace("train/latent", lambda z: np.where(z == z[2, 1, 0], np.nan, z)),
            "train/latent of pair 2 is not finite",
        ),
        (lambda file: file.move("reconstruction", "recon"), "holds the unknown dataset recon"),
        (
            lambda file: file.move("train/latent", "train/latents"),
            "the unknown dataset train/latents",
        ),
        (
            replace(
                "swapped_reconstruction", lambda x: np.where(np.arange(len(x[0, 0])), x, np.nan)
            ),
            r"split test: \d+ swapped reconstructions are not finite",
        ),
    ],
)
def test_a_file_that_does_not_fit_is_refused(written, toy_task, tmp_path, edit, sentence):
    with h5py.File(written, "a") as file:
        edit(file)
    with pytest.raises(PredictionsError, match=sentence):
        scored(written, toy_task, tmp_path)
    assert not list(tmp_path.glob("toy/mine/*/row.json"))


@pytest.mark.parametrize("shuffled", [False, True])
def test_predictions_of_another_scale_are_refused_before_data_are_built(shuffled, tmp_path):
    task = get_task("apogee-giants", cache=tmp_path / "cache")
    path = tmp_path / "mini.h5"
    with h5py.File(path, "w") as file:
        file["latent"] = np.ones((task.sizes("mini")["test"], 2, 3), "f4")
        if shuffled:
            file.attrs[ATTRIBUTE] = order_name(task, "mini")
    with pytest.raises(PredictionsError, match="at scale full; give --scale mini"):
        scored(path, task, tmp_path, scale="full")
    assert not (tmp_path / "cache").exists()


def test_links_to_other_files_are_refused(written, toy_task, tmp_path):
    with h5py.File(written, "a") as file:
        file.move("latent", "train/elsewhere")
        latent = file["train/elsewhere"][()]
        del file["train/elsewhere"]
        (tmp_path / "secret.bin").write_bytes(latent.tobytes())
        file.create_dataset(
            "latent", latent.shape, latent.dtype, external=str(tmp_path / "secret.bin")
        )
    with pytest.raises(PredictionsError, match="latent is not a dataset of this file"):
        scored(written, toy_task, tmp_path)
    with h5py.File(written, "a") as file:
        del file["latent"]
        file["latent"] = h5py.ExternalLink("other.h5", "latent")
    with pytest.raises(PredictionsError, match="latent is not a dataset of this file"):
        scored(written, toy_task, tmp_path)


def test_options_are_checked_before_predictions_are_scored(written, toy_task, tmp_path):
    toy_task.prepare = None  # which scoring would call
    with pytest.raises(SettingError, match="--method-name, --reference or --set: field `method`"):
        scored(written, toy_task, tmp_path, method_name="NumpyPCA")
    with pytest.raises(SettingError, match="field `reference`"):
        scored(written, toy_task, tmp_path, reference="")
    with pytest.raises(SettingError, match="--method-name, --reference or --set"):
        scored(written, toy_task, tmp_path, hyperparameters={"a": float("inf")})


def test_a_file_that_is_missing_or_not_hdf5_is_refused(toy_task, tmp_path):
    with pytest.raises(PredictionsError, match="is not a file"):
        scored(tmp_path / "nothing.h5", toy_task, tmp_path)
    np.save(tmp_path / "latent.npy", np.ones((20, 2, 6)))
    (tmp_path / "latent.csv").write_text("0.1,0.2")
    for name in ("latent.npy", "latent.csv"):
        sentence = r"write an HDF5 file with the dataset latent of shape \[20, 2, d\], in the order"
        with pytest.raises(PredictionsError, match=sentence):
            scored(tmp_path / name, toy_task, tmp_path)


def test_the_name_of_a_built_in_method_is_refused(written, toy_task, tmp_path):
    with pytest.raises(SettingError, match="--method-name fader is a built-in method"):
        scored(written, toy_task, tmp_path, method_name="fader")


def test_a_setting_that_is_not_json_is_a_text():
    assert parse_settings(("a=3", "b=0.5", "c=deep", "d=true", "e=x=y")) == {
        "a": 3, "b": 0.5, "c": "deep", "d": True, "e": "x=y",
    }  # fmt: skip
    with pytest.raises(SettingError, match="--set needs key=value"):
        parse_settings(("deep",))


@pytest.mark.usefixtures("collector_off")
@pytest.mark.parametrize("value", ["9" * 5000, "1e999", "NaN", "[1, -1e999]", "[" * 100_000])
def test_a_setting_that_no_row_can_hold_is_named(value):
    with pytest.raises(SettingError, match="--set depth must be a text, a finite number"):
        parse_settings((f"depth={value}",))


def test_predictions_are_written_only_with_the_method_and_data_of_the_run(
    finished, toy_task, blind, linear, tmp_path
):
    path = tmp_path / "predictions.h5"
    with pytest.raises(SettingError, match="is a run of toy-linear, not of"):
        write_predictions(finished.folder, toy_task, path, blind)
    row = json.loads(finished.folder.row.read_text())
    row["hyperparameters"]["depth"] = 3
    finished.folder.row.write_text(json.dumps(row))
    with pytest.raises(SettingError, match="Only the row has the hyperparameter 'depth'"):
        write_predictions(finished.folder, toy_task, path, linear)
    write_row(finished.row, finished.folder.row)
    toy_task.fingerprint = lambda scale: "other-data"
    with pytest.raises(SettingError, match="was run on other data"):
        write_predictions(finished.folder, toy_task, path, linear)
    shutil.rmtree(finished.folder.path)
    with pytest.raises(SettingError, match="holds no finished run"):
        write_predictions(finished.folder, toy_task, path, linear)
    assert not path.exists()
