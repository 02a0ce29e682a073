r"""HSIC: the latent and the nuisance made independent by a kernel's measure of dependence.

With Gaussian kernels of the latents and of the nuisances in a batch of n, K and L with their
diagonals set to zero,

.. math::

    \mathrm{HSIC} = \frac{1}{n (n - 3)} \left[ \mathrm{tr}(K L)
        + \frac{1^T K 1\; 1^T L 1}{(n - 1)(n - 2)} - \frac{2}{n - 2} 1^T K L 1 \right], \qquad
    L_{E,D} = |x - D(z, u)|^2 / \mathrm{variance}
        + w\, \frac{\mathrm{HSIC}(z, u)}{\sqrt{\mathrm{HSIC}(z, z)\, \mathrm{HSIC}(u, u)}}.

HSIC is zero where z and u are independent and, as Gaussian kernels are characteristic, nowhere
else. Normalised as a correlation is, it does not fall when the latent merely shrinks. There is no
second network to train, and nothing to fool. The estimate is the unbiased one: the usual
tr(K H L H) / n^2 is positive for independent samples, too, the more so the more dimensions the
latent uses, so that to minimise it is to let the latent collapse (`TUNING.md`).

References
----------
Gretton et al. (2005), "Measuring statistical dependence with Hilbert-Schmidt norms", ALT.
Song et al. (2012), "Feature selection via dependence maximization", JMLR 13, 1393: the estimate.
Lopez et al. (2018), "Information constraints on auto-encoding variational Bayes", NeurIPS 31, who
penalise an autoencoder by HSIC.
"""

from dataclasses import dataclass

import torch

from starbench.methods.base import option
from starbench.methods.parts.autoencoder import Autoencoder, Batch
from starbench.methods.parts.kernels import KernelSettings, gaussian_kernel
from starbench.methods.parts.training import ramp


@dataclass(frozen=True)
class Settings(KernelSettings):
    """Hyperparameters of the penalty by the independence criterion."""

    penalty_weight: float = option(3.0, "weight w of the penalty", low=0.0)


def hsic(first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
    """Return the unbiased estimate from two kernel matrices [n, n] (Song et al. 2012, eq. 4).

    It may be negative where there is no dependence.
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


class Hsic(Autoencoder):
    """Disentanglement by a penalty on the Hilbert-Schmidt independence criterion."""

    name = "hsic"
    version = 2
    reference = "Gretton et al. 2005; Song et al. 2012; Lopez et al. 2018"
    Hyperparameters = Settings

    def penalty(
        self, latent: torch.Tensor, batch: Batch
    ) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        """Return the weighted normalised HSIC of a batch."""
        settings = self.hyperparameters
        of_latent = gaussian_kernel(latent, settings.kernel_widths)
        of_nuisance = gaussian_kernel(batch.nuisance, settings.kernel_widths)
        norm = hsic(of_latent, of_latent) * hsic(of_nuisance, of_nuisance)
        dependence = hsic(of_latent, of_nuisance) / norm.clamp_min(1e-12).sqrt()
        weight = settings.penalty_weight * ramp(batch.share_done, settings.penalty_ramp)
        return weight * dependence, {"normalised_hsic": dependence}
