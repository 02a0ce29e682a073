"""Executors of a cluster: functions as its tasks, with the interface of `concurrent.futures`."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from starbench.sweeps.backends.config import DaskConfig, SubmititConfig, required
from starbench.sweeps.backends.dask import cluster_of
from starbench.sweeps.backends.submitit import executor_of


@contextmanager
def executor_on(config: SubmititConfig | DaskConfig, out: Path) -> Iterator[Any]:
    """Yield an executor whose `submit` runs a function as a task of a cluster.

    Parameters
    ----------
    config : SubmititConfig or DaskConfig
    out : pathlib.Path
        Folder in which submitit keeps files of jobs and logs.

    Raises
    ------
    SettingError
        If the extra ``cluster`` is not installed, or the configuration cannot be used.
    """
    if isinstance(config, SubmititConfig):
        yield executor_of(config, out)
        return
    distributed = required("distributed")
    with cluster_of(config) as cluster, distributed.Client(config.address or cluster) as client:
        yield client.get_executor(pure=False, retries=config.retries)
