r"""Domain-adversarial training: a regression of the nuisance with its gradient reversed.

A network A predicts the nuisance u, scaled to [-1, 1], from the latent. All networks descend one
loss in one step, but between the latent and A stands a layer that passes the latent on and
multiplies the gradient by -w:

.. math::

    L = |x - D(z, u)|^2 / \mathrm{variance} + |u - A(z)|^2 / M, \qquad
    \frac{\partial L}{\partial z} = \frac{\partial L_\mathrm{rec}}{\partial z}
        - w\, \frac{\partial L_A}{\partial z}.

w grows over the training as 2 / (1 + exp(-10 p)) - 1, where p is the share of training done. A
regression
sees only the mean of u given z; a dependence that leaves this mean constant goes unnoticed.

References
----------
Ganin et al. (2016), "Domain-adversarial training of neural networks", JMLR 17, 59.
"""

import math
from dataclasses import dataclass
from typing import Any, ClassVar, final

import torch
from torch import nn

from starbench.methods.base import Diagnostic, option
from starbench.methods.parts.autoencoder import Autoencoder
from starbench.methods.parts.inputs import Inputs
from starbench.methods.parts.networks import ConditionalNetworks, Networks
from starbench.methods.parts.objective import (
    Batch,
    Objective,
    PenalisedReconstruction,
    ReconstructionError,
    Watched,
)
from starbench.methods.parts.perceptron import mlp
from starbench.methods.parts.settings import AutoencoderSettings


@dataclass(frozen=True)
class Settings(AutoencoderSettings):
    """Hyperparameters of domain-adversarial training."""

    adversary_weight: float = option(
        0.1,
        "weight w of the reversed gradient at the end of the training",
        low=0.0,
        tuned=(0.01, 1),
    )
    adversary_widths: tuple[int, ...] = option(
        (256, 128), "widths of the adversary's hidden layers", low=1
    )


class _Reversal(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, latent: torch.Tensor, weight: float) -> torch.Tensor:
        ctx.weight = weight
        return latent.view_as(latent)

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor, None]:
        return -ctx.weight * gradient, None


def reverse_gradient(latent: torch.Tensor, weight: float) -> torch.Tensor:
    """Return the latent as it is, but with its gradient multiplied by -weight."""
    reversed_latent: torch.Tensor = _Reversal.apply(latent, weight)  # type: ignore[no-untyped-call]  # torch has no types here
    return reversed_latent


@final
class ReversedRegression(PenalisedReconstruction):
    """The reconstruction error plus that of a regression whose gradient is reversed.

    Parameters
    ----------
    networks : Networks
    error : ReconstructionError
    regression : torch.nn.Module
        From latents [n, latent] to scaled nuisance [n, n_nuisance].
    weight : float
        The factor w at the end of the training.
    """

    def __init__(
        self, networks: Networks, error: ReconstructionError, regression: nn.Module, weight: float
    ) -> None:
        super().__init__(networks, error)
        self.regression, self._weight = regression, weight

    def penalty(self, latent: torch.Tensor, batch: Batch) -> tuple[torch.Tensor, Watched]:
        """Return the regression's squared error, its gradient reversed before the latent."""
        weight = self._weight * (2 / (1 + math.exp(-10 * batch.share_done)) - 1)
        predicted = self.regression(reverse_gradient(latent, weight))
        error = (predicted - batch.nuisance).square().mean()
        chance = batch.nuisance.var(0, correction=0).mean()
        return error, {"adversary_mse": error, "chance_mse": chance}


@final
class Dann(Autoencoder):
    """Adversarial disentanglement by gradient reversal against a regression."""

    name = "dann"
    version = 2
    reference = "Ganin et al. 2016, JMLR 17, 59"
    Hyperparameters = Settings
    hyperparameters: Settings
    diagnostics: ClassVar[tuple[Diagnostic, ...]] = (
        Diagnostic("adversary_mse", "adversary's squared error", reference="chance_mse"),
    )

    def build(self, inputs: Inputs) -> Objective:
        """Build the networks and the adversarial regression."""
        settings = self.hyperparameters
        networks = ConditionalNetworks(settings, inputs.n_inputs, inputs.n_nuisance)
        error = ReconstructionError(inputs, settings.loss_whitening)
        widths = (settings.latent, *settings.adversary_widths, inputs.n_nuisance)
        regression = mlp(widths, settings.activation)
        return ReversedRegression(networks, error, regression, settings.adversary_weight)
