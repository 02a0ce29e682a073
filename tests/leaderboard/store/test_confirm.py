"""Confirming rows: a fixed state, or latents of fresh spectra, on stars that nobody had seen."""

import json
import shutil
from pathlib import Path
from types import SimpleNamespace

import h5py
import numpy as np
import pytest
from support.commands import starbench
from support.toy_task import DrawnToyTask, ToySurvey

from starbench.common import checkpoint
from starbench.leaderboard.pages.confirmations_table import confirmations_section
from starbench.leaderboard.store import confirmations
from starbench.leaderboard.store.board import Entry
from starbench.leaderboard.store.verify import equal_fresh_ranks
from starbench.methods.controls.composition import Composition
from starbench.methods.registry import get_method
from starbench.metrics import TwinRanks, recovery_estimates
from starbench.results.ranks import Ranks, ranks_digest, read_ranks, write_ranks
from starbench.results.schema import read_row
from starbench.runs import runner
from starbench.runs.origin import given
from starbench.runs.predictions_scoring import score_predictions
from starbench.runs.predictions_writing import write_predictions
from starbench.runs.restore import restore
from starbench.runs.run_folder import RunFolder
from starbench.tasks import registry
from starbench.tasks.forward import ForwardModel
from starbench.tasks.registry import get_task

METHOD = "polynomial-residual"
BEACON = "b" * 40
SOURCE = ("--beacon-source", "the first commit after the row's")


@pytest.fixture(autouse=True)
def toy_tasks(monkeypatch):
    """Let `--task` find the toy task."""

    def get_task(name=None, *_, **__):
        return DrawnToyTask(name=name or "toy-drawn")

    monkeypatch.setattr(registry, "get_task", get_task)


def fitted(out, method, task=None, **settings):
    method_class = get_method(method)
    return runner.run(
        task or DrawnToyTask(),
        method_class,
        method_class.Hyperparameters(**settings),
        overrides=settings,
        given=given(method),
        scale="tiny",
        device="cpu",
        threads=1,
        out=out,
        quiet=True,
    ).folder.path


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    return fitted(tmp_path_factory.mktemp("runs"), METHOD, latent=4, degree=1)


@pytest.fixture
def folder(finished, tmp_path):
    """Copy the folder of a finished run."""
    return Path(shutil.copytree(finished, tmp_path / "run"))


def confirm(row, *options, state=None, beacon=BEACON):
    return starbench(
        "leaderboard", "confirm", row, "--state", state or row, "--beacon", beacon, *SOURCE,
        "--quiet", *options,
    )  # fmt: skip


def edit(path, **fields):
    content = json.loads(path.read_text())
    content.update(fields)
    path.write_text(json.dumps(content))


def test_a_state_is_confirmed_on_fresh_stars_and_verified(folder):
    row = read_row(folder / "row.json")
    assert row.state_sha256 and row.source_sha256 and row.environment_sha256
    code, output = confirm(folder, "--by", "a reviewer")
    assert code == 0, output
    assert "Confirmed." in output
    stored = json.loads((folder / "confirmation.json").read_text())
    assert stored["beacon"] == BEACON and stored["by"] == "a reviewer"
    assert stored["conditions"] == []
    assert stored["metrics"]["reconstruction_mse"]["value"] > 0
    ranks, fresh = (read_ranks(folder / f"{name}ranks.h5") for name in ("", "confirmation."))
    assert (ranks.rank != fresh.rank).any()
    share = stored["metrics"]["doppelganger_free"]["value"]
    assert 0.2 < share < 0.95
    apart = stored["differences"]["doppelganger_free"]
    assert apart["value"] == pytest.approx(share - row.metrics["doppelganger_free"].value)
    assert apart["low"] < apart["value"] < apart["high"]
    assert starbench("leaderboard", "verify", folder, "--quiet")[0] == 0

    code, output = confirm(folder)
    assert code == 2 and "give --replace to make another" in output
    before = (folder / "confirmation.ranks.h5").read_bytes()
    assert confirm(folder, "--replace")[0] == 0
    assert (folder / "confirmation.ranks.h5").read_bytes() == before
    assert confirm(folder, "--replace", beacon="c" * 40)[0] == 0
    assert (folder / "confirmation.ranks.h5").read_bytes() != before


