"""Measure the second generator: its emulator, the two generators against each other, and Arcturus.

Emulators stand in for the generators where those are compared with each other, as their errors are
far below the differences found.
"""

import itertools
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy.ndimage import gaussian_filter1d
from tqdm import tqdm

from starbench.tasks.apogee_giants.emulator import Emulator
from starbench.tasks.apogee_giants.population import COMPOSITION_NAMES
from starbench.tasks.arrays import Floats, Labels
from starbench.tasks.synthesis import spectrum as first_spectrum
from starbench.tasks.synthesis import training_set
from starbench.tasks.synthesis.fidelity import DEEP, SECOND_NUMBERS_PATH
from starbench.tasks.synthesis.fidelity.measure import REFINED_STARS, response_table, rms
from starbench.tasks.synthesis.fidelity.published import measure_published, read_published
from starbench.tasks.synthesis.generators import SECOND_EMULATOR
from starbench.tasks.synthesis.moog import arcturus, engine, spectrum
from starbench.tasks.synthesis.moog.fit_lines import RECORD_PATH
from starbench.tasks.synthesis.moog.lines import is_molecule, load_lines, species_group
from starbench.tasks.synthesis.spectrum import LABEL_NAMES
from starbench.tasks.synthesis.train_emulator import error_statistics
from starbench.tasks.synthesis.wavelengths import CHIPS, LOG_STEP

FINE = {"step": 0.02, "reach": 3.0}
TEMPERATURES = (4000, 4250, 4500, 4750, 5000)  # K, edges of the bins of held-out stars


def load_second() -> Emulator:
    """Load the emulator of the second generator."""
    return Emulator.load(SECOND_EMULATOR)


def _stored(path: Path, labels: Floats, **settings: Any) -> Floats:
    """Return the flux [7214] of one star by MOOG, from the file if that exists."""
    if not path.exists():
        path.parent.mkdir(exist_ok=True)
        training_set.save_star(path, labels, spectrum.synthesise(labels, **settings))
    with np.load(path) as file:
        if not np.array_equal(file["labels"], labels):
            raise ValueError(f"{path} holds another star; delete it")
        flux: Floats = file["flux"].astype(float)
    return flux


def _changes(flux: Labels) -> Floats:
    """Return the responses [stars, elements, pixels] of the set ``response``."""
    blocks = flux.reshape(len(training_set.RESPONSE_STARS), 1 + len(COMPOSITION_NAMES), -1)
    change: Floats = blocks[:, 1:].astype(float) - blocks[:, :1]
    return change


def measure_second(sets: Path) -> tuple[dict[str, Any], dict[str, Floats]]:
    """Measure the emulator against MOOG, and the generators against each other.

    The spectra of the list before the fit are synthesised if the folder lacks them, which takes
    some minutes.

    Parameters
    ----------
    sets : pathlib.Path
        Folder that `training_set` filled with the second generator.

    Returns
    -------
    numbers : dict
        Numbers of the report.
    arrays : dict of numpy.ndarray
        What its figures show.
    """
    second, first = load_second(), Emulator.load()
    _, labels, flux = training_set.load_set(sets / "held-out")
    emulated = second.flux(labels).astype(float)
    error, other = emulated - flux, first.flux(labels).astype(float)
    stars = rms(error, axis=1)
    numbers: dict[str, Any] = {
        "emulator_sha256": second.sha256,
        "held_out": error_statistics(error),
        "held_out_greatest": float(np.abs(error).max()),
        "held_out_scatter": float(rms(flux - flux.mean(axis=0))),
        "worst_star": dict(zip(LABEL_NAMES, labels[stars.argmax()].tolist(), strict=True)),
        "spectra": _compare_spectra(labels, emulated, other),
    }
    arrays = {
        "pixel_rms": rms(error, axis=0),
        "star_rms": stars,
        "star_labels": labels,
        "difference_rms": rms(emulated - other, axis=0),
    }
    _, labels, flux = training_set.load_set(sets / "response")
    exact, emulated = _changes(flux), _changes(second.flux(labels))
    numbers["response"] = response_table(emulated, exact)
    numbers["generators"] = response_table(emulated, _changes(first.flux(labels)))
    before = [
        _stored(sets / "fidelity" / f"before-{star:03d}.npz", x, corrected=False)
        for star, x in enumerate(tqdm(labels, "list before the fit"))
    ]
    numbers["fit"] = response_table(exact, _changes(np.array(before)))
    numbers["settings"] = _refinements(sets, labels, flux)
    return numbers, {name: np.asarray(x, np.float32) for name, x in arrays.items()}


def _compare_spectra(labels: Floats, second: Floats, first: Floats) -> list[dict[str, float]]:
    """Compare the generators star by star; return the means of all stars and of bins of Teff."""
    difference = rms(second - first, axis=1)
    correlation = np.array([np.corrcoef(x, y)[0, 1] for x, y in zip(second, first, strict=True)])
    bins = [(TEMPERATURES[0], TEMPERATURES[-1])]
    bins += list(itertools.pairwise(TEMPERATURES))
    rows = []
    for low, high in bins:
        part = (labels[:, 0] >= low) & (labels[:, 0] <= high)
        rows.append(
            {
                "low": low,
                "high": high,
                "stars": int(part.sum()),
                "rms": float(rms(difference[part])),
                "correlation": float(correlation[part].mean()),
                "depth_rms": float(rms(1 - second[part])),
                "first_depth_rms": float(rms(1 - first[part])),
            }
        )
    return rows


