r"""Invariance without an adversary: minimise a bound on the information on the nuisance.

For a latent z of a spectrum x with nuisance u,

.. math::

    I(z; u) \le -H(x|u) - E[\log p(x|z, u)] + E[\mathrm{KL}(q(z|x, u)\, \|\, q(z))],

as I(z; u) = I(z; x, u) - I(z; x|u), and a decoder that is given u bounds the last term. Added to
the loss of `starbench.methods.parts.variational` with weight lambda, it makes

.. math::

    L = \frac{1 + \lambda}{2} \log \langle e \rangle + \frac{\beta}{K} \langle \mathrm{KL}(q(z|x, u)
        \,\|\, N(0, 1)) \rangle + \frac{\lambda}{K} \langle \mathrm{KL}(q(z|x_i, u_i)
        \,\|\, q(z|x_j, u_j)) \rangle_{ij}.

The divergence from the marginal q(z), a mixture of all posteriors, is replaced by the mean
divergence between the posteriors of a batch, which is larger (the logarithm is concave) and has a
closed form. There is no second network to train, but posteriors are pulled together whether or not
it is the nuisance that separates them.

References
----------
Moyer, Gao, Brekelmans, Galstyan and Ver Steeg (2018), "Invariant representations without
adversarial training", NeurIPS 31. Their encoder is not given u; here it is, as in the other methods
of this benchmark.
"""

from dataclasses import dataclass
from typing import ClassVar, final

import torch

from starbench.methods.base import Diagnostic, option
from starbench.methods.parts.autoencoder import Autoencoder
from starbench.methods.parts.inputs import Inputs
from starbench.methods.parts.objective import Batch, Objective, ReconstructionError, Watched
from starbench.methods.parts.training import ramp
from starbench.methods.parts.variational import (
    DIAGNOSTIC,
    EvidenceBound,
    Posterior,
    PosteriorPenalty,
    VariationalNetworks,
    VariationalSettings,
)


@dataclass(frozen=True)
class Settings(VariationalSettings):
    """Hyperparameters of the invariant bottleneck."""

    invariance: float = option(
        0.001, "weight lambda of the bound on I(z; u)", low=0.0, tuned=(0.0001, 1)
    )


def mean_divergence(posterior: Posterior) -> torch.Tensor:
    """Return the mean of KL(q_i || q_j) over all pairs of posteriors [n, d], in nats.

    The sums over pairs separate, so the cost is n d, not n^2 d.
    """
    mean, log_variance = posterior.mean, posterior.log_variance
    precision = (-log_variance).exp()
    spread = log_variance.exp().mean(0) + mean.square().mean(0)
    # <(v_i + (m_i - m_j)^2) / v_j>_ij, with the square multiplied out
    scaled = spread * precision - 2 * mean.mean(0) * mean * precision + mean.square() * precision
    return 0.5 * (scaled.mean(0) - 1).sum()


@final
class InformationPenalty(PosteriorPenalty):
    """The bound on I(z; u), weighted.

    Parameters
    ----------
    settings : Settings
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def __call__(
        self, posterior: Posterior, error: torch.Tensor, batch: Batch
    ) -> tuple[torch.Tensor, Watched]:
        """Return the weighted bound for a batch; see `PosteriorPenalty`."""
        settings = self._settings
        between = mean_divergence(posterior)
        weight = settings.invariance * ramp(batch.share_done, settings.beta_ramp)
        penalty = weight * (error + between / batch.inputs.shape[1])
        return penalty, {"divergence_between": between}


@final
class InvariantVib(Autoencoder):
    """A conditional variational autoencoder that penalises a bound on the leaked information."""

    name = "invariant-vib"
    version = 2
    reference = "Moyer et al. 2018"
    Hyperparameters = Settings
    hyperparameters: Settings
    diagnostics: ClassVar[tuple[Diagnostic, ...]] = (
        DIAGNOSTIC,
        Diagnostic("divergence_between", "divergence between posteriors"),
    )

    def build(self, inputs: Inputs) -> Objective:
        """Build networks that maximise the evidence bound less the bound on the leak."""
        settings = self.hyperparameters
        networks = VariationalNetworks(settings, inputs.n_inputs, inputs.n_nuisance)
        error = ReconstructionError(inputs, settings.loss_whitening)
        return EvidenceBound(networks, error, settings, InformationPenalty(settings))
