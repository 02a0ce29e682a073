r"""Regression of the composition: what a survey's pipeline does, given perfect labels.

A network learns to predict the standardised composition a of a spectrum of known nuisance,

.. math::

    L = \frac{1}{d} |E(x, u) - a|^2, \qquad z = M^T E(x, u),

with d elements. Predictions scatter more in some elements than in others, and L1 adds them all up.
So after the fit the matrix M rotates and scales them (`starbench.methods.parts.noise_matching`) so
that the predictions of twins scatter equally along all axes. This scatter is measured on pairs held
out from the network, although not from the principal components. For noisy spectra it is nearly the
scatter about the truth; it misses only the bias that twins share, towards the mean composition,
where the spectrum does not determine it.

It assumes that the training set has the true composition of each star, which no survey has, and
that its compositions are distributed like those of the stars to be encoded: towards the mean of
that distribution the predictions of uncertain elements are drawn.

References
----------
Leung and Bovy (2019), MNRAS 483, 3255: abundances from spectra by a network.
"""

from dataclasses import dataclass
from typing import final

import torch

from starbench.methods.base import View, option, required_composition
from starbench.methods.parts.encoder import (
    Encoder,
    EncoderObjective,
    EncoderSettings,
)
from starbench.methods.parts.siblings import SiblingPairs


@dataclass(frozen=True)
class Settings(EncoderSettings):
    """Hyperparameters of the regression."""

    weight_decay: float = option(
        0.0,
        "weight decay of AdamW: a step shrinks weights by this times the learning rate",
        low=0.0,
        tuned=(0.01, 10),
    )
    fresh_noise: float = option(
        0.0,
        "standard deviation of new noise added in each training step, relative to the data's",
        low=0.0,
        tuned=(0, 2),
    )
    matching: bool = option(True, "whether predictions are weighted by their scatter between twins")


@final
class LabelRegression(Encoder):
    """A network from spectra to composition."""

    name = "label-regression"
    label_access = "oracle"
    version = 2
    reference = "Leung and Bovy 2019, MNRAS 483, 3255"
    Hyperparameters = Settings
    hyperparameters: Settings

    def objective(self, train: View) -> EncoderObjective:
        """Return the squared error of the standardised composition.

        Raises
        ------
        SettingError
            If the data do not hold the composition.
        """
        composition = torch.as_tensor(required_composition(train, self.name))
        siblings = SiblingPairs.of(train, self.name)
        deviation = composition.std(0).clamp_min(1e-10)
        target = ((composition - composition.mean(0)) / deviation).to(self.device)

        def loss(predicted: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
            return (predicted - target[rows]).square().mean()

        return EncoderObjective(
            composition.shape[1],
            siblings.rows[:, None],
            loss,
            siblings.held_out if self.hyperparameters.matching else None,
        )
