"""`starbench run`, `plot`, `score` and `predict`, with the methods of toy_methods.py."""

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import h5py
import numpy as np
import pytest
from click.testing import CliRunner
from support.waiting import wait_until

from starbench.cli.main import main
from starbench.common import files
from starbench.metrics import network
from starbench.results.schema import read_row
from starbench.runs.run_folder import RunFolder

DEAD = 2**22 + 1  # no process has this number, which is above Linux's greatest

PNG = b"\x89PNG\r\n\x1a\n"


@pytest.fixture(scope="module")
def pairs_file(tmp_path_factory, make_toy_task):
    """A file of pairs in the layout of DESIGN.md."""
    task = make_toy_task()
    path = tmp_path_factory.mktemp("data") / "toy.h5"
    with h5py.File(path, "w") as file:
        file["wavelength"] = task.wavelength
        for name in ("nuisance_names", "nuisance_units", "elements"):
            file.attrs[name] = list(getattr(task, name))
        for split in ("train", "validation", "test"):
            pairs = task.load(split, "full")
            for name in ("flux", "nuisance", "composition"):
                file[f"{split}/{name}"] = getattr(pairs, name)
    return path


@pytest.fixture
def short_probes(monkeypatch):
    monkeypatch.setattr(network, "_MIN_STEPS", 20)
    monkeypatch.setattr(network, "_EPOCHS", 2)


@pytest.fixture
def arguments(pairs_file, toy_file, tmp_path):
    return [
        "run", "--method", f"{toy_file}:Linear", "--data", str(pairs_file),
        "--out", str(tmp_path / "runs"), "--device", "cpu", "--threads", "1",
    ]  # fmt: skip


def invoke(*arguments):
    return CliRunner().invoke(main, without_replaced(arguments))


def without_replaced(arguments):
    """Return arguments as text, less the options of the fixture that a later one replaces."""
    words = [str(each) for each in arguments]
    for name in ("--method", "--data", "--out", "--device", "--threads"):
        while words.count(name) > 1:
            place = words.index(name)
            del words[place : place + 2]
    return words


def only_run(folder):
    (row,) = folder.glob("runs/*/*/*/row.json")
    return RunFolder(row.parent)


def test_a_run_prints_its_row_and_leaves_its_files(arguments, tmp_path, short_probes):
    result = invoke(*arguments)
    assert result.exit_code == 0, result.output
    folder = only_run(tmp_path)
    row = read_row(folder.row)
    assert row.status == "ok"
    assert "toy-linear" in result.output and str(folder.path) in result.output
    share = row.metrics["doppelganger_free"].value
    assert f"{100 * share:.1f}" in result.output
    for name in ("spectra.png", "history.png"):
        assert (folder.figures / name).read_bytes().startswith(PNG)
    assert {path.name for path in folder.path.iterdir()} == {
        ".lock", "row.json", "settings.json", "ranks.h5", "latents.h5", "example.h5",
        "history.csv", "checkpoint.safetensors", "best.safetensors", "figures",
    }  # fmt: skip

    again = invoke(*arguments)
    assert again.exit_code == 0
    assert "This run is finished; --force runs it again" in again.output

    with folder.locked():
        held = invoke(*arguments)
    assert held.exit_code == 75
    assert f"Process {os.getpid()} is working on" in held.stderr


def test_predictions_of_a_numpy_program_are_scored(pairs_file, tmp_path, short_probes):
    pairs, predictions = tmp_path / "pairs.h5", tmp_path / "predictions.h5"
    assert invoke("data", "export", pairs, "--data", pairs_file, "--quiet").exit_code == 0
    example = Path(__file__).parents[3] / "examples" / "numpy_pca.py"
    subprocess.run([sys.executable, example, pairs, predictions], check=True)
    titles = ["--method-name", "numpy-pca", "--label-access", "nuisance", "--reference", "tests"]
    result = invoke("score", predictions, "--data", pairs_file, *titles, "--out", tmp_path / "runs")
    assert result.exit_code == 0, result.output
    figures = read_row(only_run(tmp_path).row).metrics
    assert figures["doppelganger_free"].value > 0.5
    assert figures["reconstruction_mse"].value < figures["swapped_reconstruction_mse"].value < 1e-3
    assert "composition_recovery.ridge.Fe/H" in figures and "nuisance_leakage.ridge.Teff" in figures
    assert not any(".mlp." in name for name in figures), "too few stars"
    assert "are those of ridge regression" in result.output