def test_fresh_ranks_that_are_those_of_the_row_are_refused(folder):
    confirm(folder)
    shutil.copyfile(folder / "ranks.h5", folder / "confirmation.ranks.h5")
    edit(folder / "confirmation.json", ranks_sha256=read_row(folder / "row.json").ranks_sha256)
    code, output = starbench("leaderboard", "verify", folder, "--quiet")
    assert code == 1 and "the fresh ranks are those of the row; confirm the row again" in output


def forge(folder, ranks):
    """Write a confirmation of which all follows from fresh ranks that nobody found."""
    confirm(folder, "--replace")
    found = confirmations.differences(read_ranks(folder / "ranks.h5"), ranks)
    stored = json.loads((folder / "confirmation.json").read_text())
    for name, each in recovery_estimates(ranks.measured()).items():
        stored["metrics"][name] |= {"value": each.value, "low": each.low, "high": each.high}
    edit(
        folder / "confirmation.json",
        metrics=stored["metrics"],
        differences={name: each.model_dump() for name, each in found.items()},
        ranks_sha256=ranks_digest(ranks.rank),
        confirmed=confirmations.is_confirmed(found),
    )
    write_ranks(folder / "confirmation.ranks.h5", *ranks)


def test_fresh_ranks_that_are_almost_those_of_the_row_are_refused(tmp_path):
    folder = fitted(tmp_path, "pca", latent=1)  # most of its stars lose their twins
    ranks = read_ranks(folder / "ranks.h5")
    other = ranks.rank.copy()
    other[::10] = other[::10][::-1]
    forge(folder, ranks._replace(rank=other, tied=np.minimum(ranks.tied, other - 1)))
    code, output = starbench("leaderboard", "verify", folder, "--quiet")
    assert code == 1 and "stars are those of the row, but chance gives" in output


def test_fresh_ranks_of_another_row_are_flagged(tmp_path):
    mine, theirs = (fitted(tmp_path, "pca", latent=latent) for latent in (1, 2))
    for folder in (mine, theirs):
        assert confirm(folder, "--replace")[0] == 0
    rows = [(each / "row.json", read_row(each / "row.json")) for each in (mine, theirs)]
    assert not list(equal_fresh_ranks(rows))
    for copied in ("confirmation.ranks.h5", "ranks.h5"):
        forge(mine, read_ranks(theirs / copied))
        (sentence,) = equal_fresh_ranks(rows)
        assert "has the ranks of row.json, star by star" in sentence


@pytest.mark.parametrize("method", ["composition", "constant-latent"])
def test_ranks_that_any_stars_have_may_be_those_of_the_row(tmp_path, method):
    folder = fitted(tmp_path, method)
    assert confirm(folder)[0] == 0
    ranks, fresh = (read_ranks(folder / f"{name}ranks.h5") for name in ("", "confirmation."))
    assert np.array_equal(ranks.rank, fresh.rank)
    assert starbench("leaderboard", "verify", folder, "--quiet")[0] == 0


def test_what_a_record_cannot_hold_is_refused_before_anything_is_scored(folder, monkeypatch):
    monkeypatch.setattr("starbench.leaderboard.store.confirm.score_fresh", None)
    code, output = confirm(folder, "--by", "x" * 301)
    assert code == 2 and "--by should be 1 to 300 printable characters" in output
    row = read_row(folder / "row.json")
    if row.commit is not None:
        code, output = confirm(folder, beacon=row.commit)
        assert code == 2 and f"the beacon {row.commit} is a value of the row itself" in output


