"""What all measurements share: a figure, and a process of its own to take it in."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
# Every library that could start threads by itself; torch is told again, in the process.
_THREAD_VARIABLES = (
    "MKL_NUM_THREADS",
    "NUMBA_NUM_THREADS",
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
)


class Failed(RuntimeError):
    """A measurement that did not come to its end, or that showed a wrong result."""


@dataclass(frozen=True)
class Size:
    """How much is measured.

    Attributes
    ----------
    stars, dimensions, large, rounds : int
        Latents that are ranked by all, their dimensions, latents that are ranked by starbench
        alone, and how often each ranking is repeated.
    spectra : int
        Training spectra of an epoch.
    pixels : int, or None
        How many of a spectrum's pixels; all if None.
    steps : dict of str to (int, int)
        For each network the steps that warm up and the steps that are measured.
    scale : str
        Scale of the data set that is built.
    threads : tuple of int
        On how many threads training and building are measured, where there are as many cores.
    syntheses : int
        Spectra of PySME that are measured, after one that is not; 0 for none.
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
# Takes seconds, and says nothing of speed.
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
        What came before the measurement and is not in it [s].
    memory : float
        [MB]; the table says of what.
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
    """Figures that are compared with the first of them."""

    caption: str
    memory: str
    figures: list[Figure]


@dataclass(frozen=True)
class Section:
    """One part of the results: how it was measured, the tables, and what else was seen."""

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

    Memory and the state of libraries are then those of the one measurement.
    """
    environment = os.environ | dict.fromkeys(_THREAD_VARIABLES, str(threads))
    command = [sys.executable, "-m", module, json.dumps({"threads": threads, **arguments})]
    done = subprocess.run(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True)
    if done.returncode:
        raise Failed(f"{module} {arguments} ended with status {done.returncode}")
    return json.loads(done.stdout.splitlines()[-1])
