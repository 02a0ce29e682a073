import os
import re
import signal
import subprocess
import sys
from types import SimpleNamespace

import h5py
import numpy as np
import pytest
import torch

from starbench.common import checkpoint, provenance
from starbench.common.signals import Terminated
from starbench.methods.base import SettingError
from starbench.metrics import network
from starbench.results.history import MEASURE, read_history
from starbench.results.ranks import ranks_digest, read_ranks
from starbench.results.schema import read_row
from starbench.runs import fitting, runner
from starbench.runs.fitting import measures_after
from starbench.runs.load import MachineLoad
from starbench.runs.run_folder import RunFolder, RunFolderBusy


@pytest.fixture
def run(toy_task, linear, tmp_path, monkeypatch):
    """Run the small method on the toy task; settings by keyword."""
    monkeypatch.setattr(network, "_MIN_STEPS", 20)  # their figures are other tests' business
    monkeypatch.setattr(network, "_EPOCHS", 2)

    def run(
        out=tmp_path, method=linear, force=False, seed=0, task=toy_task, threads=None, **settings
    ):
        hyperparameters = method.Hyperparameters(**settings)
        return runner.run(
            task, method, hyperparameters, seed=seed, scale="tiny", device="cpu", threads=threads,
            out=out, force=force, quiet=True,
        )  # fmt: skip

    return run


def figures_of(row):
    return row.metrics, row.validation_metrics, row.ranks_sha256, row.selection


def test_a_run_leaves_a_row_and_its_files(run):
    row, folder, fresh = run()
    assert fresh and row.status == "ok"
    assert row == read_row(folder.row)
    assert folder.path.parts[-3:-1] == ("toy", "toy-linear")
    ranks = read_ranks(folder.ranks)
    assert ranks_digest(ranks.rank) == row.ranks_sha256
    assert row.metrics["doppelganger_free"].value == (ranks.rank == 1).mean()
    assert row.metrics["reconstruction_mse"].value < row.metrics["swap_gap"].value
    assert "composition_recovery.ridge.Fe/H" in row.metrics
    assert not any("recovery" in name for name in row.validation_metrics)
    with h5py.File(folder.latents) as file:
        assert file["latent"].shape == (20, 2, 6)
    assert [line["epoch"] for line in read_history(folder.history)] == list(range(1, 13))
    assert row.diagnostics == {
        "adversary_cross_entropy": pytest.approx(4.0 + 0.01 * row.selection.epoch),
        "chance_cross_entropy": 4.6,
    }
    assert row.n_parameters == 6 * 60 + 3 * 60
    assert row.seconds["total"] >= row.seconds["fit"] > 0
    assert row.peak_memory_mb > 50
    assert row.load.runs_at_once >= 1 and row.kernels > 0
    assert not [path for path in folder.path.rglob("*") if "tmp" in path.name]


def test_the_example_is_the_test_star_of_median_swapped_error(run, toy_task):
    row, folder, _ = run()
    truth = toy_task.load("test", "tiny")
    with h5py.File(folder.example) as file:
        pair, half = file.attrs["pair"], file.attrs["half"]
        assert np.array_equal(file["flux"], truth.flux[pair, half])
        assert np.array_equal(file.attrs["twin_nuisance"], truth.nuisance[pair, 1 - half])
        swapped_mse = ((file["swapped_reconstruction"][()] - file["flux"][()]) ** 2).mean()
    assert 0.1 < swapped_mse / row.metrics["swapped_reconstruction_mse"].value < 2


def test_a_method_without_a_decoder_has_no_reconstruction_figures(run, blind):
    row, folder, _ = run(method=blind)
    assert row.status == "ok"
    assert not any("mse" in name for name in row.metrics)
    assert row.selection.epoch is None and row.epochs == 0
    assert not folder.example.exists()


def test_a_finished_run_is_returned_and_force_runs_it_again(run):
    first = run()
    again = run()
    assert not again.fresh and again.row == first.row
    forced = run(force=True)
    assert forced.fresh and figures_of(forced.row) == figures_of(first.row)


def test_other_settings_go_to_other_folders(run, toy_task):
    paths = {run().folder.path, run(latent=5).folder.path, run(seed=1).folder.path}
    other_data = type(toy_task)(n_pairs=(40, 30, 20))
    other_data.fingerprint = lambda scale: "toy-data-2"
    paths.add(run(task=other_data).folder.path)
    assert len(paths) == 4


