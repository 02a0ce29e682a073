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

from starbench.methods.base import option
from starbench.methods.parts.autoencoder import Autoencoder, Batch
from starbench.methods.parts.critic import CriticSettings, trained_difference
from starbench.methods.parts.networks import mlp
from starbench.methods.parts.training import ramp


@dataclass(frozen=True)
class Settings(CriticSettings):
    """Hyperparameters of FactorDis."""

    critic_weight: float = option(0.1, "weight w of the critic's difference", low=0.0)
    critic_ramp: float = option(
        0.5, "share of the training over which w grows from 0", low=0.0, high=1.0
    )


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
        settings, generator = self.hyperparameters, batch.generator()
        order = torch.randperm(len(latent), generator=generator)
        elsewhere = batch.nuisance[order]
        # In the metric of the loss: whitened, the faintest components would be all the critic sees.
        scale = self._weight.sqrt()
        real = torch.cat([batch.inputs * scale, latent, batch.nuisance], 1)
        fake = torch.cat([self._decode(latent, elsewhere) * scale, latent, elsewhere], 1)
        difference = trained_difference(
            self.training.networks["critic"], self.training.optimisers["critic"],
            real, fake, settings, generator,
        )  # fmt: skip
        weight = settings.critic_weight * ramp(batch.share_done, settings.critic_ramp)
        return weight * difference, {"critic_difference": difference}
