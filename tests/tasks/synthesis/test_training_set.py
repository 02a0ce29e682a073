"""The stars that the emulator is fitted to and tested on; a stopped synthesis is resumed."""

import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from starbench.tasks.apogee_giants import population
from starbench.tasks.synthesis import engine, spectrum, training_set

HELD_OUT, RESPONSE = 220, 108


@pytest.fixture
def build(tmp_path, monkeypatch):
    """Run `training_set` with a synthesis by formula; return folder, runner, failing stars."""
    asked = []
    failing = set()

    def synthesise(labels):
        asked.append(tuple(labels))
        if tuple(labels) in failing:
            raise engine.EngineError("no pressure found")
        return np.full(3, labels[0])

    monkeypatch.setattr(spectrum, "synthesise", synthesise)
    # threads instead of processes, which would not see the formula under every start method
    monkeypatch.setattr(training_set, "ProcessPoolExecutor", ThreadPoolExecutor)

    def run(stars=4):
        asked.clear()
        argv = ["training_set", "--out", str(tmp_path), "--stars", str(stars), "--workers", "1"]
        monkeypatch.setattr(sys, "argv", argv)
        training_set.main()
        return len(asked)

    return tmp_path, run, failing


def test_only_missing_stars_are_synthesised(build):
    folder, run, _ = build
    assert run() == 4 + HELD_OUT + RESPONSE
    index, labels, flux = training_set.load_set(folder / "train")
    assert index.tolist() == [0, 1, 2, 3]
    assert np.array_equal(labels, training_set.training_labels(4, seed=1))
    assert np.array_equal(flux[:, 0], labels[:, 0].astype(np.float32))
    # as if stopped in the middle: one star not begun, one half written
    (folder / "train" / "00002.npz").unlink()
    (folder / "held-out" / "00007.npz").rename(folder / "held-out" / ".00007.npz.1-0.tmp")
    assert run() == 2
    assert run(stars=6) == 2  # a larger set extends a smaller one
    assert len(training_set.load_set(folder / "held-out")[0]) == HELD_OUT


@pytest.fixture
def dask_executor():
    distributed = pytest.importorskip("distributed")
    with (
        # threads of this process, which see the formula
        distributed.LocalCluster(
            n_workers=1, threads_per_worker=2, processes=False, dashboard_address=None
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        yield client.get_executor(pure=False)


@pytest.fixture
def submitit_executor(tmp_path):
    submitit = pytest.importorskip("submitit")
    return submitit.AutoExecutor(tmp_path / "jobs", cluster="debug")  # jobs in this process


@pytest.mark.parametrize("name", ["dask_executor", "submitit_executor"])
def test_executors_of_clusters_make_the_sets(name, build, request, monkeypatch):
    folder, _, failing = build
    executor = request.getfixturevalue(name)
    few = training_set.response_labels()[:2]
    monkeypatch.setattr(training_set, "held_out_labels", lambda: few)
    monkeypatch.setattr(training_set, "response_labels", lambda: few)
    failing.add(tuple(training_set.training_labels(4, seed=1)[1]))
    assert training_set.make_sets(folder, 4, 1, executor, quiet=True) == 1
    assert training_set.load_set(folder / "train")[0].tolist() == [0, 2, 3]
    assert len(training_set.load_set(folder / "response")[0]) == 2
    failing.clear()
    assert training_set.make_sets(folder, 4, 1, executor, quiet=True) == 0
    assert training_set.load_set(folder / "train")[0].tolist() == [0, 1, 2, 3]


def test_an_error_of_the_executor_costs_its_star_alone(build, monkeypatch):
    folder, _, _ = build

    def make(out, name, index, labels, synthesis):
        raise OSError(f'worker lost:\n"{name}" {index}')

    monkeypatch.setattr(training_set, "_make", make)
    with ThreadPoolExecutor(1) as pool:
        failed = training_set.make_sets(folder, 2, 1, pool, quiet=True)
    assert failed == 2 + HELD_OUT + RESPONSE
    lines = (folder / "failures.csv").read_text().splitlines()
    assert "train,1,\"OSError: 'train' 1\"" in lines


def test_a_failing_star_is_tried_again_and_named(build):
    folder, run, failing = build
    failing.add(tuple(training_set.training_labels(4, seed=1)[1]))
    assert run() == 3 + HELD_OUT + RESPONSE + training_set.ATTEMPTS
    log = (folder / "failures.csv").read_text().splitlines()
    assert log == ["set,index,reason", 'train,1,"no pressure found"']
    assert training_set.load_set(folder / "train")[0].tolist() == [0, 2, 3]
    failing.clear()
    assert run() == 1
    assert (folder / "failures.csv").read_text() == "set,index,reason\n"


def test_an_empty_folder_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="no spectra in"):
        training_set.load_set(tmp_path)


def test_training_labels_cover_the_task_and_extend():
    labels = training_set.training_labels(64, seed=1)
    assert labels.shape == (64, 19)
    assert np.array_equal(training_set.training_labels(32, seed=1), labels[:32])
    assert labels[:, 0].min() < 4000
    assert labels[:, 0].max() > 5000
    spread = training_set.training_labels(512, seed=1).std(axis=0)
    assert (spread > training_set.held_out_labels().std(axis=0) * 0.95).all()


def test_held_out_stars_lie_within_the_task():
    labels = training_set.held_out_labels()
    assert labels.shape == (220, 19)
    for column, (low, high) in enumerate((population.TEFF_RANGE, population.LOGG_RANGE)):
        assert low <= labels[:, column].min() <= labels[:, column].max() <= high


def test_response_stars_differ_from_their_base_in_one_abundance():
    labels = training_set.response_labels().reshape(6, 18, 19)
    step = labels[:, 1:] - labels[:, :1]
    assert np.allclose(step[:, :, 2:], 0.1 * np.eye(17))
    assert np.allclose(step[:, :, :2], 0)