@pytest.mark.parametrize(
    ("mishap", "status", "message"),
    [
        ("diverge", "diverged", "the adversary's loss became inf in epoch 3"),
        ("nan", "diverged", "reconstruction_mse became nan in epoch 3"),
        ("error", "failed", r"ZeroDivisionError: no weight is left \(toy_methods.py:\d+\)$"),
        (
            "library",
            "failed",
            r"LinAlgError: Singular matrix \(toy_methods.py:\d+, raised at _?linalg.py:\d+\)$",
        ),
        ("exit", "failed", r"SystemExit \(toy_methods.py:\d+\)$"),
        (
            "shape",
            "failed",
            r"encode of toy-linear must return \[60, n_latent\], but returned \[60\]\.",
        ),
        (
            "arrays",
            "failed",
            r"state\(\) of toy-linear must map names to torch tensors, but its entry 'components' "
            r"is of type numpy\.ndarray; give torch\.from_numpy of it\.",
        ),
    ],
)
def test_a_failed_fit_makes_a_row_with_its_message(run, mishap, status, message):
    row, folder, _ = run(mishap=mishap)
    assert row.status == status
    assert re.match(message, row.message)
    assert row.metrics == {} and row.ranks_sha256 is None
    assert read_row(folder.row) == row
    # What diverged would diverge again; what failed may have failed for want of memory.
    assert run(mishap=mishap).fresh == (status == "failed")


class Killed(BaseException):
    """Stands for the end of the process."""


@pytest.mark.parametrize("epoch", [1, 4, 9, 12])
@pytest.mark.parametrize("mishap", ["none", "decline"])
def test_an_interrupted_fit_ends_like_an_uninterrupted_one(
    run, monkeypatch, tmp_path, epoch, mishap
):
    undisturbed = run(out=tmp_path / "a", mishap=mishap)
    report = fitting.Fit.epoch

    def interrupted(self, method, number, values):
        self._load.runs_at_once = 1000
        report(self, method, number, values)
        if number == epoch:
            raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(fitting.Fit, "epoch", interrupted)
        patch.setattr(fitting, "_SECONDS_BETWEEN_CHECKPOINTS", 0.0)
        patch.setattr(fitting, "_CHECKPOINT_SHARE", 1e9)
        with pytest.raises(Killed):
            run(out=tmp_path / "b", mishap=mishap)
    started = []
    start = fitting.Fit.start
    monkeypatch.setattr(
        fitting.Fit, "start", lambda self, *a: (started.append(self.epoch_done), start(self, *a))
    )
    continued = run(out=tmp_path / "b", mishap=mishap)
    assert started == [epoch]  # from the checkpoint, not from the beginning
    assert figures_of(continued.row) == figures_of(undisturbed.row)
    assert continued.row.load.runs_at_once == 1000
    for name in ("history", "latents", "ranks"):
        one, other = (getattr(each.folder, name).read_bytes() for each in (continued, undisturbed))
        assert one == other, name


@pytest.mark.parametrize("place", ["within an epoch", "while an epoch is recorded"])
def test_a_signal_of_a_batch_system_leaves_a_checkpoint_of_the_newest_epoch(
    run, monkeypatch, tmp_path, capsys, place
):
    undisturbed = run(out=tmp_path / "a")
    record, report = fitting.Fit._record, fitting.Fit.epoch

    def interrupted(self, method, number, values):
        if number == 5 and place == "within an epoch":
            os.kill(os.getpid(), signal.SIGTERM)
        report(self, method, number, values)

    def interrupted_record(self, method, number, values):
        if number == 4 and place != "within an epoch":
            os.kill(os.getpid(), signal.SIGTERM)
        record(self, method, number, values)

    with monkeypatch.context() as patch:
        patch.setattr(fitting.Fit, "epoch", interrupted)
        patch.setattr(fitting.Fit, "_record", interrupted_record)
        with pytest.raises(Terminated) as end:
            run(out=tmp_path / "b")
    assert end.value.code == 143 and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    said = capsys.readouterr().err
    assert said == "Stopped by SIGTERM; the same command continues the run.\n"
    (path,) = (tmp_path / "b").rglob("checkpoint.safetensors")
    assert checkpoint.load(path)[1]["epoch"] == 4
    assert figures_of(run(out=tmp_path / "b").row) == figures_of(undisturbed.row)


