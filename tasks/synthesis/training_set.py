"""Synthesise the training and test stars of the emulator; it can be stopped and restarted.

``python -m starbench.tasks.synthesis.training_set --out DIR --stars 1500 --workers 2 --seed 1``

``--generator moog`` synthesises with the second generator. The labels are the same for both.

It makes three sets, with one file ``DIR/<set>/<index>.npz`` per star that holds ``labels`` [19] and
``flux`` [7214]:

``train``
    A scrambled Sobol sequence, so that the first n stars are a training set of their own. It covers
    the task's stars with a margin (`training_labels`).
``held-out``
    Stars drawn from the task's own distribution, from a stream that no split uses.
``response``
    `RESPONSE_STARS`, each followed by 17 copies with one abundance raised by `RESPONSE_STEP`.

On a cluster, ``starbench data synthesise --backend`` submits each star as a task of its own.

Files are written atomically. A star that fails is tried `ATTEMPTS` times in total; if it still
fails, it is listed in ``DIR/failures.csv`` and tried again at the next start.
"""

import argparse
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import nullcontext
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from starbench.common.files import atomic_path
from starbench.common.progress import bar
from starbench.tasks.apogee_giants.population import (
    COMPOSITION_NAMES,
    UNIFORMS_PER_PAIR,
    draw_compositions,
    draw_pairs,
)
from starbench.tasks.arrays import Floats
from starbench.tasks.streams import uniforms
from starbench.tasks.synthesis.engine import EngineError
from starbench.tasks.synthesis.generators import GENERATORS, Synthesis

TEFF_RANGE, LOGG_RANGE = (3950.0, 5050.0), (1.4, 3.1)
SCATTER_SCALE = 1.4
# half widths of the uniform offsets of [Fe/H] and of each [X/Fe] [dex]
FEH_SPREAD, RATIO_SPREAD = 0.05, 0.12

HELD_OUT_STARS = 220
RESPONSE_STEP = 0.1
RESPONSE_STARS = ((4100, 1.6), (4150, 2.5), (4500, 1.8), (4550, 2.7), (4850, 2.1), (4900, 2.9))

FIRST_TRAINING_STARS = 300  # made before the other sets, so that a fit can be tried early
ATTEMPTS = 3
_SECONDS_BETWEEN_LOOKS = 0.2


def training_labels(stars: int, seed: int) -> Floats:
    """Return the labels [stars, 19] of the training set.

    Teff and log g are uniform over ranges 50 K and 0.1 dex wider than the task's. Compositions are
    the population's with all scatters multiplied by `SCATTER_SCALE`, plus an independent uniform
    offset of each abundance; without it elements of small scatter would be poorly constrained.
    """
    from scipy.stats.qmc import Sobol

    abundances = len(COMPOSITION_NAMES)
    points = Sobol(2 + 19 + abundances, scramble=True, rng=seed).random(
        2 ** int(np.ceil(np.log2(stars)))
    )
    points = np.clip(points[:stars], 1e-9, 1 - 1e-9)
    low, high = np.array([TEFF_RANGE, LOGG_RANGE]).T
    spread = np.array([FEH_SPREAD] + [RATIO_SPREAD] * (abundances - 1))
    composition = draw_compositions(points[:, 2:21], SCATTER_SCALE) + spread * (
        2 * points[:, 21:] - 1
    )
    return np.column_stack([low + points[:, :2] * (high - low), composition])


def held_out_labels() -> Floats:
    """Return the labels [220, 19] of stars of the task that are in no split."""
    draws = uniforms("apogee-giants/emulator/held-out", 0, HELD_OUT_STARS, UNIFORMS_PER_PAIR)
    nuisance, composition = draw_pairs(draws)
    return np.column_stack([nuisance[:, 0], composition])


def response_labels() -> Floats:
    """Return the labels [6 x 18, 19] of the response test: a star, then one abundance raised."""
    stars = len(RESPONSE_STARS)
    draws = uniforms("apogee-giants/emulator/response", 0, stars, UNIFORMS_PER_PAIR)
    base = np.column_stack([RESPONSE_STARS, draw_pairs(draws)[1]])
    step = np.zeros((1 + len(COMPOSITION_NAMES), base.shape[1]))
    step[1:, 2:] = RESPONSE_STEP * np.eye(len(COMPOSITION_NAMES))
    return (base[:, None] + step).reshape(-1, base.shape[1])


def load_set(folder: Path) -> tuple[Floats, Floats, Floats]:
    """Return index [n], labels [n, 19] and flux [n, 7214] of the stars in a set's folder."""
    paths = sorted(folder.glob("[0-9]*.npz"))
    if not paths:
        raise FileNotFoundError(f"no spectra in {folder}; fill it with training_set")
    index = np.array([int(path.stem) for path in paths])
    stars = [np.load(path) for path in paths]
    return index, np.array([x["labels"] for x in stars]), np.array([x["flux"] for x in stars])


