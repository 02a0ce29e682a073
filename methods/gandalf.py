r"""GANDALF: an adversary for each nuisance, in place of one for all together.

As in `fader.py`, but the latent is read by as many networks A_m as there are nuisances, each
classifying the bin y_m(u) of its own:

.. math::

    L_A = -\frac{1}{M} \sum_m \log A_{m,\, y_m(u)}(z), \qquad
    L_{E,D} = |x - D(z, u)|^2 / \mathrm{variance} - w\, L_A.

Each adversary has fewer classes, and all stars of a bin to learn them from; what the latent tells
of one nuisance only together with another, none of them sees.

References
----------
Santovena, Dafonte and Manteiga (2024), "A method based on generative adversarial networks for
disentangling physical and chemical properties of stars in astronomical spectra", preprint. Applied
to Gaia's spectra: "Disentangling stellar atmospheric parameters in astronomical spectra using
generative adversarial neural networks", A&A 694, A326 (2025).
"""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import nn

from starbench.methods.base import option
from starbench.methods.fader import Fader, FaderSettings
from starbench.methods.parts.networks import mlp


@dataclass(frozen=True)
class Settings(FaderSettings):
    """Hyperparameters of GANDALF."""

    bins: int = option(10, "bins along each axis of the nuisance", low=2, high=100)


class _Adversaries(nn.Module):
    """Networks of the same input, their scores side by side."""

    def __init__(self, networks: list[nn.Module]):
        super().__init__()
        self.networks = nn.ModuleList(networks)

    def forward(self, latent: torch.Tensor) -> torch.Tensor:
        """Return the scores [n, n_nuisance * bins]."""
        return torch.cat([network(latent) for network in self.networks], 1)


class Gandalf(Fader):
    """Adversarial disentanglement, one classifier a nuisance."""

    name = "gandalf"
    version = 1
    reference = "Santovena et al. 2024; A&A 694, A326"
    Hyperparameters = Settings
    presets: ClassVar = {}

    def extra_networks(self, n_nuisance: int) -> dict[str, nn.Module]:
        """Return the adversaries as one network."""
        settings = self.hyperparameters
        widths = (settings.latent, *settings.adversary_widths, settings.bins)
        networks = [mlp(widths, settings.activation) for _ in range(n_nuisance)]
        return {"adversary": _Adversaries(networks)}

    def _joint(self, n_nuisance: int) -> bool:
        return False
