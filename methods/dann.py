r"""Domain-adversarial training: a regression of the nuisance, its gradient reversed.

A network A predicts the nuisance u, scaled to [-1, 1], from the latent. All networks descend one
loss in one step, but between the latent and A stands a layer that hands the latent on as it is and
multiplies the gradient by -w:

.. math::

    L = |x - D(z, u)|^2 / \mathrm{variance} + |u - A(z)|^2 / M, \qquad
    \frac{\partial L}{\partial z} = \frac{\partial L_\mathrm{rec}}{\partial z}
        - w\, \frac{\partial L_A}{\partial z}.

w grows from 0 over the training as 2 / (1 + exp(-10 p)) - 1 does with the share p that is done. A
regression sees what the mean of u tells of z; a dependence that leaves that mean as it is escapes.

References
----------
Ganin et al. (2016), "Domain-adversarial training of neural networks", JMLR 17, 59.
"""

import math
from dataclasses import dataclass

import torch
from torch import nn

from starbench.methods.base import option
from starbench.methods.parts.autoencoder import Autoencoder, AutoencoderSettings, Batch
from starbench.methods.parts.networks import mlp


@dataclass(frozen=True)
class Settings(AutoencoderSettings):
    """Hyperparameters of domain-adversarial training."""

    adversary_weight: float = option(0.1, "weight w of the reversed gradient at its end", low=0.0)
    adversary_widths: tuple[int, ...] = option((512, 256), "adversary's hidden layers", low=1)


class _Reversed(torch.autograd.Function):
    @staticmethod
    def forward(ctx, latent, weight):
        ctx.weight = weight
        return latent.view_as(latent)

    @staticmethod
    def backward(ctx, gradient):
        return -ctx.weight * gradient, None


class Dann(Autoencoder):
    """Adversarial disentanglement by gradient reversal against a regression."""

    name = "dann"
    version = 1
    reference = "Ganin et al. 2016, JMLR 17, 59"
    Hyperparameters = Settings

    def extra_networks(self, n_nuisance: int) -> dict[str, nn.Module]:
        """Return the adversary."""
        settings = self.hyperparameters
        widths = (settings.latent, *settings.adversary_widths, n_nuisance)
        return {"adversary": mlp(widths, settings.activation)}

    def steps_along(self, network: str) -> bool:
        """Say that the adversary steps with the autoencoder."""
        return True

    def penalty(
        self, latent: torch.Tensor, batch: Batch
    ) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        """Return the adversary's squared error, its gradient reversed on the way to the latent."""
        weight = self.hyperparameters.adversary_weight
        weight *= 2 / (1 + math.exp(-10 * batch.share_done)) - 1
        predicted = self.training.networks["adversary"](_Reversed.apply(latent, weight))
        error = (predicted - batch.nuisance).square().mean()
        chance = batch.nuisance.var(0, correction=0).mean()
        return error, {"adversary_mse": error, "chance_mse": chance}