def test_predictions_of_a_task_of_others_are_not_offered_to_the_leaderboard(tmp_path):
    """Such a task has a full scale, but `leaderboard add` knows only the standard ones."""
    (tmp_path / "mine.py").write_text(
        "from support.toy_task import ToyTask\n\nclass Mine(ToyTask):\n"
        "    def __init__(self, cache=None):\n        super().__init__()\n"
    )
    with h5py.File(tmp_path / "predictions.h5", "w") as file:
        file["latent"] = np.random.default_rng(0).normal(size=(20, 2, 3))
    result = invoke(
        "score", tmp_path / "predictions.h5", "--task", f"{tmp_path / 'mine.py'}:Mine",
        "--method-name", "mine", "--label-access", "none", "--reference", "tests",
        "--out", tmp_path / "runs", "--cache", tmp_path, "--quiet",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    assert "leaderboard add" not in result.output
    assert "Leaderboard  accepts only standard tasks at --scale full" in result.output


def test_predictions_of_a_run_on_own_data_need_the_data(
    arguments, pairs_file, toy_file, tmp_path, short_probes, monkeypatch
):
    assert invoke(*arguments, "--quiet").exit_code == 0
    refused = invoke("predict", only_run(tmp_path).path, tmp_path / "p.h5")
    assert "is a run on your own data; give the same file with --data" in refused.output
    given = ["--data", pairs_file, "--method", f"{toy_file}:Linear", "--quiet"]
    with monkeypatch.context() as patch:
        patch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=100, total=10**9))
        full = invoke("predict", only_run(tmp_path).path, tmp_path / "p.h5", *given)
    assert full.exit_code == 1 and "free some space, or choose another PREDICTIONS" in full.output
    assert not (tmp_path / "p.h5").exists()
    written = invoke("predict", only_run(tmp_path).path, tmp_path / "p.h5", *given)
    assert written.exit_code == 0 and (tmp_path / "p.h5").exists(), written.output


def test_a_run_on_an_export_has_the_metrics_of_its_source(
    arguments, pairs_file, tmp_path, short_probes
):
    """Without the composition of test; all other metrics are identical to the last bit."""
    out = tmp_path / "pairs"
    result = invoke("data", "export", out, "--data", pairs_file, "--withhold-composition")
    assert result.exit_code == 0, result.output
    cache = ["--data", out, "--cache", tmp_path / "cache", "--out", tmp_path / "more", "--quiet"]
    for options in (["--quiet"], cache):
        result = invoke(*arguments, *options)
        assert result.exit_code == 0, result.output
    first, second = (
        read_row(path).metrics for path in sorted(tmp_path.glob("[mr]*/*/*/*/row.json"))[::-1]
    )
    of_composition = ("composition_recovery", "conditional_leakage")
    assert {name: x for name, x in first.items() if not name.startswith(of_composition)} == second
    assert len(second) < len(first)
    wrong = invoke("run", "--method", "composition", *cache)
    assert wrong.exit_code == 2 and "needs the composition of every split" in wrong.stderr


@pytest.mark.parametrize(
    ("names", "units", "n_pixels"),
    [
        (("log(g) [cgs]", "v sin i", "T/K"), ("", "km s^-1", "K"), 40),
        pytest.param(("T",), ("K",), 1, marks=pytest.mark.slow),
        pytest.param(
            ("Teff", "logg", "[Fe/H]", "P", "xi"),
            ("K", "log(cm/s²)", "dex", "%", "Mm/s"),
            25,
            marks=pytest.mark.slow,
        ),
    ],
)
def test_fader_runs_on_own_pairs_with_any_nuisances(names, units, n_pixels, tmp_path, short_probes):
    """Lines of hidden abundances that also answer to the nuisance; no composition."""
    rng = np.random.default_rng(3)
    lines = rng.normal(0, 0.3, (5 + len(names), n_pixels))
    path = tmp_path / "mine.h5"
    with h5py.File(path, "w") as file:
        file["wavelength"] = np.linspace(5000, 5100, n_pixels)
        file.attrs["nuisance_names"], file.attrs["nuisance_units"] = list(names), list(units)
        for split, n in (("train", 60), ("validation", 20), ("test", 20)):
            abundances = np.repeat(rng.normal(size=(n, 1, 5)), 2, axis=1)
            nuisance = rng.uniform(-1, 1, (n, 2, len(names)))
            file[f"{split}/flux"] = np.exp(-np.exp(np.dstack([abundances, nuisance]) @ lines))
            file[f"{split}/nuisance"] = 10.0 ** np.arange(len(names)) * (nuisance + 3)
    result = invoke("run", "--method", "fader", "--data", path, "--set", "epochs=20",
                    "--set", "batch_size=16", "--out", tmp_path / "runs", "--quiet")  # fmt: skip
    assert result.exit_code == 0, result.output
    row = read_row(only_run(tmp_path).row)
    assert row.status == "ok" and row.task == "own-data-mine"
    assert {f"nuisance_leakage.ridge.{name}" for name in names} <= set(row.metrics)
    assert not any("composition" in name for name in row.metrics)
    assert all(np.isfinite(figure.value) for figure in row.metrics.values())


