"""The file that ``--config`` names: which cluster, and how large each of its jobs is."""

import json
import signal
import threading
from dataclasses import field
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Annotated, Any, Literal, TypeVar

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from starbench.common.settings import SettingError
from starbench.common.text import one_line
from starbench.results.text import validation_sentence

_CHECKED = ConfigDict(extra="forbid", strict=True)

Positive = Annotated[int, Field(ge=1, lt=2**31)]
Count = Annotated[int, Field(ge=0, lt=2**31)]
Gigabytes = Annotated[float, Field(gt=0, le=1e9)]
Options = dict[str, str | int | float | bool | list[str]]


@dataclass(frozen=True, config=_CHECKED)
class SubmititConfig:
    """Jobs that submitit queues.

    Attributes
    ----------
    executor : {"slurm", "local"}
        ``local`` starts the jobs on this machine, all at once, to try a configuration.
    minutes : int
        Time limit of a job. A run that does not end in time is continued by the next job.
    cores : int
        Processor cores of a job, and threads of its runs.
    memory_gb : float
        Memory of a job [GB].
    gpus : int
        GPUs of a job.
    requeues : int
        How often a job that reached its time limit is queued again. Jobs that were preempted are
        queued again without limit.
    slurm : dict
        Further parameters of submitit's SLURM executor, such as `partition`, `account`, `qos`,
        `constraint`, `setup`, `array_parallelism` and `signal_delay_s`.
    """

    executor: Literal["slurm", "local"] = "slurm"
    minutes: Positive = 60
    cores: Positive = 1
    memory_gb: Gigabytes = 8.0
    gpus: Count = 0
    requeues: Count = 10
    slurm: Options = field(default_factory=dict)


@dataclass(frozen=True, config=_CHECKED)
class DaskConfig:
    """Workers of a Dask cluster; each has one run at a time.

    Attributes
    ----------
    cluster : {"local", "slurm", "pbs", "lsf", "sge", "oar", "moab", "htcondor"}
        This machine, or the batch system to which dask-jobqueue submits the workers.
    address : str or None
        Address of the scheduler of a running cluster to use in place of a new one.
    workers : int
        Number of workers.
    minutes : int
        Time limit of a worker's job.
    cores : int
        Processor cores of a worker, and threads of its runs.
    memory_gb : float
        Memory of a worker [GB].
    retries : int
        How often a run is given to other workers after its worker was killed.
    options : dict
        Further arguments of the cluster class of dask-jobqueue, such as `queue`, `account`,
        `interface` and `job_extra_directives`.
    """

    cluster: Literal["local", "slurm", "pbs", "lsf", "sge", "oar", "moab", "htcondor"] = "local"
    address: Annotated[str, Field(min_length=1)] | None = None
    workers: Positive = 2
    minutes: Positive = 60
    cores: Positive = 1
    memory_gb: Gigabytes = 8.0
    retries: Count = 20
    options: Options = field(default_factory=dict)


Config = TypeVar("Config", SubmititConfig, DaskConfig)


def read_config(path: Path | None, kind: type[Config]) -> Config:
    """Read a configuration from YAML; without a file, return the defaults.

    Raises
    ------
    SettingError
        With one sentence that names the file, the field and what it should be.
    """
    if path is None:
        return kind()
    yaml = required("yaml")
    try:
        text = path.read_text(encoding="utf-8")
        fields, content = yaml.compose(text, yaml.SafeLoader), yaml.safe_load(text)
        as_json = json.dumps({} if content is None else content, default=str)
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "not a text"
        raise SettingError(f"--config {path} cannot be read: {reason}.") from None
    except yaml.YAMLError as error:
        raise SettingError(f"--config {path} is not YAML: {one_line(error)}.") from None
    # Dates as keys, aliases of what holds them, brackets without end.
    except (TypeError, ValueError, RecursionError) as error:
        raise SettingError(
            f"--config {path} holds more than fields with texts, numbers and lists: "
            f"{one_line(error)}."
        ) from None
    _refuse_repeated(fields, path)
    try:
        return TypeAdapter(kind).validate_json(as_json)
    except ValidationError as error:
        sentence = validation_sentence(error, "configuration")
        raise SettingError(f"--config {path}: {sentence}.") from None


def _refuse_repeated(node: Any, path: Path) -> None:
    """Refuse a field that is given twice, of which YAML's reader would use the last."""
    if getattr(node, "id", None) != "mapping":
        return
    seen = set()
    for key, value in node.value:
        if key.id == "scalar" and key.value in seen:
            raise SettingError(
                f"--config {path}: field `{key.value}` is given twice; give it once."
            )
        seen.add(str(key.value))
        _refuse_repeated(value, path)


def required(module: str) -> ModuleType:
    """Import a library of the extra ``cluster``.

    Raises
    ------
    SettingError
        If it is not installed.
    """
    interrupt = signal.getsignal(signal.SIGINT)
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != module.partition(".")[0]:
            raise
        raise SettingError(
            f"--backend and --config need {module}; install it with: pip install "
            "'starbench[cluster]'."
        ) from None
    finally:
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGINT, interrupt)  # dask_jobqueue replaces it as it is imported
