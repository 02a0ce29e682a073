"""Write the report on fidelity, ``FIDELITY.md``, and its figures; measure first if asked to.

``python -m starbench.tasks.synthesis.fidelity`` renders the report from the stored measurements,
``fidelity.json`` (numbers) and ``fidelity.npz`` (what the figures show). With ``--measure DIR`` it
first measures the emulator against PySME: DIR is the folder that `training_set` filled. With
``--published FILE`` it first measures the emulator against the spectra published by de Mijolla,
Ness, Viti & Wheeler (2021, ApJ 913, 12), which takes seconds. Those come without a licence and are
therefore not part of this repository; `published.read_published` says what the file holds.

With ``--second DIR``, the folder that `training_set` filled with the second generator, its emulator
is measured against MOOG and the two generators against each other. With ``--arcturus ATLAS`` both
are measured against Arcturus (`moog.arcturus.read_atlas`). Both need MOOG, except where DIR holds
what an earlier measurement synthesised.
"""

import argparse
import json
from pathlib import Path

import numpy as np

from starbench.tasks.apogee_giants.emulator import Emulator
from starbench.tasks.synthesis.fidelity import (
    ARRAYS_PATH,
    FOLDER,
    NUMBERS_PATH,
    REPORT_PATH,
    SECOND_ARRAYS_PATH,
    SECOND_NUMBERS_PATH,
    second,
)
from starbench.tasks.synthesis.fidelity.figures import (
    draw_arcturus_figure,
    draw_corrections_figure,
    draw_emulator_figure,
    draw_published_figure,
    draw_second_figure,
    save,
)
from starbench.tasks.synthesis.fidelity.measure import measure
from starbench.tasks.synthesis.fidelity.published import measure_published, read_published
from starbench.tasks.synthesis.fidelity.report import render
from starbench.tasks.synthesis.moog.lines import load_lines


def write_report() -> None:
    """Write ``FIDELITY.md`` and the emulator's figure from the stored measurements."""
    numbers = json.loads(NUMBERS_PATH.read_text())
    with np.load(ARRAYS_PATH) as file:
        arrays = dict(file)
    comparison = (FOLDER / "comparison.csv").read_text()
    second_numbers = json.loads(SECOND_NUMBERS_PATH.read_text())
    with np.load(SECOND_ARRAYS_PATH) as file:
        second_arrays = dict(file)
    facts, second_facts = Emulator.load().facts, second.load_second().facts
    REPORT_PATH.write_text(render(numbers, facts, comparison, second_numbers, second_facts))
    save(draw_emulator_figure(numbers, arrays), "emulator.png")
    save(draw_second_figure(second_arrays), "second-emulator.png")
    save(draw_corrections_figure(load_lines()), "corrections.png")


def main() -> None:
    """Measure, if asked to, and write the report."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--measure", type=Path, metavar="DIR", help="folder of the sets")
    parser.add_argument("--published", type=Path, metavar="FILE", help="the published spectra")
    parser.add_argument("--second", type=Path, metavar="DIR", help="folder of the second's sets")
    parser.add_argument("--arcturus", type=Path, metavar="ATLAS", help="the atlas of Arcturus")
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
        second.save_numbers(second.measure_second_published(options.published))
    if options.second is not None:
        measured, arrays = second.measure_second(options.second)
        second.save_numbers(measured)
        np.savez_compressed(SECOND_ARRAYS_PATH, **arrays)  # type: ignore[arg-type]  # as above
    if options.arcturus is not None:
        spectra = second.arcturus_spectra(options.arcturus)
        second.save_numbers(second.measure_arcturus(spectra))
        save(draw_arcturus_figure(spectra), "arcturus.png")
    NUMBERS_PATH.write_text(json.dumps(numbers, indent=1) + "\n")
    write_report()


if __name__ == "__main__":
    main()