@pytest.mark.parametrize(
    ("later", "threads", "dirty", "words"),
    [
        (("a" * 40, False), 1, False, None),
        (("b" * 40, False), 1, True, "made in parts: aaaaaaaaaa on 1 thread, then bbbbbbbbbb on 1"),
        (("a" * 40, True), 1, True, "then aaaaaaaaaa (changed) on 1 thread"),
        (("a" * 40, False), 2, False, "aaaaaaaaaa on 1 thread, then aaaaaaaaaa on 2 threads"),
    ],
)
def test_a_row_says_that_several_processes_made_it(run, monkeypatch, later, threads, dirty, words):
    report = fitting.Fit.epoch

    def interrupted(self, method, number, values):
        report(self, method, number, values)
        raise Killed

    monkeypatch.setattr(provenance, "checkout", lambda: ("a" * 40, False))
    monkeypatch.setattr(fitting, "_CHECKPOINT_SHARE", 1e9)
    with monkeypatch.context() as patch:
        patch.setattr(fitting.Fit, "epoch", interrupted)
        with pytest.raises(Killed):
            run(threads=1)
    monkeypatch.setattr(provenance, "checkout", lambda: later)
    row = run(threads=threads).row
    assert row.dirty is dirty
    message = row.message or ""
    assert ("in parts" not in message) if words is None else (words in message)
    assert row.status == "ok" and row.commit == later[0]


def test_a_run_killed_between_its_two_state_files_continues(run, monkeypatch, tmp_path):
    undisturbed = run(out=tmp_path / "a", mishap="decline")
    copy = fitting._copy

    def killed(source, target):
        if (
            undisturbed.row.selection.epoch
            == read_history(source.with_name("history.csv"))[-1]["epoch"]
        ):
            raise Killed
        copy(source, target)

    with monkeypatch.context() as patch:
        patch.setattr(fitting, "_copy", killed)
        with pytest.raises(Killed):
            run(out=tmp_path / "b", mishap="decline")
    assert figures_of(run(out=tmp_path / "b", mishap="decline").row) == figures_of(undisturbed.row)


def test_a_run_without_epochs_that_is_killed_between_its_two_state_files_continues(
    run, monkeypatch, tmp_path, blind
):
    undisturbed = run(out=tmp_path / "a", method=blind)
    copy = fitting._copy

    def killed(source, target):
        raise Killed

    monkeypatch.setattr(fitting, "_copy", killed)
    with pytest.raises(Killed):
        run(out=tmp_path / "b", method=blind)
    monkeypatch.setattr(fitting, "_copy", copy)
    continued = run(out=tmp_path / "b", method=blind)
    assert figures_of(continued.row) == figures_of(undisturbed.row)
    assert continued.folder.best.exists()


def test_of_states_within_a_standard_error_the_latest_is_selected(tmp_path):
    def chosen(*shares):
        pairs = SimpleNamespace(order=np.arange(5000), labels=SimpleNamespace(group=None))
        fit = fitting.Fit(None, "", pairs, quiet=True, worker=None, load=MachineLoad())
        for fit.epoch_done, share in enumerate(shares, 1):
            fit._note_share(share)
        return fit.best_epoch

    # 2,500 pairs: one standard error is 0.008 at a share of 0.8
    assert chosen(0.5, 0.8, 0.793) == 3
    assert chosen(0.5, 0.8, 0.791) == 2
    assert chosen(0.5, 0.8, 0.793, 0.786) == 3  # against the highest, not against the last
    assert chosen(0.0, 0.0) == 2
    assert chosen(1.0, 1.0, 0.9999) == 2


def test_the_best_measured_state_is_scored(run):
    declined = run(mishap="decline").row
    assert declined.selection.epoch <= 8
    stopped = run(epochs=8).row
    assert figures_of(declined)[:3] == figures_of(stopped)[:3]


def test_selection_measures_some_fifteen_times_over_the_whole_fit():
    for epochs in (2, 16, 40, 60, 100, 1000):
        measured = [epoch for epoch in range(1, epochs + 1) if measures_after(epoch, epochs)]
        assert all(0 < epoch < epochs for epoch in measured)
        assert len(measured) <= 15
        if epochs >= 16:
            assert len(measured) >= 12
            assert measured[0] <= 0.1 * epochs and measured[-1] >= 0.9 * epochs
    assert not measures_after(1, 1)


@pytest.mark.parametrize("size", [0, 700])
def test_a_cut_row_is_named_and_the_run_is_finished_again(run, size, capsys):
    first = run()
    first.folder.row.write_bytes(first.folder.row.read_bytes()[:size])
    again = run()
    assert again.fresh and figures_of(again.row) == figures_of(first.row)
    assert read_row(first.folder.row) == again.row
    said = capsys.readouterr().out.strip()
    assert str(first.folder.row) in said and said.endswith("the run counts as unfinished.")


