r"""FactorVAE: a variational autoencoder that penalises the dependence of the axes on each other.

To the loss of `starbench.methods.parts.variational`, without a nuisance, comes the total
correlation of the latent, the divergence of its distribution q(z) from the product of those of its
axes,

.. math::

    L = \frac{1}{2} \log \langle e \rangle + \frac{\beta}{K}\,
        \langle \mathrm{KL}(q(z|x)\, \|\, N(0, 1)) \rangle + \frac{\gamma}{K} \left\langle
        \log \frac{q(z)}{\prod_j q(z_j)} \right\rangle .

The ratio is that of the odds that a classifier gives, which learns to tell latents from latents
whose axes are shuffled among the spectra of a batch, each by itself. As in
`starbench.methods.beta_vae`, nothing says which axis is temperature and which is magnesium, and
twins are ranked by all axes.

References
----------
Kim and Mnih (2018), "Disentangling by factorising", ICML, who shuffle a second batch; here it is
the same one.
"""

from dataclasses import dataclass
from typing import ClassVar, final

import torch
from torch import nn
from torch.nn.functional import softplus

from starbench.methods.base import Diagnostic, option
from starbench.methods.parts.adversary import Adversary
from starbench.methods.parts.autoencoder import Autoencoder
from starbench.methods.parts.inputs import Inputs
from starbench.methods.parts.objective import Batch, Objective, ReconstructionError, Watched
from starbench.methods.parts.perceptron import mlp
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
    """Hyperparameters of FactorVAE."""

    correlation_weight: float = option(
        10.0, "weight gamma of the total correlation", low=0.0, tuned=(1, 100)
    )
    adversary_widths: tuple[int, ...] = option(
        (256, 128), "widths of the classifier's hidden layers", low=1
    )


def shuffled_axes(latent: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Return latents [n, d] with each axis shuffled by itself: draws from the product of axes."""
    order = torch.rand(latent.shape, generator=generator).argsort(0).to(latent.device)
    return latent.gather(0, order)


@final
class TotalCorrelation(PosteriorPenalty, nn.Module):
    """The total correlation that a classifier of shuffled axes sees, weighted.

    Parameters
    ----------
    classifier : Adversary
        From latents [n, latent] to the log odds [n, 1] that their axes are not shuffled.
    settings : Settings
    """

    def __init__(self, classifier: Adversary, settings: Settings) -> None:
        super().__init__()
        self.classifier, self._settings = classifier, settings

    def __call__(
        self, posterior: Posterior, error: torch.Tensor, batch: Batch
    ) -> tuple[torch.Tensor, Watched]:
        """Train the classifier; return the weighted log odds; see `PosteriorPenalty`."""
        settings, generator = self._settings, batch.generator()
        latent = posterior.draw(generator)  # the draw that is decoded
        shuffled = shuffled_axes(latent.detach(), generator)
        # The cross-entropy of the log odds o: log(1 + e^-o) of latents, log(1 + e^o) of shuffled.
        self.classifier.step(
            softplus(-self.classifier(latent.detach())).mean()
            + softplus(self.classifier(shuffled)).mean()
        )
        with self.classifier.frozen():
            correlation = self.classifier(latent).mean()
        weight = settings.correlation_weight * ramp(batch.share_done, settings.beta_ramp)
        penalty = weight * correlation / batch.inputs.shape[1]
        return penalty, {"total_correlation": correlation}


@final
class FactorVae(Autoencoder):
    """A variational autoencoder without labels whose axes are made independent of each other."""

    name = "factor-vae"
    label_access = "none"
    version = 1
    reference = "Kim and Mnih 2018"
    Hyperparameters = Settings
    hyperparameters: Settings
    diagnostics: ClassVar[tuple[Diagnostic, ...]] = (
        DIAGNOSTIC,
        Diagnostic("total_correlation", "total correlation"),
    )

    def build(self, inputs: Inputs) -> Objective:
        """Build the networks and the classifier; `inputs` has no nuisance."""
        settings = self.hyperparameters
        networks = VariationalNetworks(settings, inputs.n_inputs, inputs.n_nuisance)
        error = ReconstructionError(inputs, settings.loss_whitening)
        widths = (settings.latent, *settings.adversary_widths, 1)
        classifier = Adversary(mlp(widths, settings.activation), settings.learning_rate)
        return EvidenceBound(networks, error, settings, TotalCorrelation(classifier, settings))
