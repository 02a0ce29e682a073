r"""Invariance without an adversary: a bound on what the latent tells of the nuisance, minimised.

For a latent z of x and a nuisance u,

.. math::

    I(z; u) \le -H(x|u) - E[\log p(x|z, u)] + E[\mathrm{KL}(q(z|x, u)\, \|\, q(z))],

as I(z; u) = I(z; x, u) - I(z; x|u) and a decoder that is given u bounds the last. Weighted by
lambda and added to the loss of `variational.py`, it makes

.. math::

    L = \frac{1 + \lambda}{2} \log \langle e \rangle + \frac{\beta}{K} \langle \mathrm{KL}(q(z|x, u)
        \,\|\, N(0, 1)) \rangle + \frac{\lambda}{K} \langle \mathrm{KL}(q(z|x_i, u_i)
        \,\|\, q(z|x_j, u_j)) \rangle_{ij}.

The divergence from the marginal q(z), a mixture of all posteriors, is replaced by the mean
divergence between the posteriors of a batch, which is larger (the logarithm is concave) and has a
closed form. There is no network to fool: the price is that posteriors are pressed together whether
or not what tells them apart is the nuisance.

References
----------
Moyer, Gao, Brekelmans, Galstyan and Ver Steeg (2018), "Invariant representations without
adversarial training", NeurIPS 31, whose encoder is not given u; here it is, as in all methods that
are compared.
"""

from dataclasses import dataclass

import torch

from starbench.methods.base import option
from starbench.methods.parts.autoencoder import Batch
from starbench.methods.parts.training import ramp
from starbench.methods.parts.variational import Variational, VariationalSettings


@dataclass(frozen=True)
class Settings(VariationalSettings):
    """Hyperparameters of the invariant bottleneck."""

    invariance: float = option(0.001, "weight lambda of the bound on I(z; u)", low=0.0)


def mean_divergence(mean: torch.Tensor, log_variance: torch.Tensor) -> torch.Tensor:
    """Return the mean of KL(q_i || q_j) over all pairs of normal posteriors [n, d], in nats.

    The sums over pairs separate, so that it costs n d and not n^2 d.
    """
    precision = (-log_variance).exp()
    spread = log_variance.exp().mean(0) + mean.square().mean(0)
    # <(v_i + (m_i - m_j)^2) / v_j>_ij, with the square multiplied out
    scaled = spread * precision - 2 * mean.mean(0) * mean * precision + mean.square() * precision
    return 0.5 * (scaled.mean(0) - 1).sum()


class InvariantVib(Variational):
    """A conditional variational autoencoder with a bound on the leaked information."""

    name = "invariant-vib"
    reference = "Moyer et al. 2018"
    Hyperparameters = Settings

    def posterior_penalty(
        self, mean: torch.Tensor, log_variance: torch.Tensor, error: torch.Tensor, batch: Batch
    ) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        """Return the bound on what the latent tells of the nuisance, weighted."""
        settings = self.hyperparameters
        between = mean_divergence(mean, log_variance)
        weight = settings.invariance * ramp(batch.share_done, settings.beta_ramp)
        penalty = weight * (error + between / batch.inputs.shape[1])
        return penalty, {"divergence_between": between}
