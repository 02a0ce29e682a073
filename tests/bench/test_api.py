"""The public functions, as a notebook uses them."""

import subprocess
import sys

import numpy as np
import pytest
import torch
from support.surveys import write_survey

import starbench as sb
from starbench import api
from starbench.common.settings import SettingError
from starbench.metrics import network, sibling_ranks, twin_ranks
from starbench.runs.restore import restore
from starbench.runs.run_folder import RunFolder
from starbench.tasks.errors import DataError


@pytest.fixture(autouse=True)
def short_probes(monkeypatch):
    monkeypatch.setattr(network, "_MIN_STEPS", 20)
    monkeypatch.setattr(network, "_EPOCHS", 2)


@pytest.fixture
def result(toy_task, toy_file, tmp_path):
    return sb.run(
        f"{toy_file}:Linear", toy_task, settings={"latent": 3}, out=tmp_path, device="cpu",
        threads=1, quiet=True,
    )  # fmt: skip


def python(script, *options):
    done = subprocess.run(
        [sys.executable, *options, "-c", script], capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def test_importing_starbench_imports_nothing_heavy():
    heavy = {"torch", "numpy", "pandas", "click", "pydantic", "matplotlib", "tqdm", "starbench.api"}
    script = f"import sys, starbench; print(sorted({heavy} & set(sys.modules)))"
    assert python(script) == "[]"


def test_importing_starbench_decides_how_the_threads_of_torch_wait(monkeypatch):
    for name in ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME"):
        monkeypatch.delenv(name, raising=False)
    assert python("import os, starbench; print(os.environ['GOMP_SPINCOUNT'])") == "10000"


def test_ranking_imports_no_torch():
    script = "import sys, starbench as sb; sb.twin_ranks([[0.0], [1.0]]); print(*sys.modules)"
    assert "torch" not in python(script).split()


def test_the_public_names_are_those_of_the_api():
    assert set(sb.__all__) == {*api.__all__, "__version__"}
    assert all(getattr(sb, name) is getattr(api, name) for name in api.__all__)
    assert dir(sb) == sb.__all__
    assert all(getattr(api, name).__doc__ for name in api.__all__)
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        sb.nonsense  # noqa: B018


def test_a_run_has_its_row_and_its_files_as_tables_arrays_and_figures(result):
    assert result.fresh and result.row.status == "ok"
    assert result.row.overrides == {"latent": 3}
    assert result.folder.joinpath("row.json").exists()
    value = result.metrics.loc["doppelganger_free", "value"]
    assert value == (result.ranks == 1).mean() == result.row.metrics["doppelganger_free"].value
    assert result.metrics.index[0] == "doppelganger_free"
    assert list(result.history.index) == list(range(1, 13))
    assert "reconstruction_mse" in result.history
    assert result.swap_figure().axes
    assert (result.folder / "figures" / "spectra.png").exists()
    assert f"the twin is nearest for {value:.1%}" in repr(result)


def test_a_finished_run_is_returned_at_once(result, toy_task, toy_file):
    out = result.folder.parents[2]
    again = sb.run(f"{toy_file}:Linear", toy_task, settings={"latent": 3}, out=out, device="cpu",
                   threads=1, quiet=True)  # fmt: skip
    assert not again.fresh and again.row == result.row


def test_a_method_without_epochs_or_decoder_has_neither_history_nor_swap_figure(toy_task, tmp_path):
    result = sb.run("random-latent", toy_task, out=tmp_path, device="cpu", quiet=True)
    assert result.history.empty
    with pytest.raises(ValueError, match="random-latent has no decoder"):
        result.swap_figure()


def test_a_run_that_diverges_warns_and_is_returned(toy_task, toy_file, tmp_path):
    with pytest.warns(UserWarning, match="The run diverged: the adversary's loss became inf"):
        result = sb.run(f"{toy_file}:Linear", toy_task, settings={"mishap": "diverge"},
                        out=tmp_path, device="cpu", quiet=True)  # fmt: skip
    assert result.row.status == "diverged" and result.metrics.empty
    assert "diverged: the adversary's loss" in repr(result)


def test_a_class_defined_in_a_notebook_is_run_again_each_time(tmp_path):
    """It has no source file that would tell a changed class from the first one."""
    script = f"""
import numpy as np
import starbench as sb
from starbench.methods.controls.trivial import RandomLatent

class MyMethod(RandomLatent):
    name = "my-method"
    control = False

for _ in range(2):
    print(sb.run(MyMethod, scale="tiny", out={str(tmp_path)!r}, quiet=True).fresh)

from starbench.tasks import example

class MyTask(example.MyTask):
    pass

for _ in range(2):
    print(sb.run("random-latent", MyTask(), "tiny", out={str(tmp_path)!r}, quiet=True).fresh)
"""
    assert python(script).split() == ["True"] * 4


def test_a_class_that_is_no_method_is_refused():
    with pytest.raises(SettingError, match="is not a subclass of"):
        sb.load_method(int)
    assert sb.load_method(sb.load_method("pca")).name == "pca"


def test_user_errors_are_raised_as_such(toy_task):
    with pytest.raises(SettingError, match="no method 'fadr'"):
        sb.run("fadr")
    with pytest.raises(SettingError, match="--set latent must be between 1 and"):
        sb.run("pca", toy_task, settings={"latent": 0})
    with pytest.raises(DataError, match="apogee-giants"):
        sb.load_task("apogee-gaints")


def test_arguments_of_another_kind_are_refused_in_one_sentence(toy_task):
    with pytest.raises(SettingError, match="method is 3; give a name"):
        sb.run(3, toy_task)
    with pytest.raises(DataError, match=r"PATH\.py:CLASS. or a Task, not a class"):
        sb.run("pca", type(toy_task))
    with pytest.raises(DataError, match=r"Give either task \S+ or data my\.h5, not both"):
        sb.run("pca", toy_task, data="my.h5")
    with pytest.raises(SettingError, match="give a dictionary such as"):
        sb.run("pca", toy_task, settings=["latent=3"])
    with pytest.raises(SettingError, match="seed is '0'; give an integer"):
        sb.run("pca", toy_task, seed="0")
    for threads in (0, -1, 1.5, "2"):
        with pytest.raises(SettingError, match=f"threads is {threads!r}; give an integer of at"):
            sb.run("pca", toy_task, threads=threads)
    with pytest.raises(SettingError, match="threads: 100000 is too many for the"):
        sb.run("pca", toy_task, threads=100_000)
    with pytest.raises(ValueError, match="n_threads: 100000 is too many for the"):
        sb.twin_ranks(np.zeros((4, 2, 3)), n_threads=100_000)
    for threads in (0, -1, 1.5, "2", True, float("nan")):
        with pytest.raises(ValueError, match=f"n_threads is {threads!r}; give an integer of at"):
            sb.twin_ranks([[0.0], [1.0]], n_threads=threads)
    with pytest.raises(ValueError, match=r"there is no split \['test'\]; choose one of"):
        sb.score(np.zeros((20, 2, 3)), toy_task, ["test"])
    with pytest.raises(DataError, match=r"There is no suite \['giants-v1'\]; choose one of"):
        sb.suite(["giants-v1"])


def test_what_is_no_array_is_refused_by_its_name(toy_task):
    tensor = torch.zeros(40, 3)
    for values, fault in (
        ([[1.0, 2.0], [3.0]], "setting an array element"),
        (tensor.requires_grad_(), "Can't call numpy"),
        (tensor.detach().bfloat16(), "Got unsupported ScalarType BFloat16"),
    ):
        for call in (
            lambda values=values: sb.twin_ranks(values),
            lambda values=values: sb.score(values, toy_task),
            lambda values=values: sb.sibling_ranks(values, np.arange(40) // 2),
        ):
            with pytest.raises(ValueError, match=f"^latent is no array of real numbers: {fault}"):
                call()
    with pytest.raises(ValueError, match="with n_stars and d at least 1, not"):
        sb.sibling_ranks(np.zeros((4, 0)), [1, 1, 2, 2])


@pytest.mark.parametrize("seed", [2**70, None, 1.5, True])
def test_seeds_that_are_none_are_refused(toy_task, seed):
    with pytest.raises(SettingError, match=r"^seed is .*; give an integer"):
        sb.run("pca", toy_task, seed=seed)


@pytest.mark.parametrize("device", ["meta", "hpu", "cpu:99"])
def test_devices_that_cannot_rank_are_refused(device):
    with pytest.raises(SettingError, match=f"--device {device} is not available; choose auto, cpu"):
        sb.twin_ranks([[0.0], [1.0], [4.0], [6.0]], device=device)


def test_a_device_may_be_one_of_torch(toy_task, tmp_path):
    device = torch.device("cpu")
    result = sb.run("pca", toy_task, out=tmp_path, device=device, threads=1, quiet=True)
    assert (result.row.status, result.row.hardware.device) == ("ok", "cpu")
    assert sb.twin_ranks([[0.0], [1.0]], device=device).rank.tolist() == [[1, 1]]


@pytest.mark.parametrize(
    ("option", "sentence"),
    [
        ({"snr": 50}, "snr is for data; the task toy states its own."),
        ({"max_dropped": 0.2}, "max_dropped is for data; the task toy states its own."),
        ({"cache": "here"}, "cache is for a task by name; make the task toy with its cache, and"),
        ({"data": "my.h5"}, "Give either task toy or data my.h5, not both."),
    ],
)
def test_what_does_not_apply_to_a_task_is_refused(toy_task, option, sentence):
    for function in (sb.load_task, lambda task, **options: sb.run("pca", task, **options)):
        with pytest.raises(DataError) as caught:
            function(toy_task, **option)
        assert str(caught.value).startswith(sentence)


def test_a_task_without_a_card_is_refused(toy_task):
    del toy_task.card
    with pytest.raises(DataError, match="does not set `card` to a starbench"):
        sb.load_task(toy_task)


def test_a_seed_of_numpy_is_a_seed(toy_task, tmp_path):
    result = sb.run("pca", toy_task, seed=np.int64(2), out=tmp_path, threads=1, quiet=True)
    assert (result.row.status, result.row.seed) == ("ok", 2)


def test_figures_are_drawn_whatever_backend_the_environment_names(monkeypatch):
    monkeypatch.setenv("MPLBACKEND", "nonsense")
    script = (
        "from starbench.common.drawing import import_matplotlib; import_matplotlib(); "
        "import starbench.runs.plots"
    )
    python(script)
    monkeypatch.setenv("MPLBACKEND", "svg")
    assert python(f"{script}, matplotlib; print(matplotlib.get_backend())") == "svg"


def test_own_pairs_are_found_in_the_home_folder(pairs_file, monkeypatch):
    path = pairs_file()
    monkeypatch.setenv("HOME", str(path.parent))
    assert sb.load_task(data=f"~/{path.name}").name == sb.load_task(data=path).name


def test_own_pairs_are_loaded_as_a_task(pairs_file):
    task = sb.load_task(data=pairs_file())
    assert task.load("test", task.default_scale).flux.shape == (4, 2, 12)
    assert sb.load_task(task) is task


@pytest.mark.parametrize("shape", [(20, 2, 3), (40, 3)])
def test_latents_are_taken_in_two_shapes(toy_task, shape):
    latent = np.random.default_rng(0).normal(size=(20, 2, 3))
    ranks = sb.twin_ranks(latent.reshape(shape))
    assert ranks.rank.shape == (20, 2)
    table = sb.score(latent.reshape(shape), toy_task)
    assert table.loc["doppelganger_free", "value"] == (ranks.rank == 1).mean()
    assert not any("leakage" in name or "mse" in name for name in table.index)


def test_score_gives_the_metrics_of_a_run(result, toy_task, toy_file):
    method, _ = restore(RunFolder(result.folder), sb.load_method(f"{toy_file}:Linear"))

    def flat(array):
        return array.reshape(-1, array.shape[2])

    train, test = (toy_task.load(split, "full") for split in ("train", "test"))
    latent = method.encode(flat(test.flux), flat(test.nuisance))
    twins = latent.reshape(20, 2, -1)[:, ::-1].reshape(40, -1)
    plain, swapped = (
        method.decode(z, flat(test.nuisance)).reshape(test.flux.shape) for z in (latent, twins)
    )
    table = sb.score(
        latent,
        toy_task,
        train_latent=method.encode(flat(train.flux), flat(train.nuisance)),
        reconstruction=plain,
        swapped_reconstruction=swapped,
    )
    assert list(table.index) == list(result.metrics.index)
    np.testing.assert_allclose(table.value, result.metrics.value, rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"latent": np.zeros((19, 2, 3))}, r"latent has shape \[19, 2, 3\]; split test"),
        ({"split": "dev"}, "there is no split 'dev'; choose one of train"),
        ({"train_latent": np.zeros((40, 2, 4))}, "train_latent has 4 dimensions and latent 3"),
        ({"reconstruction": np.zeros((20, 2, 60))}, "give both reconstruction and"),
        (
            {
                "reconstruction": np.zeros((20, 2, 60)),
                "swapped_reconstruction": np.zeros((20, 2, 59)),
            },
            r"swapped_reconstruction has shape \[20, 2, 59\]; it needs \[20, 2, 60\]",
        ),
    ],
)
def test_arrays_of_other_shapes_are_refused(toy_task, arguments, message):
    with pytest.raises(ValueError, match=message):
        sb.score(**{"latent": np.zeros((20, 2, 3)), "task": toy_task, **arguments})


