r"""The variational autoencoder that several methods are built on.

The encoder gives each spectrum a normal distribution in place of a point, and the decoder receives
a draw from it. With inputs x of K coefficients,

.. math::

    q(z|x, u) = N(\mu(x, u), \mathrm{diag}\,\sigma^2(x, u)), \qquad
    L = \frac{1}{2} \log \langle e(x, D(z, u)) \rangle + \frac{\beta}{K}\,
        \langle \mathrm{KL}(q(z|x, u)\, \|\, N(0, 1)) \rangle + P,

where e is the reconstruction error of `objective.py` and averages are over a batch. The first term
is the negative logarithm of a normal likelihood at its optimal variance, over K (Rybkin et al.
2021). So beta = 1 is the evidence lower bound on any data, whatever its noise. The latent of a
spectrum is its :math:`\mu`.

References
----------
Kingma and Welling (2014), "Auto-encoding variational Bayes", ICLR.
Rybkin, Daniilidis and Levine (2021), "Simple and effective VAE training with calibrated decoders",
ICML, eq. 6.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import final

import torch

from starbench.methods.base import Diagnostic, option
from starbench.methods.parts.networks import Networks
from starbench.methods.parts.objective import Batch, Objective, ReconstructionError, Watched
from starbench.methods.parts.perceptron import mlp
from starbench.methods.parts.settings import AutoencoderSettings
from starbench.methods.parts.training import ramp

DIAGNOSTIC = Diagnostic("divergence", "divergence from the prior")
LOG_VARIANCE = (-18.0, 4.0)  # from practically a point to seven times wider than the prior


@dataclass(frozen=True)
class VariationalSettings(AutoencoderSettings):
    """Hyperparameters that variational autoencoders share."""

    beta: float = option(1.0, "weight of the divergence from the prior", low=0.0, tuned=(0.03, 3))
    beta_ramp: float = option(
        0.5, "share of the training over which beta grows from 0", low=0.0, high=1.0
    )


@dataclass(frozen=True)
class Posterior:
    """Independent normal distributions of latents.

    Attributes
    ----------
    mean, log_variance : torch.Tensor [n, latent]
    """

    mean: torch.Tensor
    log_variance: torch.Tensor

    def draw(self, generator: torch.Generator) -> torch.Tensor:
        """Draw one latent from each distribution: [n, latent]."""
        deviates = torch.randn(self.mean.shape, generator=generator).to(self.mean.device)
        return self.mean + (0.5 * self.log_variance).exp() * deviates

    def divergence(self) -> torch.Tensor:
        """Return KL(N(mean, variance) || N(0, 1)) [n] in nats, summed over the axes."""
        mean, log_variance = self.mean, self.log_variance
        return 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).sum(1)


class PosteriorNetworks(Networks):
    """Networks whose encoder gives posteriors; a subclass defines both."""

    @abstractmethod
    def posterior(self, inputs: torch.Tensor, nuisance: torch.Tensor) -> Posterior:
        """Return the posteriors of the latents of inputs [n, n_inputs]."""

    def encode(self, inputs: torch.Tensor, nuisance: torch.Tensor) -> torch.Tensor:
        """Return the means of the posteriors; see `Networks.encode`."""
        return self.posterior(inputs, nuisance).mean


@final
class VariationalNetworks(PosteriorNetworks):
    """Perceptrons with the nuisance as a further input; the encoder returns posteriors.

    Parameters
    ----------
    settings : VariationalSettings
    n_inputs, n_nuisance : int
    """

    def __init__(self, settings: VariationalSettings, n_inputs: int, n_nuisance: int) -> None:
        super().__init__()
        n_encoded, n_decoded = n_inputs + n_nuisance, settings.latent + n_nuisance
        self.encoder = mlp(
            (n_encoded, *settings.encoder_widths, 2 * settings.latent), settings.activation
        )
        self.decoder = mlp((n_decoded, *settings.decoder_widths, n_inputs), settings.activation)

    def posterior(self, inputs: torch.Tensor, nuisance: torch.Tensor) -> Posterior:
        """Return the posteriors of the latents of inputs [n, n_inputs]."""
        mean, log_variance = self.encoder(torch.cat([inputs, nuisance], 1)).chunk(2, dim=1)
        return Posterior(mean, log_variance.clamp(*LOG_VARIANCE))


class PosteriorPenalty(ABC):
    """The term P, a function of the posteriors of a batch."""

    @abstractmethod
    def __call__(
        self, posterior: Posterior, error: torch.Tensor, batch: Batch
    ) -> tuple[torch.Tensor, Watched]:
        """Return the weighted penalty, a scalar, and quantities to watch.

        Parameters
        ----------
        posterior : Posterior
        error : torch.Tensor, scalar
            The first term of the loss.
        batch : Batch
        """


@final
class EvidenceBound(Objective):
    """The negative evidence lower bound per coefficient, with the weight beta and a penalty P.

    Parameters
    ----------
    networks : PosteriorNetworks
    error : ReconstructionError
    settings : VariationalSettings
    penalty : PosteriorPenalty, optional
    infer : callable, optional
        Returns the posteriors of a batch; those of its own spectra if not given.
    """

    networks: PosteriorNetworks

    def __init__(
        self,
        networks: PosteriorNetworks,
        error: ReconstructionError,
        settings: VariationalSettings,
        penalty: PosteriorPenalty | None = None,
        infer: Callable[[PosteriorNetworks, Batch], Posterior] | None = None,
    ) -> None:
        super().__init__(networks)
        self.error, self._settings, self._penalty = error, settings, penalty
        self._infer = infer or _own_posterior

    def loss(self, batch: Batch) -> tuple[torch.Tensor, Watched]:
        """Return the loss of a batch; see `Objective.loss`."""
        settings = self._settings
        posterior = self._infer(self.networks, batch)
        drawn = posterior.draw(batch.generator())
        squared, flux_mse = self.error(self.networks.decode(drawn, batch.nuisance), batch)
        error = 0.5 * squared.mean().log()
        divergence = posterior.divergence().mean()
        beta = settings.beta * ramp(batch.share_done, settings.beta_ramp)
        penalty, watched = torch.zeros_like(error), Watched()
        if self._penalty is not None:
            penalty, watched = self._penalty(posterior, error, batch)
        loss = error + beta * divergence / batch.inputs.shape[1] + penalty
        return loss, {
            "reconstruction_mse": flux_mse, "loss": loss, "divergence": divergence, **watched
        }  # fmt: skip


def _own_posterior(networks: PosteriorNetworks, batch: Batch) -> Posterior:
    return networks.posterior(batch.inputs, batch.nuisance)
