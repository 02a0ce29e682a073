"""Fit the emulator to a training set and write ``emulator.safetensors`` and ``emulator.json``.

``python -m starbench.tasks.synthesis.train_emulator DIR`` with the folder that `training_set` filled.

The spectra of the training stars are projected on their principal components. The components, sorted
by variance, are cut into `GROUPS` groups; the hyperparameters of a group's kernel (see
`starbench.tasks.emulator`) maximise the marginal likelihood of its coefficients, each with a variance of
its own, on `LIKELIHOOD_STARS` stars; the coefficients are then solved for on all stars. The choice of
kernel, groups and inputs was made by cross-validation among training stars (`compare_emulators`). The
held-out stars are used for nothing but the errors that go into the JSON.
"""

import argparse
import hashlib
import importlib.metadata
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save
from tqdm import tqdm

from starbench.tasks.emulator import PATH, Emulator, inputs, kernel
from starbench.tasks.synthesis import lines, training_set
from starbench.tasks.synthesis.spectrum import LABEL_NAMES
from starbench.tasks.synthesis.wavelengths import aspcap_wavelengths

COMPONENTS = 120
GROUPS = 7
LIKELIHOOD_STARS = 600
STEPS = 150
DESIGN_STARS = 2048
_JITTER = 1e-10


@dataclass(frozen=True)
class Settings:
    """What `fit` may be told; the defaults are what is shipped."""

    components: int = COMPONENTS
    groups: int = GROUPS
    likelihood_stars: int = LIKELIHOOD_STARS
    steps: int = STEPS


def group_sizes(components: int, groups: int) -> list[int]:
    """Return how many components each group holds: few in the first, which carry the most variance."""
    edges = np.round(np.geomspace(3, components, groups)).astype(int)
    return np.diff(np.concatenate([[0], edges])).tolist()


