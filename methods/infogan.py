r"""InfoGAN: a generator of spectra whose code can be read back from them.

A generator G makes spectra from a code c ~ U(-1, 1), the latent, and from noise w ~ N(0, 1); a
critic C (`critic.py`) tells them from real ones, and a network Q reads the code back:

.. math::

    L_{G,Q} = -\langle C(G(c, w)) \rangle + \frac{\lambda}{d} \langle |c - Q(G(c, w))|^2 \rangle,

d the dimensions of c; the second term is a bound on the information that the spectrum holds of its
code. No real spectrum is ever reconstructed in training: its latent is Q(x), its reconstruction
G(Q(x), 0). Networks and critic work on standardised coefficients as in `autoencoder.py`, Q in place
of the encoder and G of the decoder. Where the noise of the spectra is known, it is added to what G
makes (Bora et al. 2018), so that the critic compares noisy spectra with noisy ones.

References
----------
Chen et al. (2016), "InfoGAN: interpretable representation learning by information maximizing
generative adversarial nets", NeurIPS 29; here with the critic of Gulrajani et al. (2017).
Bora, Price and Dimakis (2018), "AmbientGAN", ICLR.
"""

from dataclasses import dataclass

import torch
from torch import nn

from starbench.methods.base import View, option
from starbench.methods.parts.autoencoder import Autoencoder, Batch
from starbench.methods.parts.critic import CriticSettings, trained_difference
from starbench.methods.parts.networks import mlp


@dataclass(frozen=True)
class Settings(CriticSettings):
    """Hyperparameters of InfoGAN."""

    input_whitening: float = option(
        0.0, "inputs are divided by their standard deviation to this power", low=0.0, high=1.0
    )
    refinement: int = option(
        0, "Gauss-Newton steps of the latents of noisy spectra against the generator",
        low=0, high=100,
    )  # fmt: skip
    epochs: int = option(20, "passes over the training spectra", low=1)
    information_weight: float = option(1.0, "weight lambda of reading the code back", low=0.0)
    noise_inputs: int = option(10, "inputs of the generator besides the code", low=0, high=1024)


class InfoGan(Autoencoder):
    """A generative adversarial network with a code that can be read back."""

    name = "infogan"
    version = 1
    label_access = "none"
    reference = "Chen et al. 2016"
    Hyperparameters = Settings

    def extra_networks(self, n_nuisance: int) -> dict[str, nn.Module]:
        """Return the critic."""
        settings = self.hyperparameters
        widths = (len(self.representation), *settings.critic_widths, 1)
        return {"critic": mlp(widths, settings.activation)}

    def loss(self, batch: Batch) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        """Train the critic; return what generator and reader descend."""
        settings = self.hyperparameters
        generator = batch.generator()
        n = len(batch.rows)
        code = 2 * torch.rand(n, settings.latent, generator=generator).to(self.device) - 1
        noise = torch.randn(n, settings.noise_inputs, generator=generator).to(self.device)
        made = self.training.networks["decoder"](torch.cat([code, noise], 1))
        deviation = self.buffers["input_noise"].to(self.device)
        made = made + deviation * torch.randn(made.shape, generator=generator).to(self.device)
        difference = trained_difference(
            self.training.networks["critic"], self.training.optimisers["critic"],
            batch.inputs, made, settings, generator,
        )  # fmt: skip
        misread = (self._encode(made, batch.nuisance) - code).square().mean()
        with torch.no_grad():
            latent = self._encode(batch.inputs, batch.nuisance)
            flux_mse = self._errors(latent, batch)[1]
        loss = difference + settings.information_weight * misread
        return loss, {
            "reconstruction_mse": flux_mse, "critic_difference": difference, "code_mse": misread
        }  # fmt: skip

    def _prepare(self, train: View) -> None:
        super()._prepare(train)
        # The components are orthonormal: noise of one level in the pixels has it in all of them.
        self.buffers["input_noise"] = (train.noise or 0.0) / self.buffers["input_scale"]

    def _decoder_inputs(self, n_nuisance: int) -> int:
        return self.hyperparameters.latent + self.hyperparameters.noise_inputs

    def _decode(self, latent: torch.Tensor, nuisance: torch.Tensor) -> torch.Tensor:
        noise = latent.new_zeros(len(latent), self.hyperparameters.noise_inputs)
        return super()._decode(latent, noise)