def _refinements(sets: Path, labels: Floats, flux: Floats) -> list[dict[str, Any]]:
    """Return the change of the flux when a numerical setting of MOOG is refined."""
    rows = []
    for star in REFINED_STARS:
        index = star * (1 + len(COMPOSITION_NAMES))
        for name, value in FINE.items():
            path = sets / "fidelity" / f"refined-{name}-{star}.npz"
            change = _stored(path, labels[index], **{name: value}) - flux[index]
            rows.append(
                {
                    "Teff": labels[index, 0],
                    "logg": labels[index, 1],
                    "refined": name,
                    "default": {"step": engine.STEP, "reach": engine.REACH}[name],
                    "fine": value,
                    "rms": float(rms(change)),
                    "greatest": float(np.abs(change).max()),
                }
            )
    return rows


def measure_second_published(path: Path) -> dict[str, Any]:
    """Compare the second generator with the published spectra (`published.read_published`)."""
    measured = measure_published(read_published(path), load_second())
    return {
        "published": {
            name: float(np.mean([row[name] for row in measured["published"]]))
            for name in ("rms", "correlation")
        },
        "published_differences": {
            name: measured["differences"][name]
            for name in ("correlation", "rms_left_by_fit", "correlation_of_abundances")
        },
    }


def arcturus_spectra(atlas: Path) -> dict[str, Floats]:
    """Return Arcturus [7214] in the atlas, by MOOG before and after the fit, and by PySME.

    PySME's is emulated, with [O/Fe] at the limit of the emulator's range if it is beyond, and
    broadened from the macroturbulence of the task's stars to that of Arcturus.
    """
    labels = arcturus.labels(json.loads(RECORD_PATH.read_text())["changes"])
    model = spectrum.star(labels, arcturus.MICROTURBULENCE, arcturus.CARBON_ISOTOPES)
    pixels = spectrum.to_pixels(macroturbulence=arcturus.MACROTURBULENCE)
    first = Emulator.load()
    emulated = first.flux(np.clip(labels, *first.label_ranges.T)[None])[0].astype(float)
    # variance along the line of sight of a disc's radial-tangential macroturbulence
    added = (arcturus.MACROTURBULENCE**2 - first_spectrum.MACROTURBULENCE**2) / 4
    width = np.sqrt(added) / (np.log(10) * LOG_STEP * spectrum.SPEED_OF_LIGHT)  # pixels
    edges = np.cumsum([last - start for start, last in CHIPS])[:-1]
    chips = [gaussian_filter1d(chip, width, mode="nearest") for chip in np.split(emulated, edges)]
    moog = {
        name: 1 - pixels @ (1 - engine.spectrum(model, *spectrum.line_lists(corrected)))
        for name, corrected in (("before", False), ("after", True))
    }
    return {
        "atlas": arcturus.on_pixels(*arcturus.read_atlas(atlas)),
        "first": np.concatenate(chips),
        **moog,
    }


def measure_arcturus(spectra: dict[str, Floats]) -> dict[str, Any]:
    """Compare the spectra that `arcturus_spectra` returns; nothing is adjusted."""
    atlas = spectra["atlas"]
    return {
        "arcturus": {
            name: {
                "rms": float(rms(flux - atlas)),
                "correlation": float(np.corrcoef(flux, atlas)[0, 1]),
            }
            for name, flux in spectra.items()
            if name != "atlas"
        }
    }


def deep_lines(lines: pd.DataFrame) -> pd.DataFrame:
    """Return the listed lines that take more than `DEEP` from Arcturus, before or after the fit."""
    depth = lines["depth"] * np.maximum(1, 10 ** -lines["correction"])
    return lines[(depth > DEEP) & (lines["origin"] != "anonymous")]


def corrections() -> list[dict[str, Any]]:
    """Return the distribution of the corrections of log gf, all atoms and molecules and by species.

    Counted are the lines that were in a list and are deep before or after the fit
    (`deep_lines`); of the species, those with at least five such lines.
    """
    lines = deep_lines(load_lines())
    molecule, species = is_molecule(lines), species_group(lines)
    parts = {"atoms": ~molecule, "molecules": molecule}
    parts |= {name: (species == name).to_numpy() for name in species.unique()}
    rows: list[dict[str, Any]] = []
    for name, part in parts.items():
        values = lines["correction"].to_numpy()[part]
        if len(values) >= 5:
            low, median, high = np.percentile(values, (16, 50, 84))
            rows.append(
                {
                    "species": _name(name),
                    "lines": len(values),
                    "median": float(median),
                    "low": float(low),
                    "high": float(high),
                    "rms": float(rms(values)),
                    "beyond": float(np.mean(np.abs(values) > 0.5)),
                }
            )
    return rows[:2] + sorted(rows[2:], key=lambda row: -row["lines"])


def _name(species: str) -> str:
    """Return the name of a species in MOOG's code, such as 26.1 for Fe II and 608 for CO."""
    molecules = {"108": "OH", "607": "CN", "608": "CO"}
    number, _, stage = species.partition(".")
    if not stage:
        return molecules.get(species, species)
    return f"{engine.ELEMENTS[int(number) - 1]} {'I' * (int(stage) + 1)}"


def save_numbers(measured: dict[str, Any]) -> None:
    """Add measurements to the stored ones."""
    stored = json.loads(SECOND_NUMBERS_PATH.read_text()) if SECOND_NUMBERS_PATH.exists() else {}
    SECOND_NUMBERS_PATH.write_text(json.dumps(stored | measured, indent=1) + "\n")
