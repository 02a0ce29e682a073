"""Memory and time of methods on a survey larger than the memory, with errors and masked pixels.

    python -m benchmarks.survey_memory --stars 20000 --folder /scratch    # minutes
    python -m benchmarks.survey_memory --stars 1000000 --folder /scratch  # 58 GB of disk, an hour
    python -m benchmarks.survey_memory --stars 100000 --folder /scratch --files  # and data import
    # The import alone of a million, on 60 GB of disk: 20,000 stars, read 50 times.
    python -m benchmarks.survey_memory --stars 1000000 --folder /scratch --methods \\
        --files --written 20000

Makes stars whose spectra of 7,214 pixels are a quadratic of 3 nuisances and 20 other numbers, with
an error for each pixel and 6 % of them masked, and reads them as a run does, into shuffled rows on
disk (training spectra always, however few there are). Then fits pca, polynomial-residual and one
epoch of fader, and encodes the test stars, of which the share that finds its sibling nearest is
shown. With ``--files`` the stars are first written as Parquet rows and imported into one HDF5 file,
each of which takes as much disk again. With ``--written N`` only N training stars are written, and
their file is read under as many names as make ``--stars``. The peak is that of the process's
resident memory, libraries included, and starts anew at each step; it is known on Linux only.
"""

import argparse
import dataclasses
import os
import sys
import time
from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from tabulate import tabulate

from starbench import metrics
from starbench.common.provenance import peak_memory_bytes
from starbench.evaluation import views
from starbench.evaluation.encoding import encode_split
from starbench.methods.base import Silent, View
from starbench.methods.registry import get_method, make_hyperparameters
from starbench.tasks.base import SPLITS, Split, Task
from starbench.tasks.card import Card
from starbench.tasks.export import export
from starbench.tasks.storage.cache import ENVIRONMENT
from starbench.tasks.survey.choices import Choices
from starbench.tasks.survey.importing import import_survey

METHODS: dict[str, tuple[str, ...]] = {
    "pca": (),
    "polynomial-residual": (),
    "fader": ("epochs=1",),
}
_SCALE = "full"
_N_PIXELS, _N_NUISANCE, _N_HIDDEN, _RANK = 7214, 3, 20, 60
_HELD_OUT = 4000  # stars in validation, and in test
_MASKED_SHARE = 0.06


