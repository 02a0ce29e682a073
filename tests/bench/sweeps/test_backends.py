"""Clusters: configurations, submitit's own local executor, and Dask's cluster of threads."""

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
