"""Fit the emulator to a training set and write ``emulator.safetensors`` and ``emulator.json``.

``python -m starbench.tasks.synthesis.train_emulator DIR`` with the folder that `training_set`
filled; ``--generator moog`` if the second generator filled it, whose emulator is
``second-emulator.safetensors``.

The spectra of the training stars are projected on their principal components, sorted by variance
and cut into groups. Within a group all coefficients are Gaussian processes of the kernel

    k(x, x') = exp(-r^2 / 2) + a (1 + sum_d w_d^2 x_d x'_d)^2 + noise,

each with its own variance. The length scales in r, w, a and the noise maximise the marginal
likelihood of the first stars; the processes are then conditioned on all stars. The second term
yields the quadratic of `starbench.tasks.apogee_giants.emulator`, into whose coefficients it is
expanded.

Kernel, inputs and settings were chosen on training stars alone (`compare_emulators`); the held-out
stars serve only for the errors in the JSON.
"""

import argparse
import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save
from tqdm import tqdm

from starbench.common.files import atomic_path
from starbench.tasks.apogee_giants.emulator import (
    Emulator,
    gaussian,
    inputs,
    quadratic_features,
)
from starbench.tasks.arrays import Floats
from starbench.tasks.synthesis import training_set
from starbench.tasks.synthesis.generators import GENERATORS
from starbench.tasks.synthesis.spectrum import LABEL_NAMES
from starbench.tasks.synthesis.wavelengths import aspcap_wavelengths

DESIGN_STARS = 2048  # the label ranges are those of this many stars of the design
_JITTER = 1e-10

Kernel = Callable[[torch.Tensor, torch.Tensor, torch.Tensor], torch.Tensor]
"""Takes what `gaussian` takes."""


@dataclass(frozen=True)
class Settings:
    """Settings of `fit`; the defaults are those of the shipped emulator.

    Parameters
    ----------
    components : int
        Principal components kept.
    groups : int
        Groups of components that share hyperparameters.
    likelihood_stars : int
        Stars on which the likelihood is maximised; the cost grows with their third power.
    steps : int
        Steps of Adam.
    """

    components: int = 120
    groups: int = 7
    likelihood_stars: int = 600
    steps: int = 150


def group_sizes(components: int, groups: int) -> list[int]:
    """Return the number of components in each group: few in the first, which has most variance."""
    edges = np.round(np.geomspace(3, components, groups)).astype(int)
    return [int(size) for size in np.diff(np.concatenate([[0], edges]))]


def quadratic(
    x: torch.Tensor, z: torch.Tensor, weight: torch.Tensor, amplitude: torch.Tensor
) -> torch.Tensor:
    """Return a (1 + sum_d w_d^2 x_d z_d)^2 [n, m] of standardised inputs x [n, d] and z [m, d]."""
    return amplitude * (1 + (x * weight**2) @ z.T) ** 2


