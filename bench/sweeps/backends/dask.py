"""Runs as tasks of a Dask cluster, on this machine or on workers that a batch system starts."""

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from starbench.common.progress import bar, say
from starbench.common.settings import SettingError
from starbench.common.text import one_line
from starbench.common.threads import most_processes, too_many
from starbench.sweeps.backends.config import DaskConfig, required
from starbench.sweeps.process import INTERRUPTED, Command, execute
from starbench.sweeps.work import Endings, Launch

if TYPE_CHECKING:
    from distributed import Client, Future

CLASSES = {
    "slurm": "SLURMCluster",
    "pbs": "PBSCluster",
    "lsf": "LSFCluster",
    "sge": "SGECluster",
    "oar": "OARCluster",
    "moab": "MoabCluster",
    "htcondor": "HTCondorCluster",
}


@contextmanager
def dask_cluster(config: DaskConfig, *, quiet: bool) -> Iterator[Launch]:
    """Start, or join, a cluster; yield what launches runs on it.

    Raises
    ------
    SettingError
        If the extra ``cluster`` is not installed, or dask-jobqueue does not take the
        configuration.
    """
    with cluster_of(config) as cluster, _client_of(config, cluster) as client:
        yield lambda commands: run_on(client, commands, config.retries, quiet=quiet)


def _client_of(config: DaskConfig, cluster: object) -> "Client":
    """Connect to the scheduler of a configuration, or of a cluster that was started for it."""
    connect = required("distributed").Client
    try:
        client: Client = connect(cluster if config.address is None else config.address)
    except (OSError, ValueError) as error:
        if config.address is None:
            raise
        raise SettingError(
            f"--config: no scheduler is reached at address {config.address}: {one_line(error)}."
        ) from None
    return client


@contextmanager
def cluster_of(config: DaskConfig) -> Iterator[object]:
    """Start the cluster of a configuration, and close it at the end."""
    if config.address is not None:
        yield None
        return
    options = cluster_options(config)
    try:
        if config.cluster == "local":
            if fault := too_many(config.workers, most_processes()):
                raise SettingError(f"--config: field `workers`: {fault}")
            cluster = required("distributed").LocalCluster(**options)
        else:
            cluster = getattr(required("dask_jobqueue"), CLASSES[config.cluster])(**options)
    except SettingError:
        raise
    except (TypeError, ValueError) as error:
        raise SettingError(f"--config, options: {one_line(error)}.") from None
    with cluster:
        if config.cluster != "local":
            _submit_workers(cluster, config.workers)
        yield cluster


def _submit_workers(cluster: Any, workers: int) -> None:
    """Submit the jobs of workers.

    `cluster.scale` only logs it when the batch system takes none, and the runs would wait for ever.

    Raises
    ------
    SettingError
    """
    for _ in range(workers):
        cluster.worker_spec.update(cluster.new_worker_spec())
    try:
        cluster.sync(cluster._correct_state)
    except (OSError, RuntimeError) as error:
        from distributed import Status

        for job in cluster.workers.values():
            job.status = Status.failed  # else the cluster, which cancels those taken, would not end
        raise SettingError(
            f"--config: the batch system does not take the workers' jobs: {one_line(error)}"
        ) from None


def cluster_options(config: DaskConfig) -> dict[str, Any]:
    """Return the arguments of the cluster's class: one run at a time, which uses all cores."""
    memory = f"{config.memory_gb}GB"
    if config.cluster == "local":
        options: dict[str, Any] = {
            "n_workers": config.workers,
            "threads_per_worker": 1,
            "memory_limit": memory,
            "dashboard_address": "127.0.0.1:0",
        }
    else:
        # The last --nthreads counts: one thread of Dask's own has one run at a time.
        options = {
            "cores": config.cores,
            "processes": 1,
            "memory": memory,
            "worker_extra_args": ["--nthreads", "1"],
        }
        if config.cluster != "htcondor":  # which has no time limits
            time = f"{config.minutes // 60:02}:{config.minutes % 60:02}"
            options["walltime"] = time if config.cluster == "lsf" else f"{time}:00"
    return options | config.options


def run_on(
    client: "Client", commands: Sequence[Command], retries: int, *, quiet: bool = True
) -> Endings:
    """Run commands on a cluster, and yield each that has ended with its exit code.

    A run whose worker was killed or preempted is given to another worker, up to `retries` times
    beyond what Dask's own setting `allowed-failures` allows.
    """
    from distributed import KilledWorker, as_completed

    def submit(command: Command) -> "Future[int]":
        return client.submit(execute, command, pure=False)

    attempts = Counter[Command]()
    commands_of = {submit(command): command for command in commands}
    # Dask has no types for these.
    pending: Any = as_completed(list(commands_of))  # type: ignore[no-untyped-call]
    progress = bar(label="sweep", total=len(commands), unit="run", quiet=quiet)
    for future in pending:
        command, error = commands_of.pop(future), future.exception()
        killed = isinstance(error, KilledWorker)
        if (killed or (future.status == "finished" and future.result() in INTERRUPTED)) and (
            attempts[command] < retries
        ):
            attempts[command] += 1
            again = submit(command.continued())
            commands_of[again] = command
            pending.add(again)
            continue
        if error is not None:
            say(f"{command.name}: {one_line(error)}", error=True)
        code = 1 if error is not None else future.result()
        say(f"[{len(commands) - len(commands_of)} of {len(commands)}] {command.name}", error=True)
        progress.update()
        yield command, code
    progress.close()