def test_a_run_killed_while_it_drew_a_figure_draws_it_when_repeated(
    arguments, tmp_path, short_probes
):
    invoke(*arguments, "--quiet")
    folder = only_run(tmp_path)
    before = {path.name: path.read_bytes() for path in folder.figures.iterdir()}
    assert not folder.lacks_figures()
    for figure in (folder.spectra_figure, folder.history_figure):
        figure.unlink()
        temporary = files._beside(figure).name.replace(f"-{os.getpid()}-", f"-{DEAD}-")
        (folder.figures / temporary).touch()
        assert folder.lacks_figures()
        assert invoke(*arguments, "--quiet").exit_code == 0
        assert {path.name: path.read_bytes() for path in folder.figures.iterdir()} == before


def test_plot_draws_the_figures_again(arguments, toy_file, tmp_path, short_probes):
    invoke(*arguments, "--quiet")
    folder = only_run(tmp_path)
    before = {path.name: path.read_bytes() for path in folder.figures.iterdir()}
    shutil.rmtree(folder.figures)
    result = invoke("plot", folder.path, "--method", f"{toy_file}:Linear")
    assert result.exit_code == 0, result.output
    assert {path.name: path.read_bytes() for path in folder.figures.iterdir()} == before
    wrong = invoke("plot", tmp_path)
    assert wrong.exit_code == 2 and "row.json" in wrong.output


def test_settings_and_presets_reach_the_row(arguments, tmp_path, short_probes):
    said = ("--outside-data", "APOGEE", "--pretraining", "none", "--code-from", "here")
    result = invoke(*arguments, "--preset", "short", "--set", "latent=3", "--seed", 7, *said)
    assert result.exit_code == 0, result.output
    assert "In the row   outside data: APOGEE; pretraining: none; code: here" in result.output
    row = read_row(only_run(tmp_path).row)
    assert row.hyperparameters["latent"] == 3 and row.hyperparameters["epochs"] == 2
    assert (row.preset, row.overrides, row.seed) == ("short", {"latent": 3}, 7)
    assert (row.declared.outside_data, row.declared.code) == ("APOGEE", "here")


def test_quiet_draws_no_progress(arguments, short_probes):
    loud, quiet = invoke(*arguments, "--seed", 1), invoke(*arguments, "--seed", 2, "--quiet")
    assert "fit toy-linear" in loud.stderr and "score toy-linear" in loud.stderr
    assert quiet.stderr == ""


def test_a_diverged_run_is_reported(arguments, tmp_path):
    result = invoke(*arguments, "--set", "mishap=diverge", "--quiet")
    assert result.exit_code == 1
    assert "The run diverged: the adversary's loss became inf in epoch 3" in result.stderr
    row = read_row(only_run(tmp_path).row)
    assert row.status == "diverged" and not row.metrics


def test_a_method_that_exits_fails_the_run(arguments, tmp_path):
    run = invoke(*arguments, "--set", "mishap=exit")
    assert run.exit_code == 1
    assert "The run failed: SystemExit" in run.stderr
    assert read_row(only_run(tmp_path).row).status == "failed"


def test_a_file_that_exits_is_named(arguments, tmp_path):
    (tmp_path / "quits.py").write_text("raise SystemExit\n")
    result = invoke(*arguments, "--method", f"{tmp_path / 'quits.py'}:Quits")
    assert result.exit_code == 2
    assert "quits.py cannot be loaded: SystemExit()" in result.stderr