def save_star(path: Path, labels: Floats, flux: Floats) -> None:
    """Write the labels [19] and the flux [7214] of a star atomically."""
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        np.savez(file, labels=labels, flux=flux.astype(np.float32))


def _path(out: Path, name: str, index: int) -> Path:
    return out / name / f"{index:05d}.npz"


def _make(out: Path, name: str, index: int, labels: Floats, synthesis: Synthesis) -> str | None:
    """Synthesise and store one star; return the error, None if there was none."""
    for _ in range(ATTEMPTS):
        try:
            flux = synthesis(labels)
        except EngineError as error:
            message = str(error)
            continue
        save_star(_path(out, name, index), labels, flux)
        return None
    return message


class Pending(Protocol):
    """A call that an executor has accepted, such as `concurrent.futures.Future`."""

    def done(self) -> bool:
        """Return whether the call has ended."""

    def result(self) -> str | None:
        """Return the error of the star, None if there was none; raise what the call raised."""

    def cancel(self) -> object:
        """Give up the call, if it has not begun."""


class Executor(Protocol):
    """What runs calls elsewhere, with the interface of `concurrent.futures.Executor`.

    Dask's ``Client.get_executor()`` and submitit's executors have it too. All workers must see the
    folder of the sets.
    """

    def submit(self, function: Callable[..., str | None], /, *arguments: Any) -> Pending:
        """Let a worker call the function."""


def make_sets(
    out: Path,
    stars: int,
    seed: int,
    executor: Executor,
    *,
    generator: str = "pysme",
    quiet: bool = False,
) -> int:
    """Synthesise the stars of all sets that are missing, each as a task of its own.

    Stars that are finished stay when it is stopped, or a worker is lost; the same call continues.

    Parameters
    ----------
    out : pathlib.Path
        Folder of the sets.
    stars : int
        Number of training stars.
    seed : int
        Of the training labels.
    executor : Executor
        Where stars are synthesised. One with a method `batch`, as submitit's, gets all in one
        batch: on SLURM a job array.
    generator : str
        One of `GENERATORS`.
    quiet : bool
        Draw no progress.

    Returns
    -------
    int
        Number of stars that failed; ``failures.csv`` in the folder has the reasons.
    """
    out = out.resolve()  # workers may start elsewhere
    train = list(enumerate(training_labels(stars, seed)))
    first = FIRST_TRAINING_STARS
    jobs = [("train", *star) for star in train[:first]]
    jobs += [("held-out", *star) for star in enumerate(held_out_labels())]
    jobs += [("response", *star) for star in enumerate(response_labels())]
    jobs += [("train", *star) for star in train[first:]]
    for name in ("train", "held-out", "response"):
        (out / name).mkdir(parents=True, exist_ok=True)
    synthesis = GENERATORS[generator].synthesis()
    missing = [job for job in jobs if not _path(out, *job[:2]).exists()]

    failed = 0
    with (out / "failures.csv").open("w") as log:
        log.write("set,index,reason\n")
        with getattr(executor, "batch", nullcontext)():
            pending = {executor.submit(_make, out, *job, synthesis): job for job in missing}
        try:
            done = len(jobs) - len(missing)
            for future in bar(
                _as_they_end(pending), total=len(jobs), initial=done, label="stars", quiet=quiet
            ):
                name, index, _ = pending.pop(future)
                if reason := _reason(future):
                    failed += 1
                    log.write(f'{name},{index},"{reason}"\n')
                    log.flush()
        finally:
            for future in pending:
                future.cancel()
    return failed


def _as_they_end(pending: Iterable[Pending]) -> Iterator[Pending]:
    """Yield calls as they end; not every executor's work with `concurrent.futures`."""
    left = list(pending)
    while left:
        ended = {future for future in left if future.done()}
        yield from ended
        left = [future for future in left if future not in ended]
        if not ended:
            time.sleep(_SECONDS_BETWEEN_LOOKS)


def _reason(future: Pending) -> str | None:
    """Return why a star failed, in one line; None if it did not."""
    try:
        reason = future.result()
    except Exception as error:  # of the executor, such as a worker that was killed
        last = str(error).strip().splitlines()[-1:]  # submitit's holds a traceback
        reason = ": ".join([type(error).__name__, *last])
    return None if reason is None else " ".join(reason.replace('"', "'").split())


def main() -> None:
    """Synthesise the stars that are missing, in processes of this machine."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True, help="folder of the sets")
    parser.add_argument("--stars", type=int, default=1500, help="training stars")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--seed", type=int, default=1, help="seed of the training labels")
    parser.add_argument("--generator", choices=list(GENERATORS), default="pysme")
    options = parser.parse_args()
    with ProcessPoolExecutor(options.workers) as pool:
        make_sets(options.out, options.stars, options.seed, pool, generator=options.generator)


if __name__ == "__main__":
    main()
