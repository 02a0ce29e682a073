r"""Regression of the composition: what a survey's pipeline does, given perfect labels.

A network learns to predict the standardised composition a of a spectrum of known nuisance,

.. math::

    L = \frac{1}{d} |E(x, u) - a|^2, \qquad z = M^T E(x, u),

with d elements. Predictions scatter by more in one element than in another, and L1 adds up what it
is given. So after the fit M turns and scales them (`noise_matching.py`) such that what tells the
predictions of twins apart, measured on pairs that the network did not see (though the principal
components before it did), is alike along all axes. With noisy spectra that is next to all that
tells them apart from the truth, but for what is drawn to the mean because the spectrum does not
tell it, and that twins have in common.

References
----------
Leung and Bovy (2019), MNRAS 483, 3255: abundances from spectra by a network.
"""

from dataclasses import dataclass

import torch

from starbench.methods.base import Monitor, View, known_composition, option
from starbench.methods.parts.encoder import Encoder, EncoderSettings, pairs
from starbench.methods.parts.noise_matching import moved_covariance, noise_matched_map

_HELD_OUT = 1024  # pairs at most that teach nothing but how much predictions scatter


@dataclass(frozen=True)
class Settings(EncoderSettings):
    """Hyperparameters of the regression."""

    weight_decay: float = option(
        0.0, "share of a weight that decays in a step, over the learning rate", low=0.0
    )
    fresh_noise: float = option(
        0.0,
        "noise added in training to spectra of known noise, drawn anew each time, over that noise",
        low=0.0,
    )
    matching: bool = option(True, "whether predictions are scaled to their scatter between twins")


class LabelRegression(Encoder):
    """A network from spectra to composition."""

    name = "label-regression"
    label_access = "oracle"
    reference = "Leung and Bovy 2019, MNRAS 483, 3255"
    Hyperparameters = Settings

    def fit(self, train: View, validation: View, monitor: Monitor) -> None:
        """Fit the principal components, then the network, then the scale of its predictions.

        Raises
        ------
        SettingError
            If the data do not hold the composition.
        """
        composition = torch.as_tensor(known_composition(train, self.name))
        both = pairs(torch.as_tensor(train.twin))
        n_held_out = min(_HELD_OUT, len(both) // 8)
        held_out, learned = both[:n_held_out], both[n_held_out:].reshape(-1, 1)
        self._prepare(train, composition.shape[1])
        deviation = composition.std(0).clamp_min(1e-10)
        target = ((composition - composition.mean(0)) / deviation).to(self.device)

        def loss(predicted: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
            return (predicted - target[rows]).square().mean()

        self._train(train, monitor, learned, loss)
        if self.hyperparameters.matching:
            one, other = (
                self._outputs(self._inputs(train.flux[rows], train.nuisance[rows]))
                for rows in held_out.T
            )
            scatter = moved_covariance(one, other) / 2
            self.buffers["latent_map"] = noise_matched_map(torch.cat([one, other]), scatter)
