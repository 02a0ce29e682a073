"""What all measurements share: sizes, tables, and a separate process for each measurement."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
# Of every library that starts threads; torch's number is set again in the process.
_THREAD_VARIABLES = (
    "MKL_NUM_THREADS",
    "NUMBA_NUM_THREADS",
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
)


class Failed(RuntimeError):
    """A measurement that did not finish, or that gave a wrong result."""


@dataclass(frozen=True)
class Size:
    """How much is measured.

    Attributes
    ----------
    stars, dimensions, large, rounds : int
        Number of latents that all methods rank, their dimensions, number of latents that only
        starbench ranks, and repetitions of each ranking.
    spectra : int
        Training spectra of an epoch.
    pixels : int, or None
        Pixels of a spectrum that are used; None for all.
    steps : dict of str to (int, int)
        For each network the warm-up steps and the measured steps.
    scale : str
        Scale of the data set to build.
    threads : tuple of int
        Numbers of threads on which training and building are measured, if there are as many cores.
    syntheses : int
        Measured spectra of PySME, after one that is not measured; 0 for none.
    """

    stars: int
    dimensions: int
    large: int
    rounds: int
    spectra: int
    pixels: int | None
    steps: dict[str, tuple[int, int]]
    scale: str
    threads: tuple[int, ...]
    syntheses: int


FULL = Size(
    stars=25_000,
    dimensions=20,
    large=100_000,
    rounds=3,
    spectra=50_000,
    pixels=None,
    steps={"default": (20, 195), "published": (3, 15)},
    scale="full",
    threads=(1, 2),
    syntheses=5,
)
# Takes seconds; its times mean nothing.
TINY = Size(
    stars=400,
    dimensions=20,
    large=1000,
    rounds=1,
    spectra=256,
    pixels=64,
    steps={"default": (1, 2), "published": (1, 2)},
    scale="tiny",
    threads=(1,),
    syntheses=0,
)


@dataclass(frozen=True)
class Figure:
    """One line of a table.

    Attributes
    ----------
    name : str
        What was measured, with the version of the library.
    seconds, cpu : float
        Wall and CPU time [s], for the full amount of work that the table is about.
    excluded : float
        Time before the measurement, which is not part of it [s].
    memory : float
        [MB]; the table says which memory.
    note : str
    """

    name: str
    seconds: float
    cpu: float
    excluded: float
    memory: float
    note: str = ""


@dataclass(frozen=True)
class Table:
    """Figures, compared with the first of them."""

    caption: str
    memory: str
    figures: list[Figure]


@dataclass(frozen=True)
class Section:
    """One part of the results: how it was measured, the tables, and remarks."""

    title: str
    text: str
    tables: list[Table]
    remarks: list[str] = field(default_factory=list)


def in_words(threads: int) -> str:
    """Return "one thread", "two threads" or a number of them."""
    return {1: "one thread", 2: "two threads"}.get(threads, f"{threads} threads")


def middle(timings: list[tuple[float, float]]) -> tuple[float, float]:
    """Return the medians of wall and CPU times."""
    wall, cpu = zip(*timings, strict=True)
    return median(wall), median(cpu)


def in_child(module: str, threads: int, **arguments: Any) -> dict[str, Any]:
    """Run ``python -m module`` with arguments as JSON, and read the JSON that it prints last.

    Memory and the state of libraries are then those of this measurement alone.
    """
    environment = os.environ | dict.fromkeys(_THREAD_VARIABLES, str(threads))
    command = [sys.executable, "-m", module, json.dumps({"threads": threads, **arguments})]
    done = subprocess.run(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True)
    if done.returncode:
        raise Failed(f"{module} {arguments} ended with status {done.returncode}")
    return json.loads(done.stdout.splitlines()[-1])
