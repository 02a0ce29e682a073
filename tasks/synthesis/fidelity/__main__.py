"""Write the report on fidelity, ``FIDELITY.md``, and its figures; measure first if asked to.

``python -m starbench.tasks.synthesis.fidelity`` renders the report from the stored measurements,
``fidelity.json`` (numbers) and ``fidelity.npz`` (what the figures show). With ``--measure DIR`` it
first measures the emulator against PySME: DIR is the folder that `training_set` filled. With
``--published FILE`` it first measures the emulator against the spectra published by de Mijolla,
Ness, Viti & Wheeler (2021, ApJ 913, 12), which takes seconds. Those come without a licence and are
therefore not part of this repository; `published.read_published` says what the file holds.
"""

import argparse
import json
from pathlib import Path

import numpy as np

from starbench.tasks.apogee_giants.emulator import Emulator
from starbench.tasks.synthesis.fidelity import ARRAYS_PATH, FOLDER, NUMBERS_PATH, REPORT_PATH
from starbench.tasks.synthesis.fidelity.figures import (
    draw_emulator_figure,
    draw_published_figure,
    save,
)
from starbench.tasks.synthesis.fidelity.measure import measure
from starbench.tasks.synthesis.fidelity.published import measure_published, read_published
from starbench.tasks.synthesis.fidelity.report import render


def write_report() -> None:
    """Write ``FIDELITY.md`` and the emulator's figure from the stored measurements."""
    numbers = json.loads(NUMBERS_PATH.read_text())
    with np.load(ARRAYS_PATH) as file:
        arrays = dict(file)
    comparison = (FOLDER / "comparison.csv").read_text()
    REPORT_PATH.write_text(render(numbers, Emulator.load().facts, comparison))
    save(draw_emulator_figure(numbers, arrays), "emulator.png")


def main() -> None:
    """Measure, if asked to, and write the report."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--measure", type=Path, metavar="DIR", help="folder of the sets")
    parser.add_argument("--published", type=Path, metavar="FILE", help="the published spectra")
    options = parser.parse_args()
    numbers = json.loads(NUMBERS_PATH.read_text())
    if options.measure is not None:
        measured, arrays = measure(options.measure)
        numbers |= measured
        np.savez_compressed(ARRAYS_PATH, **arrays)  # type: ignore[arg-type]  # mypy takes an array for `allow_pickle`
    if options.published is not None:
        published, emulator = read_published(options.published), Emulator.load()
        numbers |= measure_published(published, emulator)
        flux = emulator.flux(published.labels)
        save(draw_published_figure(flux, published.flux, published.labels), "published.png")
    NUMBERS_PATH.write_text(json.dumps(numbers, indent=1) + "\n")
    write_report()


if __name__ == "__main__":
    main()
