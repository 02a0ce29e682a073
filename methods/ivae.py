r"""iVAE: a variational autoencoder whose prior depends on the nuisance, and whose decoder does not.

The axes of the latent y are independent given the nuisance u, with a distribution that u decides,
and y alone makes the spectrum:

.. math::

    y_j \sim N(m_j(u), s_j^2(u)), \qquad x = D(y) + \mathrm{noise}.

If the distributions of enough axes change enough with u, y is determined up to the order and the
scale of its axes: the nuisance identifies them. All of them, including those of temperature and
gravity, are in y, so the latent that is compared is

.. math::

    z_j = \frac{y_j - m_j(u)}{s_j(u)} \sim N(0, 1),

which under this model is independent of u. With networks m, s, D and the posterior q(z|x, u), the
loss is that of `starbench.methods.parts.variational`:

.. math::

    L = \frac{1}{2} \log \langle e(x, D(m(u) + s(u) z)) \rangle + \frac{\beta}{K}\,
        \langle \mathrm{KL}(q(z|x, u)\, \|\, N(0, 1)) \rangle.

In this benchmark no abundance is distributed differently at another temperature, so the theorem's
condition is met by the axes of the nuisance alone, and the theorem says nothing on the others.

References
----------
Khemakhem, Kingma, Monti and Hyvarinen (2020), "Variational autoencoders and nonlinear ICA: a
unifying framework", AISTATS.
"""

from typing import ClassVar, final

import torch

from starbench.methods.base import Diagnostic
from starbench.methods.parts.autoencoder import Autoencoder
from starbench.methods.parts.inputs import Inputs
from starbench.methods.parts.objective import Objective, ReconstructionError
from starbench.methods.parts.perceptron import mlp
from starbench.methods.parts.variational import (
    DIAGNOSTIC,
    LOG_VARIANCE,
    EvidenceBound,
    Posterior,
    PosteriorNetworks,
    VariationalSettings,
)

_PRIOR_WIDTH = 64  # of the hidden layer between the nuisance and the prior
_LOG_SCALE = 5.0  # greatest change of the prior's width by the nuisance, a factor exp(5)


@final
class IdentifiableNetworks(PosteriorNetworks):
    """An encoder given the nuisance, a prior that depends on it, and a decoder that does not.

    Parameters
    ----------
    settings : VariationalSettings
    n_inputs, n_nuisance : int
    """

    def __init__(self, settings: VariationalSettings, n_inputs: int, n_nuisance: int) -> None:
        super().__init__()
        self.encoder = mlp(
            (n_inputs + n_nuisance, *settings.encoder_widths, 2 * settings.latent),
            settings.activation,
        )
        self.decoder = mlp(
            (settings.latent, *settings.decoder_widths, n_inputs), settings.activation
        )
        self.prior = mlp((n_nuisance, _PRIOR_WIDTH, 2 * settings.latent), settings.activation)

    def posterior(self, inputs: torch.Tensor, nuisance: torch.Tensor) -> Posterior:
        """Return the posteriors of z, in units of the prior at the nuisance."""
        mean, log_variance = self.encoder(torch.cat([inputs, nuisance], 1)).chunk(2, dim=1)
        return Posterior(mean, log_variance.clamp(*LOG_VARIANCE))

    def _prior(self, nuisance: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the prior's mean m and standard deviation s at a nuisance, [n, latent] each."""
        mean, log_scale = self.prior(nuisance).chunk(2, dim=1)
        return mean, log_scale.clamp(-_LOG_SCALE, _LOG_SCALE).exp()

    def decoder_inputs(self, latent: torch.Tensor, nuisance: torch.Tensor) -> torch.Tensor:
        """Return y = m(u) + s(u) z; see `Networks.decoder_inputs`."""
        mean, scale = self._prior(nuisance)
        return mean + scale * latent

    def decode_with_slopes(
        self, latent: torch.Tensor, nuisance: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Decode, with the derivatives by z; see `Networks.decode_with_slopes`."""
        inputs, slopes = super().decode_with_slopes(latent, nuisance)
        return inputs, slopes * self._prior(nuisance)[1][..., None]


@final
class IdentifiableVae(Autoencoder):
    """A variational autoencoder whose prior depends on the nuisance."""

    name = "ivae"
    version = 1
    reference = "Khemakhem et al. 2020"
    Hyperparameters = VariationalSettings
    hyperparameters: VariationalSettings
    diagnostics: ClassVar[tuple[Diagnostic, ...]] = (DIAGNOSTIC,)

    def build(self, inputs: Inputs) -> Objective:
        """Build networks that maximise the evidence bound."""
        settings = self.hyperparameters
        networks = IdentifiableNetworks(settings, inputs.n_inputs, inputs.n_nuisance)
        error = ReconstructionError(inputs, settings.loss_whitening)
        return EvidenceBound(networks, error, settings)