def test_the_board_lists_confirmations_and_how_many_lie_within(folder, tmp_path):
    row = read_row(folder / "row.json")
    assert confirmations_section([Entry(row, folder / "row.json")]) == []
    confirm(folder)
    stored = json.loads((folder / "confirmation.json").read_text())
    _, how, table = confirmations_section([Entry(row, folder / "row.json")])
    assert how.endswith("1 of 1 rows lie within their interval; 1 are to be expected.")
    apart = stored["differences"]["doppelganger_free"]
    last = table.splitlines()[-1]
    assert f"| {100 * apart['value']:+.2f} | \\[{100 * apart['low']:+.2f}, " in last
    assert last.startswith(f"| toy-drawn | {METHOD} 0 | ") and last.endswith(" | yes |")


def test_a_survey_is_confirmed_by_its_groups(tmp_path, monkeypatch):
    survey = ToySurvey(n_stars=(80, 90, 90), sizes_of_groups=(2,) * 25 + (4,) * 5)
    monkeypatch.setattr(registry, "get_task", lambda *_, **__: survey)
    folder = fitted(tmp_path, "pca", survey, latent=4)
    code, output = confirm(folder)
    assert code == 0, output
    ranks, fresh = (read_ranks(folder / f"{name}ranks.h5") for name in ("", "confirmation."))
    assert ranks.n_stars == fresh.n_stars == 90 and (ranks.rank != fresh.rank).any()
    apart = json.loads((folder / "confirmation.json").read_text())["differences"]
    # A group of four has twelve ordered pairs, and one of two has two: each group weighs alike.
    shares = [
        np.mean([(each.rank[each.group == group] == 1).mean() for group in range(30)])
        for each in (ranks, fresh)
    ]
    assert apart["doppelganger_free"]["value"] == pytest.approx(shares[1] - shares[0])
    assert 0.1 < shares[0] < 1
    assert starbench("leaderboard", "verify", folder, "--quiet")[0] == 0


def test_a_row_that_claims_more_is_not_confirmed(folder):
    rank = np.ones((60, 2), int)
    tied = np.zeros_like(rank)
    content = json.loads((folder / "row.json").read_text())
    for name, each in recovery_estimates(TwinRanks(rank, tied)).items():
        content["metrics"][name] |= {"value": each.value, "low": each.low, "high": each.high}
    content["ranks_sha256"] = ranks_digest(rank)
    (folder / "row.json").write_text(json.dumps(content))
    write_ranks(folder / "ranks.h5", rank, tied)
    code, output = confirm(folder)
    assert code == 1
    assert "Not confirmed." in output and "lies outside its 95 % interval" in output
    assert json.loads((folder / "confirmation.json").read_text())["confirmed"] is False
    assert starbench("leaderboard", "verify", folder, "--quiet")[0] == 0


def test_another_state_is_refused(folder):
    tensors, metadata = checkpoint.load(folder / "best.safetensors")
    name = next(iter(tensors))
    checkpoint.save(folder / "best.safetensors", {**tensors, name: tensors[name] + 1}, metadata)
    code, output = confirm(folder)
    assert code == 2
    assert "is not the state that made the row" in output
    checkpoint.save(folder / "best.safetensors", tensors, {**metadata, "seconds": 0.0})
    assert confirm(folder)[0] == 0  # the digest is of the tensors, not of what stands beside them


def test_rows_that_cannot_be_confirmed_are_refused(folder):
    original = (folder / "row.json").read_text()
    for fields, sentence in (
        ({"state_sha256": None}, "field `state_sha256` is missing, so the method's state was not"),
        ({"method_version": 99}, "field `method_version` is 99, but the installed"),
        ({"data_fingerprint": "other"}, "field `data_fingerprint` is other"),
        ({"predictions_sha256": "0" * 64}, "give --predictions and --key"),
        ({"scale": "own"}, "own pairs have no fresh stars"),
        ({"status": "failed", "metrics": {}, "ranks_sha256": None, "message": "x"},
         "field `status` is failed"),
    ):  # fmt: skip
        edit(folder / "row.json", **fields)
        code, output = confirm(folder)
        assert code == 2 and sentence in output, output
        (folder / "row.json").write_text(original)
    code, output = confirm(folder, beacon="short")
    assert code == 2 and "must have 16 to 256 characters" in output
    code, output = confirm(folder, state=folder / "none.safetensors")
    assert code == 2 and "no such file; give --state the folder of the row's run" in output
    for arguments in (
        (),
        ("--state", folder),
        ("--predictions", folder / "x.h5"),
        ("--state", folder, "--beacon", BEACON, "--key", folder / "k.json"),
    ):
        code, output = starbench("leaderboard", "confirm", folder, *SOURCE, *arguments)
        assert code == 2 and "Give" in output
    assert not (folder / "confirmation.json").exists()


