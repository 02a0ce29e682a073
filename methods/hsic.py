r"""HSIC: a penalty on the dependence of latent and nuisance, measured with kernels.

Let K and L be the Gaussian kernel matrices of the latents and of the nuisances in a batch of n,
with their diagonals set to zero. Then

.. math::

    \mathrm{HSIC} = \frac{1}{n (n - 3)} \left[ \mathrm{tr}(K L)
        + \frac{1^T K 1\; 1^T L 1}{(n - 1)(n - 2)} - \frac{2}{n - 2} 1^T K L 1 \right], \qquad
    L_{E,D} = |x - D(z, u)|^2 / \mathrm{variance}
        + w\, \frac{\mathrm{HSIC}(z, u)}{\sqrt{\mathrm{HSIC}(z, z)\, \mathrm{HSIC}(u, u)}}.

HSIC is zero if and only if z and u are independent, as Gaussian kernels are characteristic.
Normalised like a correlation, it does not fall when the latent merely shrinks. There is no second
network to train or to fool. The estimate is unbiased: the usual tr(K H L H) / n^2 is positive for
independent samples too, and larger the more dimensions the latent uses, so that minimising it
collapses the latent (`TUNING.md`).

References
----------
Gretton et al. (2005), "Measuring statistical dependence with Hilbert-Schmidt norms", ALT.
Song et al. (2012), "Feature selection via dependence maximization", JMLR 13, 1393: the estimate.
Lopez et al. (2018), "Information constraints on auto-encoding variational Bayes", NeurIPS 31, who
penalise an autoencoder with HSIC.
"""

from dataclasses import dataclass
from typing import ClassVar, final

import torch

from starbench.methods.base import Diagnostic, option
from starbench.methods.parts.autoencoder import Autoencoder
from starbench.methods.parts.inputs import Inputs
from starbench.methods.parts.kernels import KernelSettings, gaussian_kernel
from starbench.methods.parts.networks import ConditionalNetworks, Networks
from starbench.methods.parts.objective import (
    Batch,
    Objective,
    PenalisedReconstruction,
    ReconstructionError,
    Watched,
)
from starbench.methods.parts.training import ramp


@dataclass(frozen=True)
class Settings(KernelSettings):
    """Hyperparameters of the penalty on the independence criterion."""

    penalty_weight: float = option(3.0, "weight w of the penalty", low=0.0, tuned=(0.3, 30))


def hsic(first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
    """Return the unbiased estimate from two kernel matrices [n, n] (Song et al. 2012, eq. 4).

    It can be negative for independent samples, and is 0 for fewer than four points.
    """
    n = len(first)
    if n < 4:  # too few for any estimate
        return first.new_zeros(())
    others = 1 - torch.eye(n, device=first.device)
    first, second = first * others, second * others
    rows, columns = first.sum(1), second.sum(1)
    return (
        (first * second).sum()
        + rows.sum() * columns.sum() / ((n - 1) * (n - 2))
        - 2 / (n - 2) * rows @ columns
    ) / (n * (n - 3))


@final
class IndependencePenalty(PenalisedReconstruction):
    """The reconstruction error plus the weighted normalised HSIC of latent and nuisance.

    Parameters
    ----------
    networks : Networks
    error : ReconstructionError
    settings : Settings
    """

    def __init__(self, networks: Networks, error: ReconstructionError, settings: Settings) -> None:
        super().__init__(networks, error)
        self._settings = settings

    def penalty(self, latent: torch.Tensor, batch: Batch) -> tuple[torch.Tensor, Watched]:
        """Return the weighted normalised HSIC of a batch."""
        settings = self._settings
        of_latent = gaussian_kernel(latent, settings.kernel_widths)
        of_nuisance = gaussian_kernel(batch.nuisance, settings.kernel_widths)
        norm = hsic(of_latent, of_latent) * hsic(of_nuisance, of_nuisance)
        dependence = hsic(of_latent, of_nuisance) / norm.clamp_min(1e-12).sqrt()
        weight = settings.penalty_weight * ramp(batch.share_done, settings.penalty_ramp)
        return weight * dependence, {"normalised_hsic": dependence}


@final
class Hsic(Autoencoder):
    """Disentanglement by a penalty on the Hilbert-Schmidt independence criterion."""

    name = "hsic"
    version = 3
    reference = "Gretton et al. 2005; Song et al. 2012; Lopez et al. 2018"
    Hyperparameters = Settings
    hyperparameters: Settings
    diagnostics: ClassVar[tuple[Diagnostic, ...]] = (
        Diagnostic("normalised_hsic", "normalised HSIC"),
    )

    def build(self, inputs: Inputs) -> Objective:
        """Build networks that minimise the penalised reconstruction error."""
        settings = self.hyperparameters
        networks = ConditionalNetworks(settings, inputs.n_inputs, inputs.n_nuisance)
        error = ReconstructionError(inputs, settings.loss_whitening)
        return IndependencePenalty(networks, error, settings)
