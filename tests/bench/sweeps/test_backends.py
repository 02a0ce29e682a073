"""Clusters: configurations, submitit's own local executor, and Dask's cluster of threads."""

import os
import pickle
import signal
import subprocess
import sys
from types import SimpleNamespace

import psutil
import pytest
from distributed import Client, KilledWorker, LocalCluster
from support.waiting import wait_until

from starbench.common.settings import SettingError
from starbench.runs.run_folder import RunFolder
from starbench.sweeps.backends import dask as dask_backend
from starbench.sweeps.backends.config import DaskConfig, SubmititConfig, read_config, required
from starbench.sweeps.backends.submitit import FOLDER, RunsOfJob, submit, wait_for
from starbench.sweeps.state import State, state_of

SAVES = "__import__('signal').signal(15, lambda *_: ((folder / 'saved').touch(), os._exit(143)))\n"
WAITS_ONCE = "if not (folder / 'saved').exists(): (folder / 'ready').touch(); time.sleep(99)"


def states(commands):
    return {command.name: state_of(RunFolder(command.folder)) for command in commands}


# ------------------------------------------------------------------------------------------ configs


def test_a_configuration_is_read_and_has_defaults(tmp_path):
    path = tmp_path / "cluster.yml"
    path.write_text(
        "minutes: 30\nmemory_gb: 16\nslurm:\n  partition: short\n  setup: [module load x]\n"
    )
    assert read_config(path, SubmititConfig) == SubmititConfig(
        minutes=30, memory_gb=16.0, slurm={"partition": "short", "setup": ["module load x"]}
    )
    path.write_text("")
    assert read_config(path, DaskConfig) == read_config(None, DaskConfig) == DaskConfig()


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("minuts: 30", "field `minuts` is not a field of a configuration"),
        ("minutes: half", "field `minutes` should be a valid integer, not 'half'"),
        ("cores: 0", "field `cores` should be greater than or equal to 1"),
        ("executor: pbs", "field `executor` should be 'slurm' or 'local'"),
        ("minutes: [30", "is not YAML"),
        ("- 30", "should be an object"),
        ("slurm: {partition: [[1]]}", "field `slurm.partition"),
        ("minutes: 99999999999", "field `minutes` should be less than 2147483648"),
        ("memory_gb: .inf", "field `memory_gb` should be less than or equal to"),
        ("minutes: 30\nminutes: 60", "field `minutes` is given twice; give it once"),
        ("slurm: {qos: a, qos: b}", "field `qos` is given twice; give it once"),
        ("2026-01-01: 3", "holds more than fields with texts, numbers and lists: keys must be"),
        ("slurm: &all [*all]", "holds more than fields with texts, numbers and lists: Circular"),
        ("slurm: &all {a: *all}", "holds more than fields with texts, numbers and lists"),
        ("slurm: " + "[ " * 3000, "holds more than fields with texts, numbers and lists"),
    ],
)
def test_a_wrong_configuration_is_one_sentence_that_names_the_field(tmp_path, text, sentence):
    path = tmp_path / "cluster.yml"
    path.write_text(text)
    with pytest.raises(SettingError) as caught:
        read_config(path, SubmititConfig)
    assert sentence in str(caught.value) and str(path) in str(caught.value)


def test_a_missing_library_names_the_extra(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "submitit", None)
    with pytest.raises(SettingError, match=r"need submitit; install it .*'starbench\[cluster\]'"):
        submit([], None, SubmititConfig(executor="local"), tmp_path)


# ----------------------------------------------------------------------------------------- submitit


def test_a_configuration_that_slurm_does_not_take_is_refused(tmp_path):
    config = SubmititConfig(executor="local", slurm={"partitoin": "short"})
    with pytest.raises(SettingError, match="--config: Unknown argument 'partitoin'"):
        submit([], None, config, tmp_path)


@pytest.fixture
def batch_system(monkeypatch, tmp_path):
    """Return a function that puts SLURM's commands, as scripts, first on the path."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")

    def install(**commands):
        for name, lines in commands.items():
            (folder / name).write_text(f"#!/bin/sh\n{lines}\n")
            (folder / name).chmod(0o755)

    return install


REFUSES = "echo 'sbatch: error: invalid partition' >&2; exit 1"


def test_jobs_that_slurm_does_not_take_are_refused_in_its_words(
    batch_system, make_command, tmp_path
):
    batch_system(srun="exit 0", sbatch=REFUSES)
    for slurm, sentence in (
        ({"partition": "none"}, "--config: the jobs are not taken: sbatch: error: invalid part"),
        ({"setup": "module load x"}, "--config: .*list"),
    ):
        with pytest.raises(SettingError, match=sentence):
            submit([make_command("run")], None, SubmititConfig(slurm=slurm), tmp_path / "runs")


def tasks_of(job):
    """Wait for the processes that submitit's controller starts, and return them."""
    return wait_until(psutil.Process(int(job.job_id)).children)


def test_a_preempted_job_saves_its_run_and_is_queued_again(make_command, starts, tmp_path):
    commands = [make_command("long", SAVES + WAITS_ONCE), make_command("short")]
    out = tmp_path / "runs"
    (job,) = submit(commands, 1, SubmititConfig(executor="local"), out)
    wait_until((commands[0].folder / "ready").exists)
    (task,) = tasks_of(job)
    task.send_signal(signal.SIGTERM)
    wait_for([job])
    assert job.exception() is None
    assert set(states(commands).values()) == {State.OK}
    assert starts() == {"long": 2, "short": 1}
    assert (commands[0].folder / "saved").exists()
    assert list((out / FOLDER).glob("*_log.out"))


