r"""CLUB: a penalty on an upper bound of the mutual information of latent and nuisance.

A network learns the distribution q(u|z) of the nuisance given the latent, a normal one of
independent axes, by maximum likelihood, and the autoencoder minimises what it knows:

.. math::

    L_q = -\langle \log q(u_i|z_i) \rangle_i, \qquad
    I = \langle \log q(u_i|z_i) \rangle_i - \langle \log q(u_j|z_i) \rangle_{ij}, \qquad
    L_{E,D} = |x - D(z, u)|^2 / \mathrm{variance} + w\, I, \qquad z = E(x, u),

where q is held fixed in the second loss and j runs over the batch. If q is the true conditional
distribution, I is an upper bound of the mutual information of z and u. An adversary that classifies
u, as in `starbench.methods.fader`, bounds it from below: it can only miss a leak. Here the bound
holds as far as q is close enough to the truth.

References
----------
Cheng, Hao, Dai, Liu, Gan and Carin (2020), "CLUB: a contrastive log-ratio upper bound of mutual
information", ICML.
"""

from dataclasses import dataclass
from typing import ClassVar, final

import torch

from starbench.methods.base import Diagnostic, option
from starbench.methods.parts.adversary import Adversary
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
from starbench.methods.parts.training import ramp

_LOG_VARIANCE = (-8.0, 2.0)  # of the nuisance scaled to [-1, 1]


@dataclass(frozen=True)
class Settings(AutoencoderSettings):
    """Hyperparameters of the penalty on the bound."""

    information_weight: float = option(
        0.3, "weight w of the bound, in nats", low=0.0, tuned=(0.03, 3)
    )
    information_ramp: float = option(
        0.3, "share of the training over which w grows from 0", low=0.0, high=1.0
    )
    adversary_widths: tuple[int, ...] = option(
        (256, 128), "widths of the hidden layers of the network q", low=1
    )
    adversary_cooling: float = option(
        0.5,
        "the learning rate of q follows the one-cycle schedule to this power; 0: constant",
        low=0.0,
        high=1.0,
    )


@dataclass(frozen=True)
class Prediction:
    """Normal distributions q(u|z) of the nuisance, of independent axes.

    Attributes
    ----------
    mean, log_variance : torch.Tensor [n, n_nuisance]
    """

    mean: torch.Tensor
    log_variance: torch.Tensor

    @classmethod
    def of(cls, output: torch.Tensor) -> "Prediction":
        """Take the mean and the log variance from a network's output [n, 2 n_nuisance]."""
        mean, log_variance = output.chunk(2, dim=1)
        return cls(mean, log_variance.clamp(*_LOG_VARIANCE))

    def loss(self, nuisance: torch.Tensor) -> torch.Tensor:
        """Return the mean of -log q(u_i|z_i) in nats, without its constant."""
        squared = (nuisance - self.mean).square() * (-self.log_variance).exp()
        return 0.5 * (squared + self.log_variance).sum(1).mean()

    def information(self, nuisance: torch.Tensor) -> torch.Tensor:
        """Return the bound I of the mutual information in nats, a scalar.

        The mean over all j is that over u_j's mean and variance, so the cost is n, not n^2.
        """
        centre, spread = nuisance.mean(0), nuisance.var(0, correction=0)
        own = (nuisance - self.mean).square()
        others = (centre - self.mean).square() + spread
        return 0.5 * ((others - own) * (-self.log_variance).exp()).sum(1).mean()


@final
class InformationPenalty(PenalisedReconstruction):
    """The reconstruction error plus the weighted bound of the mutual information.

    Parameters
    ----------
    networks : Networks
    error : ReconstructionError
    predictor : Adversary
        From latents [n, latent] to mean and log variance of the nuisance [n, 2 n_nuisance].
    settings : Settings
    """

    def __init__(
        self,
        networks: Networks,
        error: ReconstructionError,
        predictor: Adversary,
        settings: Settings,
    ) -> None:
        super().__init__(networks, error)
        self.predictor, self._settings = predictor, settings

    def penalty(self, latent: torch.Tensor, batch: Batch) -> tuple[torch.Tensor, Watched]:
        """Train q by one step; return the weighted bound."""
        settings = self._settings
        self.predictor.step(Prediction.of(self.predictor(latent.detach())).loss(batch.nuisance))
        with self.predictor.frozen():
            information = Prediction.of(self.predictor(latent)).information(batch.nuisance)
        weight = settings.information_weight * ramp(batch.share_done, settings.information_ramp)
        return weight * information, {"information": information}


@final
class Club(Autoencoder):
    """Disentanglement by a penalty on an upper bound of the leaked information."""

    name = "club"
    version = 1
    reference = "Cheng et al. 2020"
    Hyperparameters = Settings
    hyperparameters: Settings
    diagnostics: ClassVar[tuple[Diagnostic, ...]] = (
        Diagnostic("information", "bound of the leaked information"),
    )

    def build(self, inputs: Inputs) -> Objective:
        """Build the networks and the predictor of the nuisance."""
        settings = self.hyperparameters
        networks = ConditionalNetworks(settings, inputs.n_inputs, inputs.n_nuisance)
        error = ReconstructionError(inputs, settings.loss_whitening)
        widths = (settings.latent, *settings.adversary_widths, 2 * inputs.n_nuisance)
        predictor = Adversary(
            mlp(widths, settings.activation), settings.learning_rate, settings.adversary_cooling
        )
        return InformationPenalty(networks, error, predictor, settings)