MASKED = np.ma.masked_equal(np.arange(120.0).reshape(20, 2, 3), 3)


@pytest.mark.parametrize(
    ("values", "fault"),
    [
        (np.zeros((20, 2, 3)) + 1j, " holds complex128; give real numbers"),
        (MASKED, " is a masked array; fill it"),
        ([*MASKED], " is a masked array; fill it"),
        (np.zeros((20, 2, 3)).astype(object), " holds object; give real numbers"),
        (np.zeros((20, 2, 3)).astype(str), " holds <U32; give real numbers"),
    ],
    ids=["complex", "masked", "list of masked", "object", "text"],
)
def test_what_would_be_dropped_of_arrays_is_refused(toy_task, tmp_path, values, fault):
    good, group = np.zeros((20, 2, 3)), np.arange(40) // 2
    survey, shape = sb.load_task(data=write_survey(tmp_path / "survey.h5")), (20, 2, 60)
    flat = [*MASKED.reshape(40, 3)] if isinstance(values, list) else values.reshape(40, 3)
    calls = {
        "latent": [
            lambda: sb.twin_ranks(values, quiet=True),
            lambda: sb.score(values, toy_task, quiet=True),
            lambda: sb.score(flat, survey, quiet=True),
            lambda: sb.sibling_ranks(flat, group, quiet=True),
            lambda: twin_ranks(values),
            lambda: sibling_ranks(flat, group),
        ],
        "train_latent": [lambda: sb.score(good, toy_task, train_latent=values, quiet=True)],
        "reconstruction": [
            lambda: sb.score(
                good, toy_task, reconstruction=values, swapped_reconstruction=np.zeros(shape)
            )
        ],
        "swapped_reconstruction": [
            lambda: sb.score(
                good, toy_task, reconstruction=np.zeros(shape), swapped_reconstruction=values
            )
        ],
        "group": [lambda: sb.sibling_ranks(np.zeros((40, 3)), flat)],
    }
    for name, refused in calls.items():
        for call in refused:
            with pytest.raises(ValueError, match=f"^{name}{fault}"):
                call()


