"""Working off a plan: launch its runs, and look again at those that another process held."""

import time
from collections.abc import Callable, Generator, Sequence
from contextlib import closing

from starbench.common.progress import say
from starbench.runs.run_folder import BUSY_EXIT_CODE, RunFolder
from starbench.sweeps.process import Command
from starbench.sweeps.state import FINISHED, State, state_of

PATIENCE = 60.0  # seconds
_SECONDS_BETWEEN_LOOKS = 1.0

Endings = Generator[tuple[Command, int], None, None]
Launch = Callable[[Sequence[Command]], Endings]


def work_off(commands: Sequence[Command], launch: Launch, *, patience: float = PATIENCE) -> None:
    """Launch runs, whatever becomes of each; at the end look again at those that were held.

    A held run is launched if the process that held it was killed, such as a lost worker of a
    cluster. What is still held when patience ends is left to the other process.

    Parameters
    ----------
    commands : sequence of Command
    launch : callable
        Runs commands, and yields each with its exit code: `BUSY_EXIT_CODE` if it is held.
    patience : float
        Time to wait for other processes at the end [s].
    """
    held = _held(launch(commands))
    end = time.monotonic() + patience
    while held:
        states = {command: state_of(RunFolder(command.folder)) for command in held}
        free = [one for one in held if states[one] not in (State.RUNNING, *FINISHED)]
        held = [one for one in held if states[one] is State.RUNNING]
        if free:
            held += _held(launch([command.continued() for command in free]))
        if held:
            if time.monotonic() > end:
                say(f"{len(held)} runs are left to the processes that hold them.", error=True)
                return
            time.sleep(_SECONDS_BETWEEN_LOOKS)


def _held(endings: Endings) -> list[Command]:
    """Wait for all runs; return those that other processes hold."""
    with closing(endings):
        return [command for command, code in endings if code == BUSY_EXIT_CODE]
