"""The emulator of the synthetic spectra: labels in, flux out, in microseconds instead of seconds.

A principal-component basis of the spectra, and for each component's coefficient a Gaussian process
in the labels. Its mean is a quadratic plus a sum over the training stars x_i,

    c(x) = q(x) + sum_i A_i exp(-r_i^2 / 2),    r_i^2 = sum_d (x_d - x_id)^2 / l_d^2.

The inputs x are the labels, with Teff as 5040 K / Teff, and the oxygen that is not bound in carbon
monoxide, all standardised. The components form groups that share their length scales l.

`starbench.tasks.synthesis.train_emulator` fits it and writes the weights that are loaded here;
``emulator.json`` beside them states the number of training stars and the errors.
"""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from safetensors.torch import load_file
from torch import nn

from starbench.tasks.arrays import Floats, Labels, Spectra

PATH = Path(__file__).resolve().parents[1] / "assets" / "emulator.safetensors"

SOLAR_CARBON_TO_OXYGEN = 10 ** (8.43 - 8.69)  # by number, Asplund et al. 2009
_CARBON, _OXYGEN = 3, 5  # columns of [C/Fe] and [O/Fe] among the labels
_SOFTNESS = 0.1


def inputs(labels: torch.Tensor) -> torch.Tensor:
    """Return the inputs [n, 20] of the Gaussian processes, float64, for labels [n, 19].

    Teff becomes 5040 K / Teff, in which excitation and dissociation are exponentials. The added
    column is the oxygen that is not bound in carbon monoxide, log10 (1 - C/O), which controls all
    molecules as C/O approaches 1; a softplus in place of the difference keeps it smooth beyond.
    """
    labels = labels.double()
    carbon_to_oxygen = SOLAR_CARBON_TO_OXYGEN * 10 ** (labels[:, _CARBON] - labels[:, _OXYGEN])
    oxygen_left = _SOFTNESS * nn.functional.softplus((1 - carbon_to_oxygen) / _SOFTNESS)
    return torch.cat([5040 / labels[:, :1], labels[:, 1:], oxygen_left.log10()[:, None]], dim=1)


def gaussian(x: torch.Tensor, z: torch.Tensor, length: torch.Tensor) -> torch.Tensor:
    """Return exp(-r^2 / 2) [n, m] of standardised `inputs` x [n, d], z [m, d] and lengths [d]."""
    p, q = x / length, z / length
    # one matrix product makes the exponent p.q - p.p / 2 - q.q / 2
    ones = torch.ones_like
    p = torch.cat([p, -0.5 * (p**2).sum(1, keepdim=True), ones(p[:, :1])], dim=1)
    q = torch.cat([q, ones(q[:, :1]), -0.5 * (q**2).sum(1, keepdim=True)], dim=1)
    return torch.exp(p @ q.T)


def quadratic_features(x: torch.Tensor) -> torch.Tensor:
    """Return 1, x_d and x_d x_e (d <= e) of inputs x [n, d], as [n, 1 + d + d (d + 1) / 2]."""
    first, second = torch.triu_indices(x.shape[1], x.shape[1])
    return torch.cat([torch.ones_like(x[:, :1]), x, x[:, first] * x[:, second]], dim=1)