@pytest.mark.parametrize(
    ("options", "hints"),
    [
        (["--method", "fadr"], ["no method 'fadr'", "fader"]),
        (["--method", "nowhere.py:Method"], ["no file nowhere.py", "--method"]),
        (["--set", "latnet=3"], ["no hyperparameter 'latnet'", "latent"]),
        (["--set", "latent=many"], ["--set latent", "int", "'many'"]),
        (["--set", "latent=0"], ["--set latent", "between 1 and 64"]),
        (["--set", "latent"], ["--set needs key=value"]),
        (["--set", "latent=2", "--set", "latent=3"], ["--set latent is given twice"]),
        (["--preset", "long"], ["no preset 'long'", "short"]),
        (["--task", "apogee-gaints"], ["--task apogee-gaints"]),
        (["--scale", "mini"], ["--scale mini"]),
        (["--seed", "-1"], ["'--seed'"]),
        (["--seed", "one"], ["'--seed'"]),
        (["--device", "warp-drive"], ["--device warp-drive"]),
        (["--data", "nowhere.h5"], ["nowhere.h5", "--data"]),
    ],
)
def test_a_user_error_is_one_sentence_that_names_the_option(arguments, options, hints, tmp_path):
    result = invoke(*arguments, *options)
    assert result.exit_code == 2, result.output
    *usage, sentence = result.stderr.strip().splitlines()
    assert sentence.startswith("Error: ")
    assert not usage or usage[0].startswith("Usage:")
    for hint in hints:
        assert hint in sentence
    assert not list(tmp_path.glob("runs/*/*/*/row.json"))


def test_an_unknown_task_names_the_nearest_tasks(toy_file, tmp_path):
    result = invoke(
        "run", "--method", f"{toy_file}:Linear", "--task", "apogee-gaints", "--out", tmp_path
    )
    assert result.exit_code == 2
    assert "apogee-giants" in result.stderr and len(result.stderr.splitlines()) == 1


def test_a_broken_file_of_pairs_is_a_user_error(arguments, pairs_file, tmp_path):
    broken = tmp_path / "broken.h5"
    shutil.copy(pairs_file, broken)
    with h5py.File(broken, "a") as file:
        file["test/flux"][3, 1, 7] = float("nan")
    result = invoke(*arguments, "--data", broken)
    assert result.exit_code == 2
    assert "test/flux" in result.stderr and "NaN" in result.stderr and "pair 3" in result.stderr


def test_a_run_on_a_task_of_a_file_is_not_offered_to_the_leaderboard(tmp_path, short_probes):
    (tmp_path / "my_task.py").write_text(
        "from starbench.tasks.example import MyTask as Example\n\n\n"
        "class MyTask(Example):\n"
        "    card = Example.card.derive(base=None, sizes={'full': Example.card.sizes['tiny']})\n"
    )
    result = invoke("run", "--method", "pca", "--task", f"{tmp_path}/my_task.py:MyTask", "--quiet",
                    "--threads", 1, "--device", "cpu", "--out", tmp_path / "runs")  # fmt: skip
    assert result.exit_code == 0, result.output
    assert "my-task, version 1, full scale" in result.output
    assert "accepts only standard tasks at --scale full" in result.output


# ------------------------------------------------------------------- real processes


SHORT = """
import signal, sys
from starbench.cli.main import main
from starbench.metrics import network

signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored by what a shell starts with &
network._MIN_STEPS, network._EPOCHS = 20, 2
main(sys.argv[1:])
"""


def command(arguments, *more):
    return [sys.executable, "-c", SHORT, *without_replaced([*arguments, *more])]


def run_folder_of(tmp_path, process):
    """Wait until a run has written its first checkpoint, and return its folder."""

    def checkpoints():
        assert process.poll() is None, f"it ended: {process.communicate(timeout=30)}"
        return list(tmp_path.glob("runs/*/*/*/checkpoint.safetensors"))

    return RunFolder(wait_until(checkpoints)[0].parent)


SLOW = ["--set", "epochs=10", "--set", "pause=0.1", "--quiet"]


@pytest.fixture(scope="module")
def uninterrupted(pairs_file, toy_file, tmp_path_factory):
    """The row of a run with the settings `SLOW`."""
    folder = tmp_path_factory.mktemp("uninterrupted")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(network, "_MIN_STEPS", 20)
        patch.setattr(network, "_EPOCHS", 2)
        result = invoke("run", "--method", f"{toy_file}:Linear", "--data", pairs_file, "--out",
                        folder / "runs", "--device", "cpu", "--threads", "1", *SLOW)  # fmt: skip
    assert result.exit_code == 0, result.output
    return json.loads(only_run(folder).row.read_text())


