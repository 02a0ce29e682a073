r"""FactorDis: a critic that compares stars with what the decoder makes of them elsewhere.

The nuisances u' of a batch are those of other stars of it, shuffled. A critic C tells real triples
of spectrum, latent and nuisance from those in which the decoder has moved the star,

.. math::

    (x, z, u) \quad\text{and}\quad (D(z, u'), z, u'), \qquad z = E(x, u),

and encoder and decoder learn to make the two alike, besides to reconstruct:

.. math::

    L_{E,D} = |x - D(z, u)|^2 / \mathrm{variance}
        + w\, [\langle C(x, z, u) \rangle - \langle C(D(z, u'), z, u') \rangle].

As u' is drawn without regard to z, the two can only be alike if z is independent of u; and what
the decoder draws for a star at another temperature is judged as a spectrum, too, which an adversary
that sees nothing but latents does not do. The critic is that of `critic.py`.

References
----------
de Mijolla, Ness, Viti and Wheeler (2021), "Disentangled representation learning for astronomical
chemical tagging", ApJ 913, 12.
"""

from dataclasses import dataclass

import torch
from torch import nn

from starbench.methods.autoencoder import Autoencoder, AutoencoderSettings, Batch
from starbench.methods.base import option
from starbench.methods.critic import critic_loss
from starbench.methods.networks import mlp
from starbench.methods.training import ramp


@dataclass(frozen=True)
class Settings(AutoencoderSettings):
    """Hyperparameters of FactorDis."""

    critic_weight: float = option(0.01, "weight w of the critic's difference", low=0.0)
    critic_ramp: float = option(
        0.5, "share of the training over which w grows from 0", low=0.0, high=1.0
    )
    critic_widths: tuple[int, ...] = option((512, 256), "critic's hidden layers", low=1)
    critic_steps: int = option(1, "steps of the critic to one of the autoencoder", low=1, high=100)
    slope_weight: float = option(10.0, "weight of the critic's gradient penalty", low=0.0)


class FactorDis(Autoencoder):
    """Disentanglement by a critic on spectra, latents and shuffled nuisance."""

    name = "factordis"
    version = 1
    reference = "de Mijolla et al. 2021, ApJ 913, 12"
    Hyperparameters = Settings

    def extra_networks(self, n_nuisance: int) -> dict[str, nn.Module]:
        """Return the critic."""
        settings = self.hyperparameters
        n_inputs = len(self.representation) + settings.latent + n_nuisance
        return {"critic": mlp((n_inputs, *settings.critic_widths, 1), settings.activation)}

    def penalty(
        self, latent: torch.Tensor, batch: Batch
    ) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        """Train the critic; return the difference that it sees, weighted."""
        settings = self.hyperparameters
        critic = self.training.networks["critic"]
        optimiser = self.training.optimisers["critic"]
        generator = batch.generator()
        order = torch.randperm(len(latent), generator=generator)
        elsewhere = batch.nuisance[order]
        moved = self._decode(latent, elsewhere)
        real = torch.cat([batch.inputs, latent, batch.nuisance], 1)
        fake = torch.cat([moved, latent, elsewhere], 1)
        for _ in range(settings.critic_steps):
            optimiser.zero_grad()
            critic_loss(
                critic, real, fake, slope_weight=settings.slope_weight, generator=generator
            ).backward()
            optimiser.step()

        critic.requires_grad_(False)
        difference = critic(real).mean() - critic(fake).mean()
        critic.requires_grad_(True)
        weight = settings.critic_weight * ramp(batch.share_done, settings.critic_ramp)
        return weight * difference, {"critic_difference": difference}
