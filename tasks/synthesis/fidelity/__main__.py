"""Write the report on fidelity, ``FIDELITY.md``, and its figures; measure first if asked to.

``python -m starbench.tasks.synthesis.fidelity`` renders the report from the stored measurements,
``fidelity.json`` (numbers) and ``fidelity.npz`` (what the figures show). With ``--measure DIR
--published FILE`` it measures first: DIR is the folder that `training_set` filled, FILE an HDF5
file of the spectra published by de Mijolla, Ness, Viti & Wheeler (2021, ApJ 913, 12). Those come
without a licence and are therefore not part of this repository; `measure.read_published` says what
the file holds.
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
from starbench.tasks.synthesis.fidelity.measure import measure, read_published
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
    if (options.measure is None) != (options.published is None):
        parser.error("--measure and --published go together")
    if options.measure is not None:
        numbers, arrays = measure(options.measure, options.published)
        NUMBERS_PATH.write_text(json.dumps(numbers, indent=1) + "\n")
        np.savez_compressed(ARRAYS_PATH, **arrays)  # type: ignore[arg-type]  # mypy takes an array for `allow_pickle`
        published = read_published(options.published)
        figure = draw_published_figure(
            arrays["published_synthesis"], published.flux, published.labels
        )
        save(figure, "published.png")
    write_report()


if __name__ == "__main__":
    main()