def test_a_third_partys_class_is_confirmed_with_its_own_file_alone(toy_file, tmp_path):
    mine = tmp_path / "mine.py"
    shutil.copy(toy_file, mine)
    folder = fitted(tmp_path, f"{mine}:Linear", epochs=2)
    row = read_row(folder / "row.json")
    assert row.source_sha256 == row.code.sha256
    code, output = confirm(folder)
    assert code == 2 and "give that file with --method" in output
    code, output = confirm(folder, "--method", f"{mine}:Linear")
    assert code == 0, output
    mine.write_text(mine.read_text() + "\n# edited\n")
    code, output = confirm(folder, "--replace", "--method", f"{mine}:Linear")
    assert code == 2 and "restore the code that made the row" in output


@pytest.fixture(scope="module")
def several(tmp_path_factory):
    """Finish four runs, of two tasks."""
    out = tmp_path_factory.mktemp("several")
    other = DrawnToyTask(name="toy-other")
    return [
        fitted(out, METHOD, task, latent=4, degree=degree)
        for task in (None, other)
        for degree in (1, 2)
    ]


def confirm_several(runs, *options):
    return starbench(
        "leaderboard", "confirm", *runs, "--runs", runs[0].parents[2], "--beacon", BEACON, *SOURCE,
        "--quiet", *options,
    )  # fmt: skip


def test_rows_of_one_task_are_confirmed_on_the_same_stars_which_are_drawn_once(
    several, monkeypatch
):
    alone = []
    for folder in several:
        assert confirm(folder, "--replace")[0] == 0
        alone.append((folder / "confirmation.ranks.h5").read_bytes())
        (folder / "confirmation.json").unlink()
    drawn = []
    make = DrawnToyTask.make

    def counted(self, split, start, stop):
        drawn.append((self.name, split, start, stop))
        return make(self, split, start, stop)

    monkeypatch.setattr(DrawnToyTask, "make", counted)
    code, output = confirm_several(several)
    assert code == 0 and "4 of 4 rows to do" in output and output.count("agrees") == 4, output
    assert [(folder / "confirmation.ranks.h5").read_bytes() for folder in several] == alone
    # What `prepare` compares, one pair, is drawn for each row.
    fresh = [each for each in drawn if "@" in each[1] and each[3] - each[2] > 1]
    assert len(fresh) == len(set(fresh)) > 0
    code, output = confirm_several(several)
    assert code == 0 and "0 of 4 rows to do" in output


def test_a_row_that_cannot_be_scored_stops_no_other(several, tmp_path):
    runs = [Path(shutil.copytree(each, tmp_path / f"runs/t/m/{each.name}")) for each in several[:3]]
    for folder in runs:
        (folder / "confirmation.json").unlink(missing_ok=True)
    edit(runs[0] / "row.json", method_version=99)
    edit(runs[1] / "row.json", given={"method": "mine.py:Mine", "task": None, "data": None})
    code, output = confirm_several(runs)
    assert code == 1 and "2 of 3 rows are not as they say" in output
    assert output.count("agrees") == 1 and "field `method_version` is 99" in output
    assert "was given as mine.py:Mine; give that file with --method" in output
    assert [(folder / "confirmation.json").exists() for folder in runs] == [False, False, True]


