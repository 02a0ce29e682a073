"""Files of surveys for tests."""

import hashlib
import json

import h5py
import numpy as np

from starbench.tasks.base import SPLITS


def write_survey(path, n=(40, 24, 30), n_pixels=12, **changes):
    """Write a survey of field stars and groups of two and three; keywords replace what it holds.

    Values are put at places such as ``train/flux``; None removes what is there.
    """
    rng = np.random.default_rng(11)
    with h5py.File(path, "w") as file:
        file["wavelength"] = np.linspace(15100.0, 16900.0, n_pixels)
        file["wavelength"].attrs["medium"] = "vacuum"
        file.attrs["nuisance_names"] = ["Teff", "logg"]
        file.attrs["nuisance_units"] = ["K", "dex"]
        file.attrs["elements"] = ["Fe/H", "Mg/Fe"]
        for split, size in zip(SPLITS, n, strict=True):
            group = np.concatenate([[0, 0, 1, 1, 1], np.arange(2, size - 3)])
            chemistry = rng.normal(0, 0.3, (size, 2))[group]
            nuisance = rng.uniform([4000, 1.5], [5000, 3], (size, 2))
            lines = np.random.default_rng(12).uniform(0, 0.1, (4, n_pixels))
            unit = (nuisance - [4500, 2.25]) / [500, 0.75]
            error = rng.uniform(0.001, 0.002, (size, n_pixels))
            flux = 1 - np.concatenate([chemistry, unit], axis=1) @ lines
            flux += error * rng.normal(size=flux.shape)
            masked = rng.random(flux.shape) < 0.05
            flux[masked], error[masked] = np.nan, np.inf
            file[f"{split}/flux"] = flux.astype("f4")
            file[f"{split}/error"] = error.astype("f4")
            file[f"{split}/group"] = group
            file[f"{split}/nuisance"] = nuisance.astype("f4")
            file[f"{split}/nuisance_error"] = np.full((size, 2), [80.0, 0.1], "f4")
            file[f"{split}/composition"] = chemistry.astype("f4")
            file[f"{split}/identifier"] = [f"{split} star {i}" for i in range(size)]
        for place, value in changes.items():
            where = file.attrs if place in ("snr", "elements", "provenance") else file
            if place in where:
                del where[place]
            if value is not None:
                where[place] = value
    return path


def model_pairs(n=20, n_pixels=12):
    """Return the arrays of the group ``pairs`` of such a survey, by their places."""
    rng = np.random.default_rng(13)
    chemistry = rng.normal(0, 0.3, (n, 2))
    nuisance = rng.uniform([4000, 1.5], [5000, 3], (n, 2, 2))
    lines = np.random.default_rng(12).uniform(0, 0.1, (4, n_pixels))
    unit = (nuisance - [4500, 2.25]) / [500, 0.75]
    both = np.repeat(chemistry[:, None], 2, axis=1)
    error = rng.uniform(0.001, 0.002, (n, 2, n_pixels))
    flux = 1 - np.concatenate([both, unit], axis=2) @ lines + error * rng.normal(size=error.shape)
    error[rng.random(error.shape) < 0.05] = np.inf
    arrays = {
        "flux": flux,
        "error": error,
        "nuisance": nuisance,
        "nuisance_error": np.full((n, 2, 2), [80.0, 0.1]),
        "composition": chemistry,
    }
    return {f"pairs/{name}": values.astype("f4") for name, values in arrays.items()}


def fingerprint_by_hand(path, fields):
    """Return the fingerprint of a file of pairs or stars, from its fields as the first release."""
    with h5py.File(path) as file:
        names = [list(file.attrs[name]) for name in ("nuisance_names", "nuisance_units")]
        header = [file["wavelength"][()].tolist(), *names, list(file.attrs["elements"])]
        sizes = {split: len(file[split]["flux"]) for split in SPLITS}
        digest = hashlib.sha256(json.dumps([header, sizes]).encode())
        for split in SPLITS:
            arrays = {field: file[split][field][()] for field in fields}
            if "error" in arrays:
                arrays["flux"][np.isinf(arrays["error"])] = 1
            for values in arrays.values():
                digest.update(values.tobytes())
    return digest.hexdigest()[:16]
