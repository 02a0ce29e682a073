"""One run of a sweep as a process of its own: a run that crashes takes no other with it."""

import signal
import subprocess
from dataclasses import dataclass, replace
from pathlib import Path

from starbench.common.progress import say
from starbench.runs.run_folder import BUSY_EXIT_CODE, RunFolder
from starbench.sweeps.state import FINISHED, State, last_line, row_of, state_of

# Exit codes of a run that a batch system has ended; see `starbench.common.signals`.
INTERRUPTED = frozenset(
    code
    for name in ("SIGTERM", "SIGUSR1")
    if (number := getattr(signal, name, None)) is not None
    for code in (128 + number, -number)
)


@dataclass(frozen=True)
class Command:
    """What starts one run, on any machine that shares the disk and the installation.

    Attributes
    ----------
    name : str
        The run in words.
    arguments : tuple of str
        Program and arguments.
    folder : pathlib.Path
        Folder of the run.
    working_folder : pathlib.Path
        What relative paths in the arguments refer to.
    force : bool
        Run again even if the run is finished.
    """

    name: str
    arguments: tuple[str, ...]
    folder: Path
    working_folder: Path
    force: bool = False

    def continued(self) -> "Command":
        """Return the command that continues this one: a repeated --force would start it over."""
        return replace(self, force=False)

    def code_without_start(self) -> int | None:
        """Return the exit code of a run that is finished or held by another process, else None."""
        state = state_of(RunFolder(self.folder))
        if state is State.RUNNING:
            return BUSY_EXIT_CODE
        return 0 if state in FINISHED and not self.force else None


class RunProcess:
    """The process of a run; what it says goes to ``log.txt`` in the run's folder.

    It ends, with a checkpoint, when this process does, however this one ends: it reads the end of
    its standard input then.

    Parameters
    ----------
    command : Command
    """

    def __init__(self, command: Command) -> None:
        self.command = command
        self.folder = RunFolder(command.folder)
        self.folder.path.mkdir(parents=True, exist_ok=True)
        with self.folder.log.open("ab") as log:
            self._place = log.tell()
            self.process = subprocess.Popen(
                [*command.arguments, *(["--force"] if command.force else [])],
                cwd=command.working_folder,
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=log,
            )

    def news(self) -> list[str]:
        """Return the lines that the run has said since the last call."""
        with self.folder.log.open("rb") as log:
            log.seek(self._place)
            said, newline, _ = log.read().rpartition(b"\n")  # the rest is not complete yet
        self._place += len(said) + len(newline)
        return said.decode(errors="replace").splitlines()

    def ask_to_end(self) -> None:
        """Ask the run to write a checkpoint and end."""
        self.process.terminate()

    def wait(self) -> int:
        """Wait for the end of the run and return its exit code; its log stays without a row."""
        code = self.process.wait()
        if self.process.stdin is not None:
            self.process.stdin.close()
        if row_of(self.folder) is not None:
            self.folder.log.unlink(missing_ok=True)
        elif code < 0 or (code != BUSY_EXIT_CODE and not last_line(self.folder)):
            how = f"by {signal.Signals(-code).name}" if code < 0 else f"with exit code {code}"
            try:
                with self.folder.log.open("a") as log:
                    log.write(f"\nEnded {how}.\n")
            except OSError as error:  # as on a full disk, which need not end the other runs
                reason = f"{self.folder.log}: {error.strerror}"
                say(f"{self.command.name} ended {how}; {reason}", error=True)
        return code


def execute(command: Command) -> int:
    """Run a command unless it is finished or held by another process; return the exit code."""
    code = command.code_without_start()
    return RunProcess(command).wait() if code is None else code