def fit_hyperparameters(
    x: torch.Tensor, y: torch.Tensor, steps: int
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    """Maximise the marginal likelihood of coefficients y [n, k] at standardised inputs x [n, d].

    Each column of y has its own variance, which is profiled out; the kernel is shared.

    Returns
    -------
    length, weight : torch.Tensor [d]
    amplitude, noise : torch.Tensor
        The noise is the variance, relative to the kernel's, of what labels do not explain.
    """
    n, d = x.shape
    parameters = torch.cat(
        [torch.full((d,), 1.5), torch.full((d,), -1.0), torch.tensor([2.0, -9.0])]
    ).double()
    parameters.requires_grad_(True)
    optimizer = torch.optim.Adam([parameters], lr=0.08)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    for _ in range(steps):
        length, weight, amplitude, noise = parameters.exp().split([d, d, 1, 1])
        factor = torch.linalg.cholesky(
            kernel(x, x, length, weight, amplitude) + (noise + _JITTER) * torch.eye(n)
        )
        whitened = torch.linalg.solve_triangular(factor, y, upper=False)
        misfit = 0.5 * n * torch.log((whitened**2).sum(0) / n).mean()
        loss = (misfit + factor.diagonal().log().sum()) / n
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    return parameters.detach().exp().split([d, d, 1, 1])


def fit(
    labels: np.ndarray, flux: np.ndarray, settings: Settings, progress: bool = False
) -> dict[str, torch.Tensor]:
    """Fit an emulator.

    Parameters
    ----------
    labels, flux : numpy.ndarray [n, 19], [n, 7214]
        The training stars.
    settings : Settings
        See there.
    progress : bool
        Whether to show a progress bar.

    Returns
    -------
    dict of torch.Tensor
        What `starbench.tasks.emulator.Emulator` is made of.
    """
    raw = inputs(torch.from_numpy(labels))
    centre, scale = raw.mean(0), raw.std(0)
    x = (raw - centre) / scale
    flux = torch.from_numpy(flux).double()
    mean = flux.mean(0)
    _, _, basis = torch.linalg.svd(flux - mean, full_matrices=False)
    basis = basis[: settings.components]
    # the sign of a singular vector is arbitrary; fix it
    basis = basis * basis.gather(1, basis.abs().argmax(1, keepdim=True)).sign()
    coefficients = (flux - mean) @ basis.T
    size = coefficients.std(0)

    sizes = group_sizes(settings.components, settings.groups)
    found, solutions = [], []
    for y in tqdm((coefficients / size).split(sizes, dim=1), "groups", disable=not progress):
        part = slice(settings.likelihood_stars)
        *hyperparameters, noise = fit_hyperparameters(x[part], y[part], settings.steps)
        matrix = kernel(x, x, *hyperparameters) + (noise + _JITTER) * torch.eye(len(x))
        solutions.append(torch.cholesky_solve(y, torch.linalg.cholesky(matrix)))
        found.append(hyperparameters)
    length, weight, amplitude = (torch.stack(column) for column in zip(*found, strict=True))
    return {
        "wavelength": torch.from_numpy(aspcap_wavelengths()),
        "centre": centre,
        "scale": scale,
        "stars": x,
        "group_sizes": torch.tensor(sizes),
        "length": length,
        "weight": weight,
        "amplitude": amplitude,
        "solution": torch.cat(solutions, dim=1) * size,
        "mean": mean.float(),
        "basis": basis.float(),
    }


def label_ranges(seed: int) -> dict[str, list[float]]:
    """Return least and greatest value of each label in the design that training stars come from.

    The design's rather than the stars': the ranges then do not depend on how many are done.
    """
    labels = training_set.training_labels(DESIGN_STARS, seed).round(4)
    low, high = labels.min(0), labels.max(0)
    return {name: [low[i], high[i]] for i, name in enumerate(LABEL_NAMES)}


def error_statistics(error: np.ndarray) -> dict[str, float]:
    """Summarise flux errors [n_stars, n_pixels]."""
    size = np.abs(error)
    return {
        "stars": len(error),
        "rms": float(np.sqrt(np.mean(error**2))),
        "median": float(np.median(size)),
        "p95": float(np.percentile(size, 95)),
        "p99": float(np.percentile(size, 99)),
        "worst_star_rms": float(np.sqrt(np.mean(error**2, axis=1)).max()),
    }


def main() -> None:
    """Fit, judge and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("sets", type=Path, help="folder that training_set filled")
    parser.add_argument("--seed", type=int, default=1, help="the seed given to training_set")
    parser.add_argument("--out", type=Path, default=PATH)
    parser.add_argument("--provisional", action="store_true", help="say so in the JSON")
    options = parser.parse_args()

    torch.manual_seed(0)
    _, labels, flux = training_set.load_set(options.sets / "train")
    settings = Settings()
    tensors = fit(labels, flux, settings, progress=True)
    facts = {"labels": label_ranges(options.seed)}
    _, test_labels, test_flux = training_set.load_set(options.sets / "held-out")
    error = Emulator(tensors, facts).flux(test_labels) - test_flux
    facts |= {
        "units": {"Teff": "K", "logg": "dex (cgs)", "others": "dex", "wavelength": "vacuum Angstrom"},
        "provisional": options.provisional,
        "training_stars": len(labels),
        "seed": options.seed,
        "settings": vars(settings),
        "engine": f"pysme-astro {importlib.metadata.version('pysme-astro')}",
        "line_table_sha256": hashlib.sha256(lines.PATH.read_bytes()).hexdigest(),
        "held_out": {k: float(f"{v:.3g}") for k, v in error_statistics(error).items()},
    }
    options.out.parent.mkdir(exist_ok=True)
    for path, content in (
        (options.out, save({name: x.contiguous() for name, x in tensors.items()})),
        (options.out.with_suffix(".json"), (json.dumps(facts, indent=1) + "\n").encode()),
    ):
        partial = path.with_suffix(path.suffix + ".partial")
        partial.write_bytes(content)
        partial.replace(path)
    print(json.dumps(facts["held_out"]))


if __name__ == "__main__":
    main()
