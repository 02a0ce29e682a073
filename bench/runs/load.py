"""How busy and how fast the machine was during a run, so that times of machines can be compared.

Every run holds a locked file in one folder of the machine's temporary files, a folder for each
user. The runs that share the machine are those files whose lock is held; they are counted when a
run begins, after each epoch and at the end, and the row keeps the largest number.

The reference kernel, version 1, is what runs spend their time on: 4 products of two float32
matrices [1024, 1024], and the twin ranks of 2,000 latents of 20 dimensions. It is timed on the
processor with the threads of the run, before the fit and after it, each time as the shortest of
three. A time divided by it depends less on the processor, its clock and its other work than the
time itself.
"""

import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

import numpy as np
import torch

from starbench.common.locks import try_lock
from starbench.metrics import twin_ranks

KERNEL_VERSION = 1
KERNEL_SIZES = (4, 1024, 2000, 20)  # products, rows of a matrix, latents and their dimensions
KERNEL_REPEATS = 3


@dataclass(frozen=True)
class Load:
    """The load of a machine; the attributes are those of `starbench.results.schema.Load`."""

    runs_at_once: int
    kernel_seconds: float | None
    kernel_version: int | None


class MachineLoad:
    """Measurements of the machine's load beside a run.

    Parameters
    ----------
    folder : pathlib.Path, optional
        Where the runs of this machine hold their files.

    Attributes
    ----------
    runs_at_once : int
        Largest number of runs that were counted, this one included.
    """

    def __init__(self, folder: Path | None = None) -> None:
        user = getattr(os, "getuid", lambda: "")()
        self._folder = folder or Path(tempfile.gettempdir()) / f"starbench-runs-{user}"
        self._own = self._folder / str(os.getpid())
        self._kernel_seconds: list[float] = []
        self.runs_at_once = 1

    @contextmanager
    def counted(self) -> Iterator[None]:
        """Let other runs count this one, and count them at both ends."""
        try:
            self._folder.mkdir(mode=0o700, exist_ok=True)
            file = self._own.open("w")
        except OSError:  # a machine on which no temporary file can be written
            yield
            return
        with file:
            try_lock(file)
            self.count()
            try:
                yield
            finally:
                self.count()
                self._own.unlink(missing_ok=True)

    def count(self) -> None:
        """Count the runs of this machine now; remove what killed ones left."""
        live = 1
        with suppress(OSError):
            for path in self._folder.iterdir():
                if path != self._own:
                    live += _is_held(path)
        self.runs_at_once = max(live, self.runs_at_once)

    def time_kernel(self, device: str) -> None:
        """Time the reference kernel, for a run on the processor."""
        if torch.device(device).type == "cpu":
            self._kernel_seconds.append(kernel_seconds())

    def measured(self) -> Load:
        """Return what was measured; the time of the kernel is a mean [s]."""
        if not self._kernel_seconds:
            return Load(self.runs_at_once, None, None)
        return Load(self.runs_at_once, round(fmean(self._kernel_seconds), 6), KERNEL_VERSION)


def _is_held(path: Path) -> bool:
    """Return whether a process holds the lock of a file; remove the file otherwise."""
    with suppress(FileNotFoundError), path.open("r+") as file:
        if not try_lock(file):
            return True
        path.unlink(missing_ok=True)
    return False


def kernel_seconds() -> float:
    """Return the shortest time of the reference kernel [s], on the threads set before."""
    products, rows, latents, dimensions = KERNEL_SIZES
    draws = np.random.default_rng(0)
    one, other = (
        torch.from_numpy(draws.standard_normal((rows, rows), dtype=np.float32)) for _ in range(2)
    )
    latent = draws.standard_normal((latents // 2, 2, dimensions), dtype=np.float32)
    twin_ranks(latent[:2])  # compiled or loaded before it is timed
    times = []
    for _ in range(KERNEL_REPEATS):
        began = time.perf_counter()
        for _ in range(products):
            torch.mm(one, other)
        twin_ranks(latent)
        times.append(time.perf_counter() - began)
    return min(times)
