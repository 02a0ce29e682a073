"""Runs as tasks of a Dask cluster, on this machine or on workers that a batch system starts."""

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from starbench.common.progress import bar, say
from starbench.common.settings import SettingError
from starbench.sweeps.backends.config import DaskConfig, required
from starbench.sweeps.process import INTERRUPTED, Command, execute
from starbench.sweeps.work import Endings, Launch

if TYPE_CHECKING:
    from distributed import Client, Future

_CLASSES = {
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
    distributed = required("distributed")
    with _cluster(config) as cluster, distributed.Client(config.address or cluster) as client:
        yield lambda commands: run_on(client, commands, config.retries, quiet=quiet)


@contextmanager
def _cluster(config: DaskConfig) -> Iterator[object]:
    """Start the cluster of a configuration, and close it at the end."""
    if config.address is not None:
        yield None
        return
    memory = f"{config.memory_gb}GB"
    if config.cluster == "local":
        local = required("distributed").LocalCluster(
            n_workers=config.workers,
            threads_per_worker=1,
            memory_limit=memory,
            dashboard_address="127.0.0.1:0",
        )
        with local:
            yield local
        return
    kind = getattr(required("dask_jobqueue"), _CLASSES[config.cluster])
    try:
        # One process with one thread of Dask's own: the run uses the cores.
        cluster = kind(
            cores=1,
            processes=1,
            job_cpu=config.cores,
            memory=memory,
            walltime=f"{config.minutes // 60:02}:{config.minutes % 60:02}:00",
            **config.options,
        )
    except (TypeError, ValueError) as error:
        raise SettingError(f"--config, options: {' '.join(str(error).split())}.") from None
    with cluster:
        cluster.scale(jobs=config.workers)
        yield cluster


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
            say(f"{command.name}: {' '.join(str(error).split())}", error=True)
        code = 1 if error is not None else future.result()
        say(f"[{len(commands) - len(commands_of)} of {len(commands)}] {command.name}", error=True)
        progress.update()
        yield command, code
    progress.close()