def test_the_rows_of_several_tasks_are_confirmed_at_once(tmp_path):
    runs = [  # tasks of starbench, as no other process knows the toy task
        fitted(
            tmp_path / "runs", "pca", get_task(f"apogee-giants-{name}", cache=tmp_path), latent=4
        )
        for name in ("snr100", "snr50")
    ]
    code, output = confirm_several(runs, "--jobs", 2, "--cache", tmp_path)
    assert code == 0 and output.count("agrees") == 2, output


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda c: c.update(beacon_source=""), "field `beacon_source`"),
        (lambda c: c.update(state_sha256="0" * 64), "field `state_sha256` is 000"),
        (lambda c: c.update(row_sha256="0" * 64), "field `row_sha256` is 000"),
        (lambda c: c.update(scale="full"), "field `scale` is full"),
        (lambda c: c.update(beacon=c["state_sha256"].upper()), "is a value of the row itself"),
        (lambda c: c.update(ranks_sha256="0" * 64), "is not the digest of the ranks beside it"),
        (lambda c: c.update(confirmed=False), "`confirmed` should say whether the interval"),
        (lambda c: c.update(word="x"), "is not a field of a confirmation"),
        (
            lambda c: c["differences"]["doppelganger_free"].update(value=0.0),
            "field `differences.doppelganger_free.value` is 0, but the ranks give",
        ),
        (
            lambda c: [
                c["metrics"][name].update(value=1.0, high=1.0)
                for name in ("doppelganger_free", "doppelganger_0.1", "doppelganger_1")
            ],
            "field `metrics.doppelganger_free.value` is 1, but the ranks give",
        ),
        (
            lambda c: c["metrics"]["doppelganger_free"].update(version=99),
            "has versions up to",
        ),
        (
            lambda c: c["metrics"]["reconstruction_mse"].update(value=-5.0, low=None, high=None),
            "should lie in",
        ),
    ],
)
def test_an_edited_confirmation_is_refused(folder, change, sentence):
    assert confirm(folder)[0] == 0
    path = folder / "confirmation.json"
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))
    code, output = starbench("leaderboard", "verify", folder, "--quiet")
    assert code == 1 and sentence in output, output


@pytest.fixture(scope="module")
def scored_once(finished, tmp_path_factory):
    """Score the predictions of the run."""
    out = tmp_path_factory.mktemp("scored")
    write_predictions(RunFolder(finished), DrawnToyTask(), out / "p.h5", quiet=True)
    return score_predictions(
        out / "p.h5", DrawnToyTask(), scale="tiny", method_name="theirs", label_access="nuisance",
        reference="tests", out=out, device="cpu", quiet=True,
    ).folder.path  # fmt: skip


@pytest.fixture
def predicted(finished, scored_once, tmp_path):
    """Return the folder of a row of predictions, and what encodes fresh spectra."""
    scored = Path(shutil.copytree(scored_once, tmp_path / "scored"))
    method = restore(RunFolder(finished))[0]

    def encode(spectra, out):
        with h5py.File(spectra) as file, h5py.File(out, "w") as to:
            to["latent"] = method.encode(file["flux"][()], file["nuisance"][()])
            to.attrs["key_sha256"] = file.attrs["key_sha256"]
        return out

    return scored, encode


def export(tmp_path, name, beacon=BEACON, *options, task="toy-drawn"):
    spectra, key = tmp_path / f"{name}.h5", tmp_path / f"{name}.key.json"
    code, output = starbench(
        "data", "export", spectra, "--task", task, "--scale", "tiny", "--quiet",
        "--fresh", beacon, "--key", key, *options,
    )  # fmt: skip
    assert code == 0, output
    return spectra, key


def confirm_latents(row, latents, key):
    return starbench(
        "leaderboard", "confirm", row, "--predictions", latents, "--key", key, *SOURCE, "--quiet"
    )


def test_an_oracle_control_is_confirmed_with_the_forward_model_of_its_task(tmp_path, monkeypatch):
    forward, used = ForwardModel(None), []
    monkeypatch.setattr(DrawnToyTask, "forward_model", lambda self: forward)
    encode = Composition.encode_stars
    monkeypatch.setattr(
        Composition, "encode_stars",
        lambda self, *stars: used.append(self.forward) or encode(self, *stars),
    )  # fmt: skip
    run = fitted(tmp_path, "composition")
    used.clear()
    code, output = confirm(run)
    assert code == 0, output
    assert used and all(each is forward for each in used)