@pytest.mark.parametrize(
    "end",
    [
        signal.SIGKILL,
        signal.SIGINT,
        pytest.param(signal.SIGTERM, marks=pytest.mark.slow),
        pytest.param(signal.SIGUSR1, marks=pytest.mark.slow),
    ],
    ids=lambda end: end.name,
)
def test_an_interrupted_run_ends_like_an_uninterrupted_one(
    arguments, tmp_path, short_probes, uninterrupted, end
):
    process = subprocess.Popen(
        command(arguments, *SLOW), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    folder = run_folder_of(tmp_path, process)
    process.send_signal(end)
    _, said = process.communicate(timeout=30)
    assert not folder.row.exists()
    if end == signal.SIGINT:
        assert process.returncode == 130
        assert said == "Error: Stopped; the same command continues from the last checkpoint.\n"
    elif end in (signal.SIGTERM, signal.SIGUSR1):
        assert process.returncode == 128 + end
        assert said == f"Stopped by {end.name}; the same command continues the run.\n"
    else:
        assert process.returncode == -signal.SIGKILL

    continued = invoke(*arguments, *SLOW[:-1])
    assert continued.exit_code == 0, continued.output
    assert "continuing after epoch" in continued.stdout
    row = json.loads(only_run(tmp_path).row.read_text())
    same = ("metrics", "validation_metrics", "ranks_sha256", "selection", "diagnostics", "epochs")
    assert {key: row[key] for key in same} == {key: uninterrupted[key] for key in same}
    assert row["epochs"] == 10


@pytest.mark.parametrize(
    ("limit", "method", "lacking"),
    [
        pytest.param(200, "Linear", "settings.json", marks=pytest.mark.slow),
        (2_000, "Linear", "checkpoint.safetensors"),
        pytest.param(3_000, "Blind", "latents.h5", marks=pytest.mark.slow),
    ],
)
def test_a_full_disk_leaves_no_half_written_file(
    arguments, toy_file, tmp_path, short_probes, limit, method, lacking
):
    arguments = [*arguments, "--method", f"{toy_file}:{method}"]
    # A limit on the size of any file stands for the full disk: the same error from the same call.
    script = (
        "import resource, sys\n"
        f"resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, {limit}))\n"
        "from starbench.cli.main import main\n"
        "main(sys.argv[1:])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, *without_replaced(arguments), "--quiet"],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1, done.stderr
    sentence = done.stderr.splitlines()[-1]
    assert sentence.startswith("Error: ") and "File too large" in sentence
    assert str(tmp_path / "runs") in sentence and "Traceback" not in done.stderr
    left = {path.name for path in (tmp_path / "runs").rglob("*") if path.is_file()}
    assert lacking not in left and "row.json" not in left
    assert not [name for name in left if "tmp" in name]
    again = invoke(*arguments)  # once there is room again
    assert again.exit_code == 0, again.output


@pytest.mark.parametrize(
    "repeated",
    [
        ("--method", "pca"),
        ("--task", "apogee-giants-snr50"),
        ("--scale", "mini"),
        ("--seed", 2),
        ("--preset", "short"),
        ("--out", "elsewhere"),
    ],
)
def test_an_option_given_twice_is_refused(repeated):
    once = ["run", "--method", "pca", "--task", "apogee-giants", "--scale", "tiny", "--seed", "1",
            "--preset", "other", "--out", "runs"]  # fmt: skip
    result = CliRunner().invoke(main, [*once, *map(str, repeated)])
    assert result.exit_code == 2
    assert result.stderr.endswith(f"Error: {repeated[0]} is given twice; give it once.\n")


def test_settings_and_flags_may_be_repeated(arguments, tmp_path, short_probes):
    more = ["--set", "latent=3", "--set", "epochs=4", "--quiet", "--quiet"]
    result = invoke(*arguments, *more)
    assert result.exit_code == 0, result.output
    assert read_row(only_run(tmp_path).row).overrides == {"latent": 3, "epochs": 4}


@pytest.mark.parametrize(
    "backend",
    [pytest.param("module://matplotlib_inline.backend_inline", marks=pytest.mark.slow), "nonsense"],
)
def test_a_run_draws_its_figures_whatever_backend_a_notebook_hands_down(
    arguments, tmp_path, backend
):
    done = subprocess.run(
        command(arguments, "--set", "epochs=2", "--quiet"),
        env={**os.environ, "MPLBACKEND": backend},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert (only_run(tmp_path).figures / "spectra.png").read_bytes().startswith(PNG)