class MadeSurvey(Task):
    """Stars of made spectra; those of validation and test have one sibling each."""

    chunk_pairs = 1024

    def __init__(self, n_stars: int) -> None:
        super().__init__()
        self.card = Card(
            name="made-survey",
            version=1,
            family="made-survey",
            reference="none",
            licence="none",
            nuisance_names=("teff", "logg", "fe_h"),
            nuisance_units=("K", "dex", "dex"),
            elements=(),
            sizes={_SCALE: {"train": n_stars, "validation": _HELD_OUT, "test": _HELD_OUT}},
            survey=True,
            changelog={1: "first"},
        )

    @cached_property
    def wavelength(self) -> np.ndarray:
        """Wavelength of each pixel."""
        return np.linspace(15100.0, 17000.0, _N_PIXELS)

    @cached_property
    def _made_of(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Mixing of terms into axes, the axes [rank, n_pixels], and the relative noise."""
        rng = np.random.default_rng(0)
        n_inputs = _N_NUISANCE + _N_HIDDEN
        mixing = rng.normal(size=(n_inputs + n_inputs * (n_inputs + 1) // 2, _RANK))
        mixing[n_inputs:] *= 0.1
        axes = rng.normal(size=(_RANK, _N_PIXELS)) * (rng.random((_RANK, _N_PIXELS)) < 0.03)
        profile = np.exp(-0.5 * (np.arange(-12, 13) / 4.0) ** 2)
        axes = np.stack([np.convolve(axis, profile, mode="same") for axis in axes])
        sky = 1 + 4 * (rng.random(_N_PIXELS) < 0.03)
        return mixing.astype(np.float32) / n_inputs, 0.05 * axes.astype(np.float32), sky

    def make(self, split: str, start: int, stop: int) -> Split:
        """Make a chunk of stars."""
        mixing, axes, sky = self._made_of
        rng = np.random.default_rng([SPLITS.index(split), start])
        n = stop - start
        group = np.arange(start, stop) // (1 if split == "train" else 2)
        nuisance = rng.normal(size=(n, _N_NUISANCE))
        hidden = rng.normal(size=(n, _N_HIDDEN))[group - group[0]]
        inputs = np.concatenate([nuisance, hidden], 1).astype(np.float32)
        first, second = np.triu_indices(inputs.shape[1])
        terms = np.concatenate([inputs, inputs[:, first] * inputs[:, second]], 1)
        snr = np.exp(rng.normal(np.log(110), 0.4, (n, 1))).clip(40, 300)
        error = (sky / snr).astype(np.float32)
        flux = 1 + terms @ mixing @ axes + error * rng.standard_normal(error.shape, np.float32)
        masked = rng.random(error.shape, np.float32) < _MASKED_SHARE
        flux[masked], error[masked] = 1, np.inf
        seen = flux[:, None]
        return Split(
            seen, nuisance[:, None].astype(np.float32), None, seen, error=error[:, None],
            group=group,
        )  # fmt: skip

    def fingerprint(self, scale: str) -> str:
        """Return a text; no row is tied to these data."""
        return "made-survey"


def measured(step: str, work: Callable[[], Any]) -> tuple[Any, list[Any]]:
    """Return the result of a step, and its name, wall and CPU time [s] and peak memory [GB]."""
    Path("/proc/self/clear_refs").write_text("5")  # the peak so far is forgotten
    wall, cpu = time.perf_counter(), time.process_time()
    result = work()
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    peak = peak_memory_bytes() / 1e9
    print(f"{step}: {wall:,.0f} s, {peak:.2f} GB", file=sys.stderr, flush=True)
    return result, [step, wall, cpu, peak]


def nearest(name: str, settings: tuple[str, ...], task: Task, train: View) -> float:
    """Fit a method; return the share of test stars whose sibling is the nearest of all."""
    kind = get_method(name)
    method = kind(make_hyperparameters(kind, settings=settings), seed=0)
    validation, test = (
        views.view_split(task, split, _SCALE, kind.label_access, 0)
        for split in ("validation", "test")
    )
    labels = train.nuisance if kind.label_access != "none" else None
    method.fit(dataclasses.replace(train, nuisance=labels), validation.view, Silent())
    latent = encode_split(method, test)
    ranks = metrics.twin_ranks(latent.reshape(len(latent) // 2, 2, -1))
    return float((ranks.rank == 1).mean())


def through_files(task: Task, folder: Path, n_copies: int) -> list[list[Any]]:
    """Write the stars as Parquet rows and import them, as `starbench data import` does."""
    with TemporaryDirectory(dir=folder) as name:
        rows, imported = Path(name) / "rows", Path(name) / "survey.h5"
        _, written = measured(
            "write Parquet", lambda: export(task, _SCALE, rows, "parquet", progress=False)
        )
        (train,) = rows.rglob("train*.parquet")
        for copy in range(1, n_copies):
            train.with_stem(f"train-{copy:05d}").hardlink_to(train)
        _, read = measured(
            "import", lambda: import_survey([rows], imported, Choices(), progress=False)
        )
        n_read = sum(file.stat().st_size for file in rows.rglob("*.parquet"))
        n_bytes = imported.stat().st_size
    print(f"Parquet {n_read / 1e9:.1f} GB in {n_copies + 2} names, HDF5 {n_bytes / 1e9:.1f} GB")
    return [[*written, None], [*read, None]]


def fits(task: Task, names: Sequence[str]) -> list[list[Any]]:
    """Read the training stars into rows on disk, and fit each method to them."""

    def read() -> View:
        return views.view_split(task, "train", _SCALE, "nuisance", 0).view

    train, line = measured("make and read", read)
    lines = [[*line, None]]
    for name in names:
        settings = METHODS[name]
        share, line = measured(
            " ".join((name, *settings)), lambda n=name, s=settings: nearest(n, s, task, train)
        )
        lines.append([*line, share])
    n_bytes = train.flux.nbytes + (0 if train.error is None else train.error.nbytes)
    print(f"{len(train.flux):,} training stars, {n_bytes / 1e9:,.1f} GB of flux and errors\n")
    return lines


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--stars", type=int, default=20_000, help="training stars")
    parser.add_argument("--folder", type=Path, required=True, help="where spectra are kept")
    parser.add_argument("--methods", nargs="*", choices=list(METHODS), default=list(METHODS))
    parser.add_argument("--files", action="store_true", help="write Parquet and import it first")
    parser.add_argument(
        "--written", type=int, metavar="N", help="distinct training stars of --files; divides them"
    )
    arguments = parser.parse_args()
    os.environ[ENVIRONMENT] = str(arguments.folder)
    views.LARGEST_IN_MEMORY = 0
    task = MadeSurvey(arguments.stars)
    lines = []
    if arguments.files:
        n_written = arguments.written or arguments.stars
        if arguments.stars % n_written:
            parser.error(f"--written {n_written} does not divide {arguments.stars} stars")
        lines += through_files(
            MadeSurvey(n_written), arguments.folder, arguments.stars // n_written
        )
    if arguments.methods:
        lines += fits(task, arguments.methods)
    columns = ["step", "seconds", "CPU s", "peak memory [GB]", "sibling nearest"]
    formats = ("", ",.0f", ",.0f", ".2f", ".1%")
    print(tabulate(lines, columns, tablefmt="github", floatfmt=formats))
    return 0


if __name__ == "__main__":
    sys.exit(main())