@pytest.mark.parametrize("kind", ["f2", "f4", "f8", "i4", "u1", "i8"])
def test_real_numbers_of_any_type_are_ranked(kind):
    latent = np.random.default_rng(0).integers(0, 9, (20, 2, 3))
    expected = sb.twin_ranks(latent.astype(np.float32)).rank
    assert np.array_equal(sb.twin_ranks(latent.astype(kind)).rank, expected)
    assert np.array_equal(sb.twin_ranks(latent.tolist()).rank, expected)


def test_the_shipped_rows_are_a_table():
    rows = sb.rows()
    assert {"fader", "pca"} <= set(rows["method"])
    assert rows["doppelganger_free"].between(0, 1).sum() > 50


def test_the_suite_is_a_table_that_ends_with_the_bound():
    suite = sb.suite()
    assert suite.iloc[-1].method == "information-bound"
    line = suite[suite.method == "polynomial-residual"].iloc[0]
    assert line["apogee-giants"] == pytest.approx(0.57188)
    assert line["apogee-giants-snr50.gap_closed"] == pytest.approx(0.1154 / 0.8891, abs=1e-3)


def test_a_survey_is_scored_from_arrays(tmp_path):
    path = write_survey(tmp_path / "survey.h5")
    task = sb.load_task(data=path)
    stars = task.load("test", "own")
    metrics = sb.score(
        stars.composition, data=path, train_latent=task.load("train", "own").composition
    )
    assert metrics.loc["doppelganger_free", "value"] == 1
    assert metrics.loc["alike_field_pairs", "value"] == 0
    assert "nuisance_leakage.ridge.Teff" in metrics.index
    ranks = sb.sibling_ranks(stars.composition, stars.group, quiet=True)
    assert (ranks.rank == 1).all() and len(ranks.rank) == 8
    with pytest.raises(ValueError, match=r"split test at scale own needs \[30, d\]"):
        sb.score(stars.composition[:-1], task)
    again = sb.score(stars.composition[:, None], task)  # as in the latents.h5 of a run
    assert again.loc["doppelganger_free", "value"] == 1
    with pytest.raises(ValueError, match="reconstructions of a survey are not scored"):
        flux = stars.flux[:, 0]
        sb.score(stars.composition, task, reconstruction=flux, swapped_reconstruction=flux)
