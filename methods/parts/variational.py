r"""The variational autoencoder that several methods are made of.

The encoder gives each spectrum a normal distribution in place of a point, and the decoder sees a
draw from it. With inputs x of K coefficients,

.. math::

    q(z|x, u) = N(\mu(x, u), \mathrm{diag}\,\sigma^2(x, u)), \qquad
    L = \frac{1}{2} \log \langle e(x, D(z, u)) \rangle + \frac{\beta}{K}\,
        \langle \mathrm{KL}(q(z|x, u)\, \|\, N(0, 1)) \rangle + P,

where e is the weighted squared error of `autoencoder.py` and the averages are over a batch. The
logarithm is what remains of a normal likelihood whose variance is always the best one: K/2 times
the logarithm of the error (Rybkin et al. 2021). So beta = 1 means the evidence lower bound on any
data, whatever its noise, and a spectrum's latent is its :math:`\mu`.

References
----------
Kingma and Welling (2014), "Auto-encoding variational Bayes", ICLR.
Rybkin, Daniilidis and Levine (2021), "Simple and effective VAE training with calibrated decoders",
ICML, eq. 6.
"""

from dataclasses import dataclass

import torch

from starbench.methods.base import option
from starbench.methods.parts.autoencoder import Autoencoder, AutoencoderSettings, Batch
from starbench.methods.parts.training import ramp

_LOG_VARIANCE = (-18.0, 4.0)  # beyond which a posterior is a point, or wider than any prior


@dataclass(frozen=True)
class VariationalSettings(AutoencoderSettings):
    """What variational autoencoders share."""

    beta: float = option(1.0, "weight of the divergence from the prior", low=0.0)
    beta_ramp: float = option(
        0.5, "share of the training over which beta grows from 0", low=0.0, high=1.0
    )


def divergence_from_prior(mean: torch.Tensor, log_variance: torch.Tensor) -> torch.Tensor:
    """Return KL(N(mean, variance) || N(0, 1)) [n] in nats, summed over the axes [n, d]."""
    return 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).sum(1)


class Variational(Autoencoder):
    """An autoencoder with a normal posterior; subclasses may add a penalty on posteriors."""

    version = 1

    def posterior_penalty(
        self, mean: torch.Tensor, log_variance: torch.Tensor, error: torch.Tensor, batch: Batch
    ) -> tuple[torch.Tensor | float, dict[str, torch.Tensor]]:
        """Return the term P added to the loss of a batch, and quantities to watch.

        Parameters
        ----------
        mean, log_variance : torch.Tensor [n, latent]
            Of the posteriors.
        error : torch.Tensor, scalar
            The first term of the loss.
        batch : Batch
        """
        return 0.0, {}

    def loss(self, batch: Batch) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        """Return minus the evidence lower bound a coefficient, beta and P applied."""
        settings = self.hyperparameters
        mean, log_variance = self._posterior(batch.inputs, batch.nuisance)
        deviates = torch.randn(mean.shape, generator=batch.generator()).to(self.device)
        drawn = mean + (0.5 * log_variance).exp() * deviates
        squared, flux_mse = self._errors(drawn, batch)
        error = 0.5 * squared.mean().log()
        divergence = divergence_from_prior(mean, log_variance).mean()
        penalty, watched = self.posterior_penalty(mean, log_variance, error, batch)
        beta = settings.beta * ramp(batch.share_done, settings.beta_ramp)
        loss = error + beta * divergence / batch.inputs.shape[1] + penalty
        return loss, {
            "reconstruction_mse": flux_mse, "loss": loss, "divergence": divergence
        } | watched  # fmt: skip

    def _encoder_outputs(self) -> int:
        return 2 * self.hyperparameters.latent

    def _encode(self, inputs: torch.Tensor, nuisance: torch.Tensor) -> torch.Tensor:
        return self._posterior(inputs, nuisance)[0]

    def _posterior(
        self, inputs: torch.Tensor, nuisance: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        mean, log_variance = super()._encode(inputs, nuisance).chunk(2, dim=1)
        return mean, log_variance.clamp(*_LOG_VARIANCE)