def fit_hyperparameters(
    x: torch.Tensor, y: torch.Tensor, steps: int, kernel: Kernel = gaussian
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    """Maximise the marginal likelihood of coefficients y [n, k] at standardised inputs x [n, d].

    Each column of y has its own variance, which is profiled out; the other parameters are shared.

    Returns
    -------
    length, weight : torch.Tensor [d]
    amplitude, noise : torch.Tensor [1]
        The noise is the variance that labels do not explain, relative to the kernel's.
    """
    n, d = x.shape
    parameters = torch.cat(
        [torch.full((d,), 1.5), torch.full((d,), -1.0), torch.tensor([2.0, -9.0])]
    ).double()
    parameters.requires_grad_(True)
    optimizer = torch.optim.Adam([parameters], lr=0.08)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    for _ in range(steps):
        length, weight, amplitude, noise = torch.split(parameters.exp(), [d, d, 1, 1])
        covariance = kernel(x, x, length) + quadratic(x, x, weight, amplitude)
        factor = torch.linalg.cholesky(covariance + (noise + _JITTER) * torch.eye(n))
        whitened = torch.linalg.solve_triangular(factor, y, upper=False)
        misfit = 0.5 * n * torch.log((whitened**2).sum(0) / n).mean()
        loss = (misfit + factor.diagonal().log().sum()) / n
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    length, weight, amplitude, noise = torch.split(parameters.detach().exp(), [d, d, 1, 1])
    return length, weight, amplitude, noise


def fit_coefficients(
    x: torch.Tensor, y: torch.Tensor, settings: Settings, kernel: Kernel = gaussian
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Condition one group's processes on coefficients y [n, k] at standardised inputs x [n, d].

    Returns
    -------
    length : torch.Tensor [d]
        Length scales of the kernel.
    solution : torch.Tensor [n, k]
        Weights of the kernel at each star.
    expanded : torch.Tensor [1 + d + d (d + 1) / 2, k]
        Weights of `quadratic_features`.
    """
    part = slice(settings.likelihood_stars)
    length, weight, amplitude, noise = fit_hyperparameters(x[part], y[part], settings.steps, kernel)
    covariance = kernel(x, x, length) + quadratic(x, x, weight, amplitude)
    factor = torch.linalg.cholesky(covariance + (noise + _JITTER) * torch.eye(len(x)))
    solution = torch.cholesky_solve(y, factor)
    # (1 + u.v)^2 = 1 + 2 u.v + sum u_d^2 v_d^2 + 2 sum_{d<e} u_d u_e v_d v_e
    first, second = torch.triu_indices(x.shape[1], x.shape[1])
    pairs = weight[first] ** 2 * weight[second] ** 2 * torch.where(first == second, 1.0, 2.0)
    factors = torch.cat([torch.ones(1).double(), 2 * weight**2, pairs])
    expanded = amplitude * factors[:, None] * (quadratic_features(x).T @ solution)
    return length, solution, expanded


def principal_components(flux: torch.Tensor, count: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return mean [p] and the first principal components [count, p] of flux [n, p]."""
    mean = flux.mean(0)
    _, _, basis = torch.linalg.svd(flux - mean, full_matrices=False)
    basis = basis[:count]
    # The sign of a singular vector is arbitrary: make its largest element positive.
    return mean, basis * basis.gather(1, basis.abs().argmax(1, keepdim=True)).sign()


def fit(
    labels: Floats,
    flux: Floats,
    settings: Settings,
    kernel: Kernel = gaussian,
    progress: bool = False,
) -> dict[str, torch.Tensor]:
    """Fit an emulator.

    Parameters
    ----------
    labels, flux : numpy.ndarray [n, 19], [n, 7214]
        The training stars.
    settings : Settings
        Number of components, groups, stars and steps.
    kernel : callable
        Takes what `gaussian` takes; the emulator can only load weights fitted with that one.
    progress : bool
        Whether to show a progress bar.

    Returns
    -------
    dict of torch.Tensor
        The tensors of `starbench.tasks.apogee_giants.emulator.Emulator`.
    """
    raw = inputs(torch.from_numpy(labels))
    centre, scale = raw.mean(0), raw.std(0)
    x = (raw - centre) / scale
    spectra = torch.from_numpy(flux).double()
    mean, basis = principal_components(spectra, settings.components)
    coefficients = (spectra - mean) @ basis.T
    size = coefficients.std(0)
    sizes = group_sizes(settings.components, settings.groups)
    groups = torch.split(coefficients / size, sizes, dim=1)
    fitted = [
        fit_coefficients(x, y, settings, kernel)
        for y in tqdm(groups, "groups", disable=not progress)
    ]
    length, solution, expanded = zip(*fitted, strict=True)
    tensors = {
        "wavelength": torch.from_numpy(aspcap_wavelengths()),
        "centre": centre,
        "scale": scale,
        "stars": x,
        "group_sizes": torch.tensor(sizes),
        "length": torch.stack(length),
        "solution": torch.cat(solution, dim=1) * size,
        "quadratic": torch.cat(expanded, dim=1) * size,
        "mean": mean.float(),
        "basis": basis.float(),
    }
    return {name: tensor.contiguous() for name, tensor in tensors.items()}


def label_ranges(seed: int) -> dict[str, list[float]]:
    """Return minimum and maximum of each label in the design of the training stars.

    They are those of the design, so that they do not depend on the number of stars that are done.
    """
    labels = training_set.training_labels(DESIGN_STARS, seed).round(4)
    low, high = labels.min(0), labels.max(0)
    return {name: [low[i], high[i]] for i, name in enumerate(LABEL_NAMES)}


def error_statistics(error: Floats) -> dict[str, float]:
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
    """Fit the emulator, measure its errors and write both."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("sets", type=Path, help="folder that training_set filled")
    parser.add_argument("--seed", type=int, default=1, help="the seed given to training_set")
    parser.add_argument("--generator", choices=list(GENERATORS), default="pysme")
    parser.add_argument("--out", type=Path, help="weights; by default those of the generator")
    parser.add_argument("--provisional", action="store_true", help="record this in the JSON")
    options = parser.parse_args()
    generator = GENERATORS[options.generator]
    out = options.out or generator.emulator

    torch.manual_seed(0)
    _, labels, flux = training_set.load_set(options.sets / "train")
    settings = Settings()
    tensors = fit(labels, flux, settings, progress=True)
    facts: dict[str, Any] = {"labels": label_ranges(options.seed)}
    _, test_labels, test_flux = training_set.load_set(options.sets / "held-out")
    error = Emulator(tensors, facts).flux(test_labels) - test_flux
    facts |= {
        "units": {
            "Teff": "K",
            "logg": "dex (cgs)",
            "others": "dex",
            "wavelength": "vacuum Angstrom",
        },
        "provisional": options.provisional,
        "training_stars": len(labels),
        "seed": options.seed,
        "settings": vars(settings),
        "engine": generator.engine(),
        "line_table_sha256": hashlib.sha256(generator.lines.read_bytes()).hexdigest(),
        "held_out": {k: float(f"{v:.3g}") for k, v in error_statistics(error).items()},
    }
    for path, content in (
        (out, save(tensors)),
        (out.with_suffix(".json"), (json.dumps(facts, indent=1) + "\n").encode()),
    ):
        with atomic_path(path) as temporary:
            temporary.write_bytes(content)
    print(json.dumps(facts["held_out"]))


if __name__ == "__main__":
    main()