def test_predictions_are_confirmed_with_the_exported_spectra_and_the_key_alone(
    predicted, tmp_path, monkeypatch
):
    # A secret of which the outcome is known: one in twenty good rows fails the 95 % interval.
    monkeypatch.setattr("secrets.token_hex", lambda n: "5" * 2 * n)
    scored, encode = predicted
    spectra, key = export(tmp_path, "fresh")
    with h5py.File(spectra) as file:
        assert set(file) == {"flux", "nuisance", "wavelength"}
        assert file["flux"].shape == (120, 60)
        stated, secret = dict(file.attrs), json.loads(key.read_text())["secret"]
    assert secret not in str(stated) and secret.encode() not in spectra.read_bytes()
    # The public value alone gives other stars, so nobody can look up the twins.
    public = registry.get_task("toy-drawn").make(f"test@{BEACON}", 0, 60)
    with h5py.File(spectra) as file:
        assert not np.isin(public.flux[:, 0, 0], file["flux"][:, 0]).any()
    latents = encode(spectra, tmp_path / "latents.h5")
    code, output = confirm_latents(scored, latents, key)
    assert code == 0, output
    stored = json.loads((scored / "confirmation.json").read_text())
    assert stored["predictions_sha256"] and stored["key_sha256"] == stated["key_sha256"]
    assert 0.2 < stored["metrics"]["doppelganger_free"]["value"] < 0.95
    assert starbench("leaderboard", "verify", scored, "--quiet")[0] == 0


def test_predictions_of_a_survey_are_confirmed(tmp_path, monkeypatch):
    """The spectra of a survey, one of each star with its errors, were once written as pairs."""
    monkeypatch.setattr("secrets.token_hex", lambda n: "5" * 2 * n)
    survey = ToySurvey(n_stars=(80, 90, 90), sizes_of_groups=(2,) * 25 + (4,) * 5)
    monkeypatch.setattr(registry, "get_task", lambda *_, **__: survey)
    run = fitted(tmp_path, "pca", survey, latent=4)
    write_predictions(RunFolder(run), survey, tmp_path / "predictions.h5", quiet=True)
    scored = score_predictions(
        tmp_path / "predictions.h5", survey, scale="tiny", method_name="theirs",
        label_access="none", reference="tests", out=tmp_path / "scored", device="cpu", quiet=True,
    ).folder.path  # fmt: skip
    spectra, key = export(tmp_path, "fresh", task="toy-survey")
    method = restore(RunFolder(run))[0]
    with h5py.File(spectra) as file, h5py.File(tmp_path / "latents.h5", "w") as to:
        assert file["flux"].shape == file["error"].shape == (90, 60)
        assert np.isinf(file["error"][()]).any() and np.isfinite(file["flux"][()]).all()
        inputs = [file[name][()] for name in ("flux", "nuisance", "error")]
        to["latent"] = method.encode(*inputs)
        to.attrs["key_sha256"] = file.attrs["key_sha256"]
    code, output = confirm_latents(scored, tmp_path / "latents.h5", key)
    assert code == 0, output
    # The same stars as those that a state would encode.
    confirm(run, beacon=f"{BEACON}-{'5' * 64}")
    by_state, by_latents = (read_ranks(each / "confirmation.ranks.h5") for each in (run, scored))
    assert (by_state.rank == by_latents.rank).all() and by_latents.n_stars == 90


