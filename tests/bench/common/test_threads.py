"""The number of threads follows the user, the batch system and the container."""

import os

import numpy as np
import pytest
import threadpoolctl

from starbench.common import threads
from starbench.metrics import ranking


@pytest.fixture(autouse=True)
def eight_cores(monkeypatch):
    monkeypatch.setattr(threads, "machine_cores", lambda: 8)
    monkeypatch.setattr(threads, "cgroup_quota", lambda: None)
    monkeypatch.setattr(threads, "_chosen", None)
    for name in ("OMP_NUM_THREADS", "SLURM_CPUS_PER_TASK"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize(
    ("variables", "quota", "cores"),
    [
        ({}, None, 8),
        ({"OMP_NUM_THREADS": "3"}, None, 3),
        ({"OMP_NUM_THREADS": "4,2"}, None, 4),
        ({"OMP_NUM_THREADS": "many", "SLURM_CPUS_PER_TASK": "2"}, None, 2),
        ({"OMP_NUM_THREADS": "0"}, None, 8),
        ({"SLURM_CPUS_PER_TASK": "64"}, None, 8),
        ({}, 2.5, 2),
        ({}, 0.5, 1),
        ({"OMP_NUM_THREADS": "1"}, 4.0, 1),
    ],
)
def test_the_default_is_the_smallest_limit(monkeypatch, variables, quota, cores):
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(threads, "cgroup_quota", lambda: quota)
    assert threads.available_cores() == threads.default_threads() == cores


@pytest.mark.parametrize(
    ("groups", "files", "quota"),
    [
        ("0::/job/step\n", {"job/cpu.max": "150000 100000", "job/step/cpu.max": "max 100000"}, 1.5),
        ("0::/\n", {"cpu.max": "400000 100000"}, 4.0),
        ("0::/\n", {"cpu.max": "max 100000"}, None),
        (
            "5:memory:/x\n3:cpu,cpuacct:/docker/a\n",
            {"cpu/cpu.cfs_quota_us": "200000", "cpu/cpu.cfs_period_us": "100000"},
            2.0,
        ),
        ("3:cpu:/\n", {"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"}, None),
        ("0::/\n", {}, None),
    ],
)
def test_the_quota_of_a_container_is_read(tmp_path, monkeypatch, groups, files, quota):
    monkeypatch.undo()
    (tmp_path / "groups").write_text(groups)
    for name, text in files.items():
        (tmp_path / "root" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "root" / name).write_text(text + "\n")
    assert threads.cgroup_quota(tmp_path / "groups", tmp_path / "root") == quota
    assert threads.cgroup_quota(tmp_path / "nowhere") is None


def test_a_limit_reaches_the_ranking_and_linear_algebra(monkeypatch):
    started = []

    class Pool(ranking.ThreadPoolExecutor):
        def __init__(self, n_workers):
            started.append(n_workers)
            super().__init__(n_workers)

    monkeypatch.setattr(ranking, "ThreadPoolExecutor", Pool)
    monkeypatch.setenv("OPENBLAS_NUM_THREADS", "2")  # restored after the test
    latent = np.random.default_rng(0).normal(size=(2000, 2, 2)).astype("f4")
    before = threadpoolctl.threadpool_info()
    try:
        for n_threads in (2, 1):
            threads.limit_threads(n_threads)
            ranking.twin_ranks(latent)
            pools = [x for x in threadpoolctl.threadpool_info() if x["user_api"] == "blas"]
            assert pools and all(pool["num_threads"] <= n_threads for pool in pools)
            # OpenBLAS's own threads spin on a busy machine.
            spinning = [x for x in pools if x["threading_layer"] == "pthreads"]
            assert all(pool["num_threads"] == 1 for pool in spinning)
    finally:
        for pool in before:
            if pool["user_api"] == "blas":
                threadpoolctl.threadpool_limits(pool["num_threads"], user_api="blas")
    assert started == [2, 1]


def test_numbers_far_above_the_cores_are_refused():
    assert (threads.most_threads(), threads.most_processes()) == (64, 32)
    assert threads.too_many(64, threads.most_threads()) is None
    assert threads.too_many(65, threads.most_threads()) == (
        "65 is too many for the 8 cores of this machine; give at most 64."
    )


def test_threads_that_wait_leave_their_core_to_others(monkeypatch):
    for name in threads._WAITING:
        monkeypatch.delenv(name, raising=False)
    threads.wait_briefly()
    assert os.environ["GOMP_SPINCOUNT"] == "10000" and os.environ["KMP_BLOCKTIME"] == "1"
    for chosen in threads._WAITING:
        for name in threads._WAITING:
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv(chosen, "7")
        threads.wait_briefly()
        assert [name for name in threads._WAITING if name in os.environ] == [chosen]