class Emulator(nn.Module):
    """Flux of red giants as a differentiable function of their labels.

    Parameters
    ----------
    tensors : dict of torch.Tensor
        Contents of the weights file.
    facts : dict
        Contents of the JSON file.

    Attributes
    ----------
    wavelength : numpy.ndarray [7214], float64
        Vacuum wavelengths [Angstrom].
    label_names : tuple of str
        "Teff" [K], "logg" [dex, cgs], "Fe/H" and sixteen "X/Fe" [dex].
    label_ranges : numpy.ndarray [19, 2]
        Minimum and maximum of each label in the design of the training stars.
    facts : dict
        How the emulator was made, and its errors.
    sha256 : str
        Digest of the weights file.
    """

    centre: torch.Tensor
    scale: torch.Tensor
    stars: torch.Tensor
    length: torch.Tensor
    solution: torch.Tensor
    quadratic: torch.Tensor
    mean: torch.Tensor
    basis: torch.Tensor

    def __init__(self, tensors: dict[str, torch.Tensor], facts: dict[str, Any], sha256: str = ""):
        super().__init__()
        self.facts, self.sha256 = facts, sha256
        self.wavelength: Floats = tensors["wavelength"].numpy()
        self.label_names = tuple(facts["labels"])
        self.label_ranges = np.array([facts["labels"][name] for name in self.label_names])
        self.groups = [int(size) for size in tensors["group_sizes"]]
        # Large terms cancel in the sums over training stars, so everything up to the
        # coefficients stays in float64.
        for name in ("centre", "scale", "stars", "length", "solution", "quadratic"):
            self.register_buffer(name, tensors[name].double())
        for name in ("mean", "basis"):
            self.register_buffer(name, tensors[name].float())

    def _apply(
        self, function: Callable[[torch.Tensor], torch.Tensor], recurse: bool = True
    ) -> Self:
        # `.float()` and `.to(dtype)` change the type of the flux, not of what must stay float64.
        for name, buffer in list(self.named_buffers(recurse=False)):
            moved = function(buffer)
            keep = buffer.dtype == torch.float64 and name not in ("mean", "basis")
            self._buffers[name] = moved.double() if keep else moved
        return self

    @classmethod
    def load(cls, path: Path | None = None) -> "Emulator":
        """Load an emulator from a safetensors file and its JSON; by default the shipped one."""
        path = PATH if path is None else Path(path)
        facts = json.loads(path.with_suffix(".json").read_text())
        return cls(load_file(path), facts, hashlib.sha256(path.read_bytes()).hexdigest())

    def forward(self, labels: torch.Tensor) -> torch.Tensor:
        """Return flux [n, 7214] of labels [n, 19], differentiable.

        It is float32 unless ``.double()`` was called.

        Raises
        ------
        ValueError
            If a label lies outside `label_ranges`, or is not finite.
        """
        return self.mean + self._coefficients(labels) @ self.basis

    def _coefficients(self, labels: torch.Tensor) -> torch.Tensor:
        self._check(labels)
        x = (inputs(labels) - self.centre) / self.scale
        sums = [
            gaussian(x, self.stars, length) @ solution
            for length, solution in zip(
                self.length, torch.split(self.solution, self.groups, dim=1), strict=True
            )
        ]
        coefficients = quadratic_features(x) @ self.quadratic + torch.cat(sums, dim=1)
        return coefficients.to(self.basis.dtype)

    def flux(self, labels: Labels, batch: int = 500) -> Spectra:
        """Return flux [n, 7214], float32, of labels [n, 19], in batches of `batch` stars."""
        stars = torch.from_numpy(np.ascontiguousarray(labels))
        flux = np.empty((len(stars), len(self.wavelength)), np.float32)
        with torch.no_grad():
            for start in range(0, len(stars), batch):
                rows = torch.from_numpy(flux[start : start + batch])
                coefficients = self._coefficients(stars[start : start + batch])
                if self.basis.dtype == rows.dtype:  # without copies of the flux
                    torch.mm(coefficients, self.basis, out=rows).add_(self.mean)
                else:
                    rows.copy_(self.mean + coefficients @ self.basis)
        return flux

    def _check(self, labels: torch.Tensor) -> None:
        if labels.ndim != 2 or labels.shape[1] != len(self.label_names):
            raise ValueError(
                f"labels have shape {list(labels.shape)} instead of [n, {len(self.label_names)}]"
            )
        values = labels.detach().double().numpy()
        low, high = self.label_ranges.T
        tolerance = 1e-6 * np.abs(high)  # labels may come as float32
        bad = ~((values >= low - tolerance) & (values <= high + tolerance))
        if bad.any():
            star, label = np.argwhere(bad)[0]
            raise ValueError(
                f"{self.label_names[label]} = {values[star, label]:g} of star {star} is outside "
                f"the emulator's range {low[label]:g} to {high[label]:g}."
            )