def test_a_run_that_alone_got_the_signal_queues_its_job_again(make_command, monkeypatch):
    """As where a batch system signals all processes of a job, and the run ends first."""
    asked = []
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGUSR1)}

    def queue(*_):
        asked.append("queued")

    signal.signal(signal.SIGUSR2, queue)
    try:
        RunsOfJob([make_command("run", "sys.exit(143)")])()
        assert {signal.getsignal(number) for number in before} == {queue}
    finally:
        for number, handler in {**before, signal.SIGUSR2: signal.SIG_DFL}.items():
            signal.signal(number, handler)
    assert asked == ["queued"]


# --------------------------------------------------------------------------------------------- dask


@pytest.mark.parametrize(
    ("cluster", "limit"),
    [("slurm", "-t 01:30:00"), ("pbs", "walltime=01:30:00"), ("lsf", "-W 01:30\n"),
     ("sge", "h_rt=01:30:00"), ("oar", "walltime=01:30:00"), ("moab", "walltime=01:30:00"),
     ("htcondor", "RequestCpus")],
)  # fmt: skip
@pytest.mark.filterwarnings("ignore:OAR Job memory")
def test_every_batch_system_gets_workers_that_have_one_run_at_a_time(cluster, limit):
    options = {"disk": "1GB"} if cluster == "htcondor" else {}
    config = DaskConfig(cluster=cluster, minutes=90, cores=3, options=options)
    kind = getattr(required("dask_jobqueue"), dask_backend.CLASSES[cluster]).job_cls
    job = kind(scheduler="tcp://127.0.0.1:1", **dask_backend.cluster_options(config))
    assert limit in job.job_script()
    assert "--nthreads 1" in job.job_script().rpartition("--nthreads 3")[2]  # the last counts


ONE_JOB = "mkdir {0}/taken 2>&- || {{ echo 'error: too many' >&2; exit 1; }}; echo Job 42"


@pytest.mark.parametrize(
    ("sbatch", "fault"),
    [
        (REFUSES, "sbatch: error: invalid partition"),
        (ONE_JOB, "error: too many"),
    ],
)
def test_workers_that_slurm_does_not_take_are_not_waited_for(batch_system, tmp_path, sbatch, fault):
    """Dask only logs it; the jobs that were taken are cancelled."""
    batch_system(sbatch=sbatch.format(tmp_path), scancel=f"echo $@ >> {tmp_path}/cancelled")
    config = DaskConfig(cluster="slurm", workers=2)
    with (
        pytest.raises(SettingError, match=f"does not take the workers' jobs: .*{fault}"),
        dask_backend.dask_cluster(config, quiet=True),
    ):
        pass
    taken, cancelled = tmp_path / "taken", tmp_path / "cancelled"
    assert taken.exists() == cancelled.exists()
    assert not taken.exists() or cancelled.read_text() == "42\n"


@pytest.mark.parametrize(
    ("config", "sentence"),
    [
        (DaskConfig(address="nowhere"), "no scheduler is reached at address nowhere: missing port"),
        (DaskConfig(address="foo://x:1"), "no scheduler is reached at address foo"),
        (DaskConfig(workers=100_000), "field `workers`: 100000 is too many for the"),
    ],
)
def test_clusters_that_cannot_be_are_refused(config, sentence):
    with pytest.raises(SettingError, match=sentence), dask_backend.dask_cluster(config, quiet=True):
        pass


@pytest.fixture(scope="module")
def client():
    with (
        LocalCluster(
            n_workers=2, threads_per_worker=1, processes=False, dashboard_address="127.0.0.1:0"
        ) as cluster,
        Client(cluster) as client,
    ):
        yield client


def test_dask_runs_everything_and_gives_lost_runs_to_other_workers(
    client, make_command, starts, monkeypatch, tmp_path
):
    def execute(command, really=dask_backend.execute, log=tmp_path / "kills.txt"):
        with log.open("a+") as file:
            file.seek(0)
            killed = command.name == "lost" and len(file.readlines()) < 2
            file.write("killed\n" * killed)
        if killed:
            raise KilledWorker("a task", SimpleNamespace(address="tcp://1"), 3)
        return really(command)

    monkeypatch.setattr(dask_backend, "execute", execute)
    commands = [make_command("lost"), make_command("bad", "sys.exit(1)"), make_command("good")]
    codes = {command.name: code for command, code in dask_backend.run_on(client, commands, 2)}
    assert codes == {"lost": 0, "bad": 1, "good": 0}
    assert starts() == {"lost": 1, "bad": 1, "good": 1}

    (tmp_path / "kills.txt").unlink()
    again = make_command("lost")
    (again.folder / "row.json").unlink()
    assert list(dask_backend.run_on(client, [again], 1)) == [(again, 1)]


def test_a_run_ends_with_the_process_that_started_it(make_command, tmp_path):
    """As on a worker that is killed: the run sees the end of its input, and saves."""
    command = make_command("run", "(folder / 'ready').touch(); sys.stdin.read(); sys.exit('saved')")
    script = (
        "import sys, pickle\n"
        "from starbench.sweeps.process import execute\n"
        "execute(pickle.load(sys.stdin.buffer))\n"
    )
    worker = subprocess.Popen([sys.executable, "-c", script], stdin=subprocess.PIPE)
    pickle.dump(command, worker.stdin)
    worker.stdin.close()
    wait_until((command.folder / "ready").exists)
    worker.kill()
    worker.wait(60)
    folder = RunFolder(command.folder)
    wait_until(lambda: not folder.is_locked())
    assert folder.log.read_text() == "saved\n"
