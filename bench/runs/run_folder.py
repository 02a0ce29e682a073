"""The folder of a run: its path, its files, and a lock that gives it to one process at a time."""

import errno
import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from starbench.common.locks import try_lock

BUSY_EXIT_CODE = 75  # of a command, after EX_TEMPFAIL in sysexits.h


class RunFolderBusy(RuntimeError):
    """Another process is working on the run folder."""


def settings_digest(settings: dict[str, Any]) -> str:
    """Return a short digest of settings, which tells the folders of different runs apart."""
    text = json.dumps(settings, sort_keys=True, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()[:10]


class RunFolder:
    """Files of one run.

    Parameters
    ----------
    path : pathlib.Path
        ``runs/<task>/<method>/<seed>-<digest of the settings>``.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.lock = path / ".lock"
        self.row = path / "row.json"
        self.settings = path / "settings.json"
        self.ranks = path / "ranks.h5"
        self.latents = path / "latents.h5"
        self.example = path / "example.h5"
        self.history = path / "history.csv"
        self.checkpoint = path / "checkpoint.safetensors"
        self.best = path / "best.safetensors"
        self.records = tuple(  # of what the leaderboard's commands found, if they were used here
            path / name
            for name in ("reproduction.json", "confirmation.json", "confirmation.ranks.h5")
        )
        self.log = path / "log.txt"  # what a sweep's run said, kept if it left no row
        self.figures = path / "figures"
        self.spectra_figure = self.figures / "spectra.png"
        self.history_figure = self.figures / "history.png"

    def read_settings(self) -> dict[str, Any]:
        """Return the settings with which the run began; empty without any that can be read."""
        try:
            # A pipe would be waited for.
            settings = json.loads(self.settings.read_bytes()) if self.settings.is_file() else {}
        except (OSError, ValueError, RecursionError):
            return {}
        return settings if isinstance(settings, dict) else {}

    def ranking(self, split: str) -> Path:
        """Return the checkpoint of a ranking of a split, which exists while it is not finished."""
        return self.path / f"ranking-{split}.safetensors"

    def clear_rankings(self) -> None:
        """Remove the checkpoints of rankings."""
        for file in self.path.glob("ranking-*.safetensors"):
            file.unlink(missing_ok=True)

    def clear(self) -> None:
        """Remove the files of an earlier run, and no others."""
        # The row first: a run without one counts as unfinished.
        for file in (self.row, self.settings, self.ranks, self.latents, self.example, self.history,
                     self.checkpoint, self.best, *self.records,
                     *self.figures.glob("*.png")):  # fmt: skip
            file.unlink(missing_ok=True)
        self.clear_rankings()

    def lacks_figures(self) -> bool:
        """Return whether a figure is missing, as after a process was killed that drew it."""
        # A method without epochs leaves an empty history, and no figure of it.
        has_history = self.history.exists() and bool(self.history.read_bytes().strip())
        return (self.example.exists() and not self.spectra_figure.exists()) or (
            has_history and not self.history_figure.exists()
        )

    def is_locked(self) -> bool:
        """Return whether another process is working on the run.

        The lock of a run that cannot be written, such as another user's, is asked by reading; one
        that cannot be read either counts as not locked.
        """
        for mode in ("a+", "r"):
            try:
                with self.lock.open(mode) as file:
                    return not try_lock(file)
            except OSError as error:
                if error.errno not in (errno.EACCES, errno.EPERM, errno.EROFS):
                    break
        return False

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Lock the folder for this process; the lock of a killed process is released.

        Raises
        ------
        RunFolderBusy
            If another process has locked it.
        """
        self.path.mkdir(parents=True, exist_ok=True)
        with self.lock.open("a+") as file:
            if not try_lock(file):
                file.seek(0)
                raise RunFolderBusy(
                    f"Process {file.read().strip() or '(unknown)'} is working on {self.path};"
                    " wait for it, or choose another --out."
                )
            file.truncate(0)
            file.write(str(os.getpid()))
            file.flush()
            yield
