r"""InfoGAN: a generative adversarial network whose code can be recovered from its spectra.

A generator G makes spectra from a code c ~ U(-1, 1), the latent, and from noise w ~ N(0, 1). A
critic C (`starbench.methods.parts.critic`) compares them with real ones, and a network Q recovers
the code:

.. math::

    L_{G,Q} = -\langle C(G(c, w)) \rangle
        + \frac{\lambda}{d} \langle |c - Q(G(c, w))|^2 \rangle,

with d the dimensions of c; minimising the second term maximises a lower bound on the mutual
information of code and spectrum. No real spectrum is reconstructed in training; the latent of a
spectrum is Q(x) and its reconstruction G(Q(x), 0). Networks and critic work on scaled coefficients,
with Q as the encoder and G as the decoder. If the noise of the spectra is known, it is added to the
generated ones (Bora et al. 2018), so that the critic compares noisy spectra with noisy spectra.

References
----------
Chen et al. (2016), "InfoGAN: interpretable representation learning by information maximizing
generative adversarial nets", NeurIPS 29; here with the critic of Gulrajani et al. (2017).
Bora, Price and Dimakis (2018), "AmbientGAN", ICLR.
"""

from dataclasses import dataclass
from typing import ClassVar, final

import torch

from starbench.methods.base import Diagnostic, option
from starbench.methods.parts.adversary import Adversary
from starbench.methods.parts.autoencoder import Autoencoder
from starbench.methods.parts.critic import DIAGNOSTIC, CriticSettings, train_critic
from starbench.methods.parts.inputs import Inputs
from starbench.methods.parts.networks import Networks
from starbench.methods.parts.objective import (
    Batch,
    Objective,
    ReconstructionError,
    Watched,
)
from starbench.methods.parts.perceptron import mlp
from starbench.methods.parts.training import epochs_option


@dataclass(frozen=True)
class Settings(CriticSettings):
    """Hyperparameters of InfoGAN."""

    input_whitening: float = option(
        0.0, "inputs are divided by their standard deviation to this power", low=0.0, high=1.0
    )
    refinement: int = option(
        0, "Gauss-Newton steps that refine the latents of noisy spectra", low=0, high=100
    )
    usual_epochs: ClassVar[int] = 20
    epochs: int = epochs_option(usual_epochs)
    information_weight: float = option(
        1.0, "weight lambda of the squared error of the recovered code", low=0.0, tuned=(0.1, 10)
    )
    noise_inputs: int = option(
        10, "noise inputs of the generator, in addition to the code", low=0, high=1024
    )


@final
class Generator(Networks):
    """The generator G as decoder and the recognition network Q as encoder.

    Parameters
    ----------
    settings : Settings
    n_inputs, n_nuisance : int
    """

    def __init__(self, settings: Settings, n_inputs: int, n_nuisance: int) -> None:
        super().__init__()
        self._n_noise = settings.noise_inputs
        n_encoded, n_decoded = n_inputs + n_nuisance, settings.latent + settings.noise_inputs
        self.encoder = mlp(
            (n_encoded, *settings.encoder_widths, settings.latent), settings.activation
        )
        self.decoder = mlp((n_decoded, *settings.decoder_widths, n_inputs), settings.activation)

    def generate(self, code: torch.Tensor, noise: torch.Tensor) -> torch.Tensor:
        """Return G(c, w) [n, n_inputs] of codes [n, latent] and noise [n, noise_inputs]."""
        inputs: torch.Tensor = self.decoder(torch.cat([code, noise], 1))
        return inputs

    def encode(self, inputs: torch.Tensor, nuisance: torch.Tensor) -> torch.Tensor:
        """Recover the code, Q(x); see `Networks.encode`."""
        code: torch.Tensor = self.encoder(torch.cat([inputs, nuisance], 1))
        return code

    def decoder_inputs(self, latent: torch.Tensor, nuisance: torch.Tensor) -> torch.Tensor:
        """Return z and no noise, so that latents are decoded into G(z, 0)."""
        return torch.cat([latent, latent.new_zeros(len(latent), self._n_noise)], 1)


@final
class InfoGanObjective(Objective):
    """The critic's difference between real and generated spectra, plus the error of the code.

    Parameters
    ----------
    networks : Generator
    error : ReconstructionError
    critic : Adversary
        From inputs [n, n_inputs] to scores [n, 1].
    scale : torch.Tensor [n_inputs]
        Flux units of each input.
    settings : Settings
    """

    networks: Generator
    scale: torch.Tensor

    def __init__(
        self,
        networks: Generator,
        error: ReconstructionError,
        critic: Adversary,
        scale: torch.Tensor,
        settings: Settings,
    ) -> None:
        super().__init__(networks)
        self.error, self.critic, self._settings = error, critic, settings
        self.register_buffer("scale", scale, persistent=False)

    def loss(self, batch: Batch) -> tuple[torch.Tensor, Watched]:
        """Train the critic; return the loss of G and Q; see `Objective.loss`."""
        settings, device = self._settings, batch.inputs.device
        generator = batch.generator()
        n = len(batch.rows)
        code = 2 * torch.rand(n, settings.latent, generator=generator).to(device) - 1
        noise = torch.randn(n, settings.noise_inputs, generator=generator).to(device)
        generated = self.networks.generate(code, noise)
        # Components are orthonormal, so white noise has the same level in each as in a pixel.
        input_noise = batch.train.noise / self.scale
        generated = generated + input_noise * torch.randn(generated.shape, generator=generator).to(
            device
        )
        difference = train_critic(self.critic, batch.inputs, generated, settings, generator)
        code_error = (self.networks.encode(generated, batch.nuisance) - code).square().mean()
        with torch.no_grad():
            latent = self.networks.encode(batch.inputs, batch.nuisance)
            _, flux_mse = self.error(self.networks.decode(latent, batch.nuisance), batch)
        loss = difference + settings.information_weight * code_error
        return loss, {
            "reconstruction_mse": flux_mse, "critic_difference": difference, "code_mse": code_error
        }  # fmt: skip


@final
class InfoGan(Autoencoder):
    """A generative adversarial network with a code that can be recovered from its output."""

    name = "infogan"
    version = 2
    label_access = "none"
    reference = "Chen et al. 2016"
    Hyperparameters = Settings
    hyperparameters: Settings
    diagnostics: ClassVar[tuple[Diagnostic, ...]] = (
        DIAGNOSTIC,
        Diagnostic("code_mse", "squared error of the code"),
    )

    def build(self, inputs: Inputs) -> Objective:
        """Build the generator, the recognition network and the critic."""
        settings = self.hyperparameters
        networks = Generator(settings, inputs.n_inputs, inputs.n_nuisance)
        error = ReconstructionError(inputs, settings.loss_whitening)
        critic = mlp((inputs.n_inputs, *settings.critic_widths, 1), settings.activation)
        return InfoGanObjective(
            networks, error, Adversary(critic, settings.learning_rate), inputs.scale, settings
        )
