r"""HSIC: the latent and the nuisance made independent by a kernel's measure of dependence.

With Gaussian kernels K of the latents and L of the nuisances in a batch of n, and the centring
matrix H = 1 - 1 1^T / n,

.. math::

    \mathrm{HSIC} = \mathrm{tr}(K H L H) / n^2, \qquad
    L_{E,D} = |x - D(z, u)|^2 / \mathrm{variance}
        + w\, \mathrm{HSIC}(z, u) / \sqrt{\mathrm{HSIC}(z, z)\, \mathrm{HSIC}(u, u)}.

HSIC is zero where z and u are independent and, as Gaussian kernels are characteristic, nowhere
else. Normalised as a correlation is, it does not fall when the latent merely shrinks. There is no
second network to train, and nothing to fool.

References
----------
Gretton et al. (2005), "Measuring statistical dependence with Hilbert-Schmidt norms", ALT.
Lopez et al. (2018), "Information constraints on auto-encoding variational Bayes", NeurIPS 31, who
penalise an autoencoder so.
"""

import torch

from starbench.methods.autoencoder import Autoencoder, Batch
from starbench.methods.kernels import KernelSettings, gaussian_kernel
from starbench.methods.training import ramp


def hsic(first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
    """Return tr(K H L H) / n^2 of two kernel matrices [n, n] (Gretton et al. 2005, eq. 9)."""
    centred = first - first.mean(0) - first.mean(1, keepdim=True) + first.mean()
    return (centred * second).mean()


class Hsic(Autoencoder):
    """Disentanglement by a penalty on the Hilbert-Schmidt independence criterion."""

    name = "hsic"
    version = 1
    reference = "Gretton et al. 2005; Lopez et al. 2018"
    Hyperparameters = KernelSettings

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
