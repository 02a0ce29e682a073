r"""GANDALF: one adversary for each nuisance, in place of one for all of them.

As in `starbench.methods.fader`, but each nuisance m has a network A_m that classifies its bin
y_m(u) from the latent:

.. math::

    L_A = -\frac{1}{M} \sum_m \log A_{m,\, y_m(u)}(z), \qquad
    L_{E,D} = |x - D(z, u)|^2 / \mathrm{variance} - w\, L_A.

Each adversary has fewer classes, with more stars in each. None of them detects information that the
latent holds only on several nuisances jointly.

References
----------
Santovena, Dafonte and Manteiga (2024), "A method based on generative adversarial networks for
disentangling physical and chemical properties of stars in astronomical spectra", preprint. Applied
to Gaia's spectra: "Disentangling stellar atmospheric parameters in astronomical spectra using
generative adversarial neural networks", A&A 694, A326 (2025).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, final

import torch
from torch import nn

from starbench.methods.base import Diagnostic, option
from starbench.methods.parts.adversary import Adversary
from starbench.methods.parts.autoencoder import Autoencoder
from starbench.methods.parts.classifier import (
    DIAGNOSTIC,
    ClassifierPenalty,
    ClassifierSettings,
    NuisanceBins,
)
from starbench.methods.parts.inputs import Inputs
from starbench.methods.parts.networks import ConditionalNetworks
from starbench.methods.parts.objective import Objective, ReconstructionError
from starbench.methods.parts.perceptron import mlp


@dataclass(frozen=True)
class Settings(ClassifierSettings):
    """Hyperparameters of GANDALF."""

    bins: int = option(10, "bins along each axis of the nuisance", low=2, high=100)


@final
class SideBySide(nn.Module):
    """Networks with the same input, their outputs concatenated.

    Parameters
    ----------
    networks : sequence of torch.nn.Module
    """

    def __init__(self, networks: Sequence[nn.Module]) -> None:
        super().__init__()
        self.networks = nn.ModuleList(networks)

    def forward(self, latent: torch.Tensor) -> torch.Tensor:
        """Return the outputs for latents [n, latent] as [n, all outputs]."""
        return torch.cat([network(latent) for network in self.networks], 1)


@final
class Gandalf(Autoencoder):
    """Adversarial disentanglement with one classifier for each nuisance."""

    name = "gandalf"
    version = 2
    reference = "Santovena et al. 2024; A&A 694, A326"
    Hyperparameters = Settings
    hyperparameters: Settings
    diagnostics: ClassVar[tuple[Diagnostic, ...]] = (DIAGNOSTIC,)

    def build(self, inputs: Inputs) -> Objective:
        """Build the networks and the adversarial classifiers."""
        settings = self.hyperparameters
        networks = ConditionalNetworks(settings, inputs.n_inputs, inputs.n_nuisance)
        error = ReconstructionError(inputs, settings.loss_whitening)
        widths = (settings.latent, *settings.adversary_widths, settings.bins)
        classifiers = [mlp(widths, settings.activation) for _ in range(inputs.n_nuisance)]
        adversary = Adversary(
            SideBySide(classifiers), settings.learning_rate, settings.adversary_cooling
        )
        bins = NuisanceBins(settings.bins, joint=False)
        return ClassifierPenalty(networks, error, adversary, bins, settings)