def test_wrong_keys_wrong_streams_and_edited_files_are_refused(predicted, tmp_path, monkeypatch):
    scored, encode = predicted
    spectra, key = export(tmp_path, "fresh")
    latents = encode(spectra, tmp_path / "latents.h5")
    _, other = export(tmp_path, "other")  # the same beacon, another secret

    def refusal(file, with_key, row=scored):
        code, output = confirm_latents(row, file, with_key)
        assert code == 2, output
        return output

    assert "holds latents of other spectra than the key's" in refusal(latents, other)
    assert "is not a key of fresh spectra" in refusal(latents, spectra)
    edited = tmp_path / "edited.json"
    content = json.loads(key.read_text())
    edited.write_text(json.dumps({**content, "beacon": "d" * 40}))
    assert "was edited after it was written" in refusal(latents, edited)
    edit(scored / "row.json", task="another-toy")
    assert "The key is of toy-drawn, version 1, not of another-toy" in refusal(latents, key)
    edit(scored / "row.json", task="toy-drawn", scale="mini")
    assert "but the key is of scale tiny" in refusal(latents, key)
    edit(scored / "row.json", scale="tiny", predictions_sha256=None)
    assert "give --state and --beacon" in refusal(latents, key)
    edit(scored / "row.json", predictions_sha256="0" * 64)
    for change, sentence in (
        (lambda file: file.attrs.pop("key_sha256"), "lacks the attribute key_sha256"),
        (lambda file: file.pop("latent"), "has no dataset latent"),
        (lambda file: replace(file, lambda z: z[:-1]), "give [120, d]"),
        (lambda file: replace(file, lambda z: z + np.nan), "latent of spectrum 0 is not finite"),
    ):
        damaged = tmp_path / "damaged.h5"
        shutil.copy(latents, damaged)
        with h5py.File(damaged, "a") as file:
            change(file)
        assert sentence in refusal(damaged, key)
    damaged.write_bytes(b"nothing")
    assert "cannot be read as HDF5" in refusal(damaged, key)
    code, output = starbench(
        "data", "export", spectra, "--task", "toy-drawn", "--fresh", BEACON, "--key", other
    )
    assert code == 2 and "exists; choose another name, or give --force" in output
    code, output = starbench("data", "export", tmp_path / "x.h5", "--fresh", BEACON)
    assert code == 2 and "Give --fresh and --key together" in output
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=100, total=10**9))
    new, key = tmp_path / "new.h5", tmp_path / "new.json"
    code, output = starbench(
        "data", "export", new, "--task", "toy-drawn", "--fresh", BEACON, "--key", key
    )
    assert code == 1 and "free some space, or choose another OUT" in output
    assert not new.exists() and not key.exists()


FORCED = ("--task", "toy-drawn", "--scale", "tiny", "--quiet", "--fresh", BEACON, "--force")


def test_fresh_spectra_do_not_replace_a_folder(tmp_path):
    folder = tmp_path / "thesis"
    folder.mkdir()
    (folder / "chapter.tex").write_text("years of work")
    code, output = starbench("data", "export", folder, *FORCED, "--key", tmp_path / "k.json")
    assert code == 2 and f"{folder} is a folder; give a file another name" in output
    assert (folder / "chapter.tex").exists() and not (tmp_path / "k.json").exists()


def test_a_full_disk_leaves_the_key_of_earlier_spectra(tmp_path, small_disk, monkeypatch):
    _, key = export(tmp_path, "fresh")
    before = key.read_bytes()
    monkeypatch.setattr("starbench.tasks.storage.files.require_disk_space", lambda *_: None)
    (small_disk / "full").write_bytes(bytes(2_070_000))
    code, output = starbench("data", "export", small_disk / "x.h5", *FORCED, "--key", key)
    assert code == 1 and "no room left on the disk" in output
    assert key.read_bytes() == before
    assert [path.name for path in small_disk.iterdir()] == ["full"]


def replace(file, change):
    values = change(file["latent"][()])
    del file["latent"]
    file["latent"] = values


@pytest.mark.parametrize("share", [0.5, 0.998])
def test_intervals_hold_the_difference_of_equal_shares(share):
    """Where failures come in clusters of two pairs, 95 % of intervals must hold 0."""
    draws = np.random.default_rng(3)

    def drawn():
        found = draws.random(500) < share
        rank = np.where(np.repeat(found, 2), 1, 50)
        return Ranks(np.stack([rank, rank], axis=1), np.zeros((1000, 2), int))

    n = 40
    held = sum(confirmations.is_confirmed(confirmations.differences(drawn(), drawn()))
               for _ in range(n))  # fmt: skip
    assert held >= 0.85 * n
