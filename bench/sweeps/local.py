"""The runs of a sweep on this machine, several at a time."""

from collections import deque
from collections.abc import Generator, Sequence

import psutil

from starbench.common.progress import bar, say
from starbench.sweeps.process import Command, RunProcess

_SECONDS_TO_END = 60.0  # for the checkpoints of runs that are asked to end
_SECONDS_BETWEEN_LOOKS = 0.2


def run_here(
    commands: Sequence[Command], jobs: int = 1, *, quiet: bool = True
) -> Generator[tuple[Command, int], None, None]:
    """Run commands as processes, and yield each that has ended with its exit code.

    When an exception ends the iteration, such as that of a signal, the processes are asked to end
    and waited for.

    Parameters
    ----------
    commands : sequence of Command
    jobs : int
        Number of runs at a time.
    quiet : bool
        Draw no progress, and copy nothing of what a run says; of several at a time, nothing is
        copied anyway.
    """
    waiting, running = deque(enumerate(commands, 1)), dict[int, RunProcess]()
    follow = jobs == 1 and not quiet
    progress = bar(label="sweep", total=len(commands), unit="run", quiet=quiet)
    try:
        while waiting or running:
            while waiting and len(running) < jobs:
                number, command = waiting.popleft()
                code = command.code_without_start()
                if code is None:
                    say(f"[{number} of {len(commands)}] {command.name}", error=True)
                    started = RunProcess(command)
                    running[started.process.pid] = started
                else:
                    progress.update()
                    yield command, code
            _wait_for_any(running)
            for pid, run in list(running.items()):
                ended = run.process.poll() is not None
                if follow:
                    for line in run.news():
                        say(line, error=True)
                if ended:
                    progress.update()
                    yield running.pop(pid).command, run.wait()
    finally:
        progress.close()
        _end(list(running.values()))


def _wait_for_any(running: dict[int, RunProcess]) -> None:
    """Wait a moment, or until a process has ended."""
    processes = [run.process for run in running.values()]
    psutil.wait_procs(processes, timeout=_SECONDS_BETWEEN_LOOKS)


def _end(runs: Sequence[RunProcess]) -> None:
    """Ask runs to end and wait for them; kill those that take too long."""
    for run in runs:
        run.ask_to_end()
    _, alive = psutil.wait_procs([run.process for run in runs], timeout=_SECONDS_TO_END)
    for process in alive:
        process.kill()
    for run in runs:
        run.wait()
