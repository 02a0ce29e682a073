"""Synthesise the training and test stars of the emulator; it can be stopped and restarted.

``python -m starbench.tasks.synthesis.training_set --out DIR --stars 1500 --workers 2 --seed 1``

It makes three sets, with one file ``DIR/<set>/<index>.npz`` per star that holds ``labels`` [19] and
``flux`` [7214]:

``train``
    A scrambled Sobol sequence, so that the first n stars are a training set of their own. It covers
    the task's stars with a margin (`training_labels`).
``held-out``
    Stars drawn from the task's own distribution, from a stream that no split uses.
``response``
    `RESPONSE_STARS`, each followed by 17 copies with one abundance raised by `RESPONSE_STEP`.

Files are written atomically. A star that fails is tried `ATTEMPTS` times in total; if it still
fails, it is listed in ``DIR/failures.csv`` and tried again at the next start.
"""

import argparse
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path

import numpy as np
from tqdm import tqdm

from starbench.common.files import atomic_path
from starbench.tasks.apogee_giants.population import (
    COMPOSITION_NAMES,
    UNIFORMS_PER_PAIR,
    draw_compositions,
    draw_pairs,
)
from starbench.tasks.arrays import Floats
from starbench.tasks.streams import uniforms
from starbench.tasks.synthesis.engine import EngineError
from starbench.tasks.synthesis.spectrum import synthesise

TEFF_RANGE, LOGG_RANGE = (3950.0, 5050.0), (1.4, 3.1)
SCATTER_SCALE = 1.4
# half widths of the uniform offsets of [Fe/H] and of each [X/Fe] [dex]
FEH_SPREAD, RATIO_SPREAD = 0.05, 0.12

HELD_OUT_STARS = 220
RESPONSE_STEP = 0.1
RESPONSE_STARS = ((4100, 1.6), (4150, 2.5), (4500, 1.8), (4550, 2.7), (4850, 2.1), (4900, 2.9))

FIRST_TRAINING_STARS = 300  # made before the other sets, so that a fit can be tried early
ATTEMPTS = 3


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


def _make(out: Path, name: str, index: int, labels: Floats) -> str | None:
    """Synthesise and store one star; return the error, None if there was none."""
    for _ in range(ATTEMPTS):
        try:
            flux = synthesise(labels)
        except EngineError as error:
            message = str(error)
            continue
        save_star(_path(out, name, index), labels, flux)
        return None
    return message


def main() -> None:
    """Synthesise the stars that are missing."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True, help="folder of the sets")
    parser.add_argument("--stars", type=int, default=1500, help="training stars")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--seed", type=int, default=1, help="seed of the training labels")
    options = parser.parse_args()

    train = list(enumerate(training_labels(options.stars, options.seed)))
    first = FIRST_TRAINING_STARS
    jobs = [("train", *star) for star in train[:first]]
    jobs += [("held-out", *star) for star in enumerate(held_out_labels())]
    jobs += [("response", *star) for star in enumerate(response_labels())]
    jobs += [("train", *star) for star in train[first:]]
    for name in ("train", "held-out", "response"):
        (options.out / name).mkdir(parents=True, exist_ok=True)
    missing = [job for job in jobs if not _path(options.out, *job[:2]).exists()]

    failures = options.out / "failures.csv"
    with ProcessPoolExecutor(options.workers) as pool, failures.open("w") as log:
        log.write("set,index,reason\n")
        futures = {pool.submit(_make, options.out, *job): job for job in missing}
        done = len(jobs) - len(missing)
        for future in tqdm(as_completed(futures), total=len(jobs), initial=done, desc="stars"):
            name, index, _ = futures[future]
            if reason := future.result():
                log.write(f'{name},{index},"{reason}"\n')
                log.flush()


if __name__ == "__main__":
    main()
