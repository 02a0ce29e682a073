"""Runs as jobs of a batch system through submitit, which queues preempted jobs again.

submitit pickles what a job calls into a folder of the runs, and the job reads it there: whoever can
write to that folder can run code as the user who submits.
"""

import signal
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil

from starbench.common.progress import bar
from starbench.common.settings import SettingError
from starbench.common.text import one_line
from starbench.sweeps.backends.config import SubmititConfig, required
from starbench.sweeps.process import INTERRUPTED, Command, RunProcess
from starbench.sweeps.shard import Shard
from starbench.sweeps.work import Endings, work_off

if TYPE_CHECKING:
    from submitit import Job
    from submitit.helpers import DelayedSubmission

FOLDER = "submitit"  # of job files and logs, below that of the runs
_SECONDS_TO_END = 60.0
_SECONDS_BETWEEN_LOOKS = 2.0


class RunsOfJob:
    """What a job calls: some runs, one after the other, with submitit's checkpoint protocol.

    Parameters
    ----------
    commands : sequence of Command
    """

    def __init__(self, commands: Sequence[Command]) -> None:
        self.commands = list(commands)
        self._running: RunProcess | None = None

    def __call__(self) -> None:
        """Work off the runs; SIGTERM and SIGUSR1 count as submitit's own signal of preemption."""
        for number in (signal.SIGTERM, signal.SIGUSR1):
            signal.signal(number, signal.getsignal(_signal_of_preemption()))
        try:
            work_off(tuple(self.commands), self._launch)
        finally:
            self._end_run()

    def checkpoint(self) -> "DelayedSubmission":
        """Let the current run write its checkpoint; return what the job calls when it is back."""
        from submitit.helpers import DelayedSubmission

        for number in (signal.SIGTERM, signal.SIGUSR1, _signal_of_preemption()):
            signal.signal(number, signal.SIG_IGN)  # batch systems send more than one
        self._end_run()
        return DelayedSubmission(RunsOfJob(self.commands))

    def _launch(self, commands: Sequence[Command]) -> Endings:
        for command in commands:
            code = command.code_without_start()
            if code is None:
                self._running = RunProcess(command)
                self.commands = [  # for the time that this job is queued again
                    one.continued() if one.folder == command.folder else one
                    for one in self.commands
                ]
                code = self._running.wait()
                self._running = None
            if code in INTERRUPTED:  # the signal reached the run, and not this process
                signal.raise_signal(_signal_of_preemption())
            yield command, code

    def _end_run(self) -> None:
        """Ask the current run to end and wait for it, even while `wait` waits for it too."""
        if self._running is None:
            return
        self._running.ask_to_end()
        with suppress(psutil.NoSuchProcess, psutil.TimeoutExpired):
            # That of the run would wait for its own lock.
            psutil.Process(self._running.process.pid).wait(_SECONDS_TO_END)
        self._running = None


def _signal_of_preemption() -> signal.Signals:
    from submitit.core.job_environment import JobEnvironment

    return signal.Signals[f"SIG{JobEnvironment.USR_SIG}"]


def executor_of(config: SubmititConfig, out: Path) -> Any:
    """Return submitit's executor for a configuration; job files and logs lie in ``out/submitit``.

    Raises
    ------
    SettingError
        If the extra ``cluster`` is not installed, or the batch system does not take the
        configuration.
    """
    submitit = required("submitit")
    name = config.executor
    try:
        executor = submitit.AutoExecutor(
            out / FOLDER, cluster=name, **{f"{name}_max_num_timeout": config.requeues}
        )
        executor.update_parameters(
            name="starbench",
            timeout_min=config.minutes,
            cpus_per_task=config.cores,
            mem_gb=config.memory_gb,
            gpus_per_node=config.gpus,
            **{f"slurm_{key}": value for key, value in config.slurm.items()},
        )
    except (NameError, RuntimeError, TypeError, ValueError, AssertionError) as error:
        raise SettingError(f"--config: {one_line(error)}") from None
    return executor


def submit(
    commands: Sequence[Command], jobs: int | None, config: SubmititConfig, out: Path
) -> list["Job[None]"]:
    """Submit runs as jobs, on SLURM as one job array.

    Parameters
    ----------
    commands : sequence of Command
    jobs : int or None
        Number of jobs to which the runs are dealt; one for each run if None.
    config : SubmititConfig
    out : pathlib.Path
        Folder of the runs; job files and logs lie in its folder ``submitit``.

    Raises
    ------
    SettingError
        If the extra ``cluster`` is not installed, or the batch system does not take the
        configuration.
    """
    executor = executor_of(config, out)
    count = min(jobs or len(commands), len(commands))
    shares = [Shard(number, count).of(commands) for number in range(1, count + 1)]
    from submitit.core.utils import FailedJobError, FailedSubmissionError

    # A batch system says no, or submitit joins parameters of other types than it expects.
    refusals = (FailedJobError, FailedSubmissionError, TypeError, ValueError, AssertionError)
    try:
        submitted: list[Job[None]] = executor.submit_array([RunsOfJob(share) for share in shares])
    except refusals as error:
        raise SettingError(f"--config: the jobs are not taken: {one_line(error)}") from None
    return submitted


def wait_for(jobs: Sequence["Job[None]"], *, quiet: bool = True) -> None:
    """Wait until jobs have ended, however they ended."""
    from submitit.helpers import as_completed

    ended = as_completed(jobs, poll_frequency=_SECONDS_BETWEEN_LOOKS)
    for _ in bar(ended, label="jobs", total=len(jobs), quiet=quiet):
        pass
