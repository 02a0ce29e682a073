"""Compare ways to emulate the spectra, on training stars alone; FIDELITY.md quotes its table.

``python -m starbench.tasks.synthesis.compare_emulators DIR`` with the folder that `training_set`
filled; two minutes on a free core.

A quarter of the training stars is left out of each fit. Candidates are compared on those of them
that lie within the task's ranges of Teff and log g and have C/O below `MAX_CARBON_TO_OXYGEN`, as
99.9 % of the task's stars do. The table is written to ``comparison.csv``.
"""

import argparse
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import nn

from starbench.tasks.apogee_giants.emulator import (
    SOLAR_CARBON_TO_OXYGEN,
    gaussian,
    inputs,
    quadratic_features,
)
from starbench.tasks.apogee_giants.population import LOGG_RANGE, TEFF_RANGE
from starbench.tasks.arrays import Floats
from starbench.tasks.synthesis.train_emulator import (
    Settings,
    error_statistics,
    fit,
    principal_components,
)
from starbench.tasks.synthesis.training_set import load_set

PATH = Path(__file__).resolve().with_name("comparison.csv")
MAX_CARBON_TO_OXYGEN = 0.83
NETWORK_WIDTH, NETWORK_EPOCHS = 256, 300

Candidate = Callable[[Floats, Floats, Floats], Floats]
"""Takes labels and flux of training stars and labels of test stars; returns the test flux."""


def process(settings: Settings) -> Candidate:
    """Return a candidate: Gaussian processes for the coefficients, as in the shipped emulator."""

    def predict(labels: Floats, flux: Floats, test: Floats) -> Floats:
        tensors = fit(labels, flux, settings)
        x = (inputs(torch.from_numpy(test)) - tensors["centre"]) / tensors["scale"]
        sums = [
            gaussian(x, tensors["stars"], length) @ solution
            for length, solution in zip(
                tensors["length"],
                torch.split(tensors["solution"], tensors["group_sizes"].tolist(), dim=1),
                strict=True,
            )
        ]
        coefficients = torch.cat(sums, 1) + quadratic_features(x) @ tensors["quadratic"]
        predicted: Floats = (tensors["mean"] + coefficients @ tensors["basis"].double()).numpy()
        return predicted

    return predict


def ridge(labels: Floats, flux: Floats, test: Floats) -> Floats:
    """Regress the coefficients on the quadratic features alone."""
    raw = inputs(torch.from_numpy(labels))
    train, new = (
        quadratic_features((inputs(torch.from_numpy(y)) - raw.mean(0)) / raw.std(0))
        for y in (labels, test)
    )
    spectra = torch.from_numpy(flux).double()
    mean, basis = principal_components(spectra, Settings.components)
    normal = train.T @ train + 1e-3 * len(train) * torch.eye(train.shape[1])
    solution = torch.linalg.solve(normal, train.T @ ((spectra - mean) @ basis.T))
    predicted: Floats = (mean + new @ solution @ basis).numpy()
    return predicted


def network(labels: Floats, flux: Floats, test: Floats) -> Floats:
    """Regress the coefficients with a multilayer perceptron."""
    raw = inputs(torch.from_numpy(labels))
    train, new = (
        ((inputs(torch.from_numpy(y)) - raw.mean(0)) / raw.std(0)).float() for y in (labels, test)
    )
    spectra = torch.from_numpy(flux).double()
    mean, basis = principal_components(spectra, Settings.components)
    coefficients = ((spectra - mean) @ basis.T).float()
    size = coefficients[:, 0].std()  # one scale for all, so that the loss is the error of the flux
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Linear(train.shape[1], NETWORK_WIDTH),
        nn.SiLU(),
        nn.Linear(NETWORK_WIDTH, NETWORK_WIDTH),
        nn.SiLU(),
        nn.Linear(NETWORK_WIDTH, coefficients.shape[1]),
    )
    optimizer = torch.optim.AdamW(model.parameters(), weight_decay=0.01)
    steps = NETWORK_EPOCHS * -(-len(train) // 32)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 3e-3, total_steps=steps)
    for _ in range(NETWORK_EPOCHS):
        for batch in torch.split(torch.randperm(len(train)), 32):
            loss = ((model(train[batch]) - coefficients[batch] / size) ** 2).sum(1).mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
    with torch.no_grad():
        predicted: Floats = (mean + model(new).double() * size @ basis).numpy()
    return predicted


CANDIDATES = {
    "quadratic ridge": ridge,
    f"network of 2 x {NETWORK_WIDTH}": network,
    "Gaussian kernel, 2 groups": process(Settings(groups=2)),
    "Gaussian kernel, 7 groups": process(Settings(groups=7)),
}


def main() -> None:
    """Fit and compare all candidates."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("sets", type=Path, help="folder that training_set filled")
    parser.add_argument("--stars", type=int, help="use only the first STARS training stars")
    options = parser.parse_args()
    _, labels, flux = load_set(options.sets / "train")
    labels, flux = labels[: options.stars], flux[: options.stars]
    left_out = np.arange(len(labels)) % 4 == 3
    teff, logg, _, carbon, _, oxygen = labels[:, :6].T
    ratio = SOLAR_CARBON_TO_OXYGEN * 10 ** (carbon - oxygen)
    within = (TEFF_RANGE[0] < teff) & (teff < TEFF_RANGE[1])
    within &= (LOGG_RANGE[0] < logg) & (logg < LOGG_RANGE[1]) & (ratio < MAX_CARBON_TO_OXYGEN)
    test = left_out & within
    rows = []
    for name, candidate in CANDIDATES.items():
        error = candidate(labels[~left_out], flux[~left_out], labels[test]) - flux[test]
        rows.append(
            {"candidate": name, "training_stars": (~left_out).sum(), **error_statistics(error)}
        )
        print(rows[-1], flush=True)
    pd.DataFrame(rows).to_csv(PATH, index=False, float_format="%.3g")


if __name__ == "__main__":
    main()
