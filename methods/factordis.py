r"""FactorDis: a critic compares stars with their own spectra decoded at another nuisance.

The nuisances u' are those of the batch, shuffled. A critic C tells real triples of spectrum, latent
and nuisance from those in which the decoder has moved the star to another nuisance,

.. math::

    (x, z, u) \quad\text{and}\quad (D(z, u'), z, u'), \qquad z = E(x, u),

and encoder and decoder learn to make the two alike, while they reconstruct:

.. math::

    L_{E,D} = |x - D(z, u)|^2 / \mathrm{variance}
        + w\, [\langle C(x, z, u) \rangle - \langle C(D(z, u'), z, u') \rangle].

As u' is drawn independently of z, the two can only be alike if z is independent of u. Unlike an
adversary that sees only latents, the critic also judges the decoded spectrum of a star at another
temperature. `starbench.methods.parts.critic` describes it.

References
----------
de Mijolla, Ness, Viti and Wheeler (2021), "Disentangled representation learning for astronomical
chemical tagging", ApJ 913, 12.
"""

from dataclasses import dataclass
from typing import ClassVar, final

import torch

from starbench.methods.base import Diagnostic, option
from starbench.methods.parts.adversary import Adversary
from starbench.methods.parts.autoencoder import Autoencoder
from starbench.methods.parts.critic import DIAGNOSTIC, CriticSettings, train_critic
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
from starbench.methods.parts.training import ramp


@dataclass(frozen=True)
class Settings(CriticSettings):
    """Hyperparameters of FactorDis."""

    critic_weight: float = option(
        0.1, "weight w of the critic's difference", low=0.0, tuned=(0.01, 1)
    )
    critic_ramp: float = option(
        0.5, "share of the training over which w grows from 0", low=0.0, high=1.0
    )


@final
class CriticPenalty(PenalisedReconstruction):
    """The reconstruction error plus a critic's weighted score of stars moved to another nuisance.

    Parameters
    ----------
    networks : Networks
    error : ReconstructionError
    critic : Adversary
        From inputs, latent and nuisance [n, n_inputs + latent + n_nuisance] to scores [n, 1].
    settings : Settings
    """

    def __init__(
        self,
        networks: Networks,
        error: ReconstructionError,
        critic: Adversary,
        settings: Settings,
    ) -> None:
        super().__init__(networks, error)
        self.critic, self._settings = critic, settings

    def penalty(self, latent: torch.Tensor, batch: Batch) -> tuple[torch.Tensor, Watched]:
        """Train the critic; return the difference that it sees, weighted."""
        settings, generator = self._settings, batch.generator()
        order = torch.randperm(len(latent), generator=generator)
        shuffled = batch.nuisance[order]
        # Weighted as in the loss; in whitened inputs the weakest components would dominate.
        scale = self.error.weight.sqrt()
        real = torch.cat([batch.inputs * scale, latent, batch.nuisance], 1)
        moved = self.networks.decode(latent, shuffled)
        fake = torch.cat([moved * scale, latent, shuffled], 1)
        difference = train_critic(self.critic, real, fake, settings, generator)
        weight = settings.critic_weight * ramp(batch.share_done, settings.critic_ramp)
        return weight * difference, {"critic_difference": difference}


@final
class FactorDis(Autoencoder):
    """Disentanglement by a critic of spectra, latents and shuffled nuisance."""

    name = "factordis"
    version = 2
    reference = "de Mijolla et al. 2021, ApJ 913, 12"
    Hyperparameters = Settings
    hyperparameters: Settings
    diagnostics: ClassVar[tuple[Diagnostic, ...]] = (DIAGNOSTIC,)

    def build(self, inputs: Inputs) -> Objective:
        """Build the networks and the critic."""
        settings = self.hyperparameters
        networks = ConditionalNetworks(settings, inputs.n_inputs, inputs.n_nuisance)
        error = ReconstructionError(inputs, settings.loss_whitening)
        n_critic_inputs = inputs.n_inputs + settings.latent + inputs.n_nuisance
        critic = mlp((n_critic_inputs, *settings.critic_widths, 1), settings.activation)
        return CriticPenalty(networks, error, Adversary(critic, settings.learning_rate), settings)
