"""Measure the accuracy of the emulator and of the numerical settings of the synthesis.

Finished fits and syntheses are kept in the folder ``fidelity`` beside the sets of stars, so
that a measurement can be stopped and resumed.
"""

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tqdm import tqdm

from starbench.tasks.apogee_giants.emulator import Emulator
from starbench.tasks.apogee_giants.population import COMPOSITION_NAMES
from starbench.tasks.arrays import Floats, Labels
from starbench.tasks.synthesis import engine, lines, spectrum, training_set
from starbench.tasks.synthesis.spectrum import LABEL_NAMES, synthesise
from starbench.tasks.synthesis.train_emulator import Settings, error_statistics, fit

LEARNING_CURVE = (150, 300, 600, 1000)
# The stars of `RESPONSE_STARS` for which the numerical settings are refined, and the settings.
REFINED_STARS = (0, 3, 5)
FINE = {"oversampling": 6, "angles": 8, "threshold": 1e-4, "reach": 400.0}
DEFAULT = {
    "oversampling": spectrum.OVERSAMPLING,
    "angles": spectrum.ANGLES,
    "threshold": engine.LINE_THRESHOLD,
    "reach": engine.HYDROGEN_REACH,
}


def rms(values: Labels, axis: int | None = None) -> Floats:
    """Return the root mean square along an axis."""
    root: Floats = np.sqrt(np.mean(np.square(values), axis=axis))
    return root


def response_table(emulated: Floats, exact: Floats) -> list[dict[str, Any]]:
    """Compare the responses to a raised abundance.

    Parameters
    ----------
    emulated, exact : numpy.ndarray [n_stars, n_elements, n_pixels]
        Change of the flux.

    Returns
    -------
    list of dict
        For each element over all stars and pixels: rms of the exact response, correlation, ratio of
        the rms amplitudes, rms of the difference; and the lowest correlation of a single star.
    """
    rows = []
    for index, name in enumerate(COMPOSITION_NAMES):
        e, x = emulated[:, index], exact[:, index]
        stars = [np.corrcoef(a, b)[0, 1] for a, b in zip(e, x, strict=True)]
        rows.append(
            {
                "abundance": name,
                "rms": float(rms(x)),
                "correlation": float(np.corrcoef(e.ravel(), x.ravel())[0, 1]),
                "least_correlation": float(min(stars)),
                "amplitude": float(rms(e) / rms(x)),
                "error_rms": float(rms(e - x)),
            }
        )
    return rows


def measure(sets: Path) -> tuple[dict[str, Any], dict[str, Floats]]:
    """Measure the emulator against PySME; takes some minutes on one core.

    Parameters
    ----------
    sets : pathlib.Path
        Folder that `training_set` filled.

    Returns
    -------
    numbers : dict
        Contents of ``fidelity.json``, without what `measure_published` adds.
    arrays : dict of numpy.ndarray
        Contents of ``fidelity.npz``.
    """
    emulator = Emulator.load()
    _, labels, flux = training_set.load_set(sets / "held-out")
    error = emulator.flux(labels) - flux
    stars = rms(error, axis=1)
    numbers = {
        "emulator_sha256": emulator.sha256,
        "line_table_sha256": hashlib.sha256(lines.PATH.read_bytes()).hexdigest(),
        "held_out": error_statistics(error),
        "held_out_greatest": float(np.abs(error).max()),
        "held_out_scatter": float(rms(flux - flux.mean(axis=0))),
        "worst_star": dict(zip(LABEL_NAMES, labels[stars.argmax()].tolist(), strict=True)),
    }
    arrays = {
        "pixel_rms": rms(error, axis=0),
        "star_rms": stars,
        "star_labels": labels,
    }
    numbers["learning_curve"] = learning_curve(sets, emulator)
    _, labels, exact = training_set.load_set(sets / "response")
    blocks = (len(training_set.RESPONSE_STARS), 1 + len(COMPOSITION_NAMES), -1)
    emulated, exact = emulator.flux(labels).reshape(blocks), exact.reshape(blocks)
    numbers["response"] = response_table(
        *(x[:, 1:].astype(float) - x[:, :1] for x in (emulated, exact))
    )

    numbers["settings"] = refinements(sets)
    return numbers, {name: np.asarray(x, np.float32) for name, x in arrays.items()}


def _synthesise(path: Path, labels: Floats, **settings: Any) -> Floats:
    """Return the flux [7214] of one star, from the file if that exists."""
    if not path.exists():
        training_set.save_star(path, labels, synthesise(labels, **settings))
    with np.load(path) as file:
        if not np.array_equal(file["labels"], labels):
            raise ValueError(f"{path} holds another star; delete it")
        stored: Floats = file["flux"].astype(float)
    return stored


def learning_curve(sets: Path, emulator: Emulator) -> list[dict[str, Any]]:
    """Return error statistics of fits to the first training stars, the shipped one at the end."""
    _, labels, flux = training_set.load_set(sets / "train")
    _, test_labels, test_flux = training_set.load_set(sets / "held-out")
    if len(labels) != emulator.facts["training_stars"]:
        raise ValueError(
            f"{sets} holds {len(labels)} training stars, but the emulator was fitted to "
            f"{emulator.facts['training_stars']}"
        )
    facts = {"labels": emulator.facts["labels"]}
    rows = []
    for count in tqdm((*LEARNING_CURVE, len(labels)), "fits"):
        path = sets / "fidelity" / f"fit-{count}.json"
        if count == len(labels):
            fitted = emulator
        elif path.exists():
            rows.append(json.loads(path.read_text()))
            continue
        else:
            torch.manual_seed(0)
            fitted = Emulator(fit(labels[:count], flux[:count], Settings()), facts)
        error = fitted.flux(test_labels) - test_flux
        rows.append({"training_stars": count, **error_statistics(error)})
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(rows[-1]))
    return rows


def refinements(sets: Path) -> list[dict[str, Any]]:
    """Return the change of the flux when a single numerical setting is refined."""
    _, labels, flux = training_set.load_set(sets / "response")
    rows = []
    for star in tqdm(REFINED_STARS, "settings"):
        base = star * (1 + len(COMPOSITION_NAMES))
        for name, value in FINE.items():
            path = sets / "fidelity" / f"refined-{name}-{star}.npz"
            change = _synthesise(path, labels[base], **{name: value}) - flux[base]
            rows.append(
                {
                    "Teff": labels[base, 0],
                    "logg": labels[base, 1],
                    "refined": name,
                    "rms": float(rms(change)),
                    "greatest": float(np.abs(change).max()),
                }
            )
    return rows
