r"""VICReg: twins get similar latents, whose axes keep their variance and share nothing.

A batch holds both spectra of n pairs. With the latents Z of the first and Z' of the second, the
loss is the sum of an invariance, a variance and a covariance term,

.. math::

    L = \frac{\lambda}{n d} \sum_i |z_i - z'_i|^2 + \mu\, [v(Z) + v(Z')] + \nu\, [c(Z) + c(Z')],

.. math::

    v(Z) = \frac{1}{d} \sum_j \max(0, 1 - S_{jj}^{1/2}), \qquad
    c(Z) = \frac{1}{d} \sum_{j \ne k} S_{jk}^2, \qquad z = E(x, u),

with the covariance S of the batch and d axes. The first term alone would make all latents equal;
the others prevent that without strangers to tell apart, as `starbench.methods.contrastive` needs
them. A distance weighs the axes, so after the fit the latent is rotated and scaled
(`starbench.methods.parts.noise_matching`) so that held-out twins scatter equally along all axes.
The original compares the outputs of a second network, an expander, which it then discards, with nu
= 1; here the loss is that of the latent itself, and nu is larger (`TUNING.md`).

References
----------
Bardes, Ponce and LeCun (2022), "VICReg: variance-invariance-covariance regularization for
self-supervised learning", ICLR.
"""

from dataclasses import dataclass
from typing import ClassVar, final

import torch

from starbench.methods.base import View, option
from starbench.methods.parts.encoder import (
    Encoder,
    EncoderObjective,
    EncoderSettings,
)
from starbench.methods.parts.siblings import SiblingPairs
from starbench.methods.parts.training import epochs_option


@dataclass(frozen=True)
class Settings(EncoderSettings):
    """Hyperparameters of VICReg."""

    latent: int = option(20, "dimensions of the latent", low=1, high=1024)
    invariance_weight: float = option(
        25.0, "weight lambda of the distance of twins", low=0.0, tuned=(2.5, 250)
    )
    variance_weight: float = option(25.0, "weight mu of the lack of variance", low=0.0)
    covariance_weight: float = option(
        25.0, "weight nu of the squared covariances", low=0.0, tuned=(2.5, 250)
    )
    usual_epochs: ClassVar[int] = 60
    epochs: int = epochs_option(usual_epochs, "pairs")
    batch_size: int = option(256, "pairs in each step", low=2)
    learning_rate: float = option(
        2e-3, "peak of the one-cycle learning rate", low=0.0, tuned=(0.0005, 0.005)
    )
    matching: bool = option(True, "whether the latent is scaled by its scatter between twins")


def regularisers(latent: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the variance term v and the covariance term c of latents [n, d]."""
    centred = latent - latent.mean(0)
    covariance = centred.T @ centred / (len(latent) - 1)
    variance = covariance.diagonal()
    # The gradient of a root is infinite at 0.
    lack = (1 - (variance + 1e-4).sqrt()).clamp_min(0).mean()
    shared = covariance.square().sum() - variance.square().sum()
    return lack, shared / len(variance)


@final
class VicReg(Encoder):
    """An encoder that makes twins similar and keeps the variance of its axes."""

    name = "vicreg"
    label_access = "pairs"
    reference = "Bardes et al. 2022"
    Hyperparameters = Settings
    hyperparameters: Settings

    def objective(self, train: View) -> EncoderObjective:
        """Return the three terms on batches of pairs."""
        settings = self.hyperparameters
        siblings = SiblingPairs.of(train, self.name)

        def loss(latent: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
            one, other = latent.chunk(2)
            total = settings.invariance_weight * (one - other).square().mean()
            for half in (one, other):
                lack, shared = regularisers(half)
                total = total + settings.variance_weight * lack
                total = total + settings.covariance_weight * shared
            return total

        return EncoderObjective(
            settings.latent,
            siblings.learned,
            loss,
            siblings.held_out if settings.matching else None,
        )