@pytest.mark.parametrize(
    "damage", ["truncated", "garbage", "one bit", "other tensors", "no history"]
)
def test_a_damaged_checkpoint_is_named_and_the_fit_starts_over(run, damage, capsys):
    first = run()
    folder = first.folder
    folder.row.unlink()
    content = folder.checkpoint.read_bytes()
    if damage == "truncated":
        folder.checkpoint.write_bytes(content[: len(content) // 2])
    elif damage == "garbage":
        folder.checkpoint.write_bytes(b"\x00" * 100)
    elif damage == "one bit":
        folder.checkpoint.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    elif damage == "other tensors":
        folder.checkpoint.write_bytes(content.replace(b'"components"', b'"compoments"'))
    else:
        folder.history.write_text("epoch\n1\n")
    again = run()
    said = capsys.readouterr().out.strip().splitlines()
    assert len(said) == 1
    assert str(folder.checkpoint) in said[0] and said[0].endswith("the fit starts over.")
    assert figures_of(again.row) == figures_of(first.row)
    assert len(read_history(folder.history)) == 12


def test_a_checkpoint_of_other_settings_is_not_continued(run, capsys):
    first, other = run(), run(latent=5)
    first.folder.row.unlink()
    first.folder.checkpoint.write_bytes(other.folder.checkpoint.read_bytes())
    assert figures_of(run().row) == figures_of(first.row)
    assert "it was written with other settings" in capsys.readouterr().out


def test_two_processes_do_not_share_a_run_folder(tmp_path):
    script = (
        "import sys, pathlib\n"
        "from starbench.runs.run_folder import RunFolder\n"
        "with RunFolder(pathlib.Path(sys.argv[1])).locked():\n"
        "    print('held', flush=True)\n"
        "    sys.stdin.read()\n"
    )
    other = subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path / "run")],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    folder = RunFolder(tmp_path / "run")
    try:
        assert other.stdout.readline() == "held\n"
        with (
            pytest.raises(RunFolderBusy, match=f"Process {other.pid} is working on"),
            folder.locked(),
        ):
            pass
    finally:
        other.kill()  # the lock of a killed process holds nothing
        other.communicate()
    with folder.locked():
        assert (folder.path / ".lock").exists()


def test_a_method_that_does_not_fit_into_a_row_is_refused_before_the_fit(run, linear):
    class Shouting(linear):
        name = "TOY METHOD"

        def fit(self, train, validation, monitor):
            raise AssertionError("was fitted")

    with pytest.raises(SettingError, match=r"field `method` .*TOY METHOD"):
        run(method=Shouting)


@pytest.mark.parametrize("device", ["warp-drive", "meta", "hpu", "cpu:99", "cuda:99", "", None])
@pytest.mark.parametrize("here", [True, False])
def test_an_unavailable_device_is_refused(device, here):
    if not here and device in ("hpu", "cuda:99"):  # which another machine may have
        assert runner.resolved_device(device, here=False) == device
        return
    words = rf"^--device {device} is not available; choose auto, cpu, or an .* \(it has .*\)\.$"
    with pytest.raises(SettingError, match=words):
        runner.resolved_device(device, here=here)


@pytest.mark.parametrize("device", ["cpu", "cpu:0"])
def test_a_device_is_given_by_name_or_as_torch_has_it(device):
    assert runner.resolved_device(device) == runner.resolved_device(torch.device(device)) == device


@pytest.mark.parametrize("seed", [2**70, 2**63, -1, None, 1.5, "1", True])
def test_a_seed_that_no_row_can_hold_is_refused(toy_task, linear, tmp_path, seed):
    with pytest.raises(SettingError, match=rf"^seed is {seed!r}; give an integer"):
        runner.run(toy_task, linear, scale="tiny", out=tmp_path, seed=seed)


def test_the_history_holds_the_measured_shares(run):
    row, folder, _ = run()
    shares = {
        line["epoch"]: line[MEASURE] for line in read_history(folder.history) if MEASURE in line
    }
    assert list(shares) == list(range(1, 13))
    best = max(shares.values())
    apart = best - (best * (1 - best) / 30) ** 0.5  # 30 validation pairs
    assert row.selection.epoch == max(epoch for epoch in shares if shares[epoch] >= apart)
