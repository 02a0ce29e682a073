r"""MMD: a penalty on the maximum mean discrepancy between latents of different nuisance.

In each batch the stars are cut, along every axis m of the nuisance, into groups g of equal number.
The latents of each group are compared with those of the other stars by a Gaussian kernel k:

.. math::

    \mathrm{MMD}^2_g = \langle k(z, z') \rangle_{g,g} + \langle k(z, z') \rangle_{\bar g,\bar g}
        - 2 \langle k(z, z') \rangle_{g,\bar g}, \qquad
    L_{E,D} = |x - D(z, u)|^2 / \mathrm{variance} + w\, \mathrm{mean}_{m,g}\, \mathrm{MMD}^2_g,

with averages over different stars (the unbiased estimate, of mean zero for equal distributions).
The variational fair autoencoder does this for a nuisance of two values; groups extend it to
continuous ones. Information that the latent holds only on several nuisances jointly is not
penalised.

References
----------
Gretton et al. (2012), "A kernel two-sample test", JMLR 13, 723, eq. 3.
Louizos et al. (2016), "The variational fair autoencoder", ICLR.
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
    """Hyperparameters of the penalty on the maximum mean discrepancy."""

    penalty_weight: float = option(10.0, "weight w of the penalty", low=0.0, tuned=(1, 100))
    groups: int = option(4, "groups along each axis of the nuisance", low=2, high=64)


def discrepancy(kernel: torch.Tensor, inside: torch.Tensor) -> torch.Tensor:
    """Return the unbiased squared MMD between some points and the others.

    Parameters
    ----------
    kernel : torch.Tensor [n, n]
    inside : torch.Tensor [n], bool
        Which points are in the first sample; each sample needs at least two.
    """
    a, b = inside.to(kernel.dtype), (~inside).to(kernel.dtype)
    n_a, n_b = a.sum(), b.sum()
    off_diagonal = kernel - torch.diag(kernel.diagonal())
    within_a = a @ off_diagonal @ a / (n_a * (n_a - 1))
    within_b = b @ off_diagonal @ b / (n_b * (n_b - 1))
    return within_a + within_b - 2 * (a @ kernel @ b) / (n_a * n_b)


@final
class DiscrepancyPenalty(PenalisedReconstruction):
    """The reconstruction error plus the weighted mean discrepancy between groups of latents.

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
        """Return the weighted mean of the groups' squared discrepancies."""
        settings = self._settings
        kernel = gaussian_kernel(latent, settings.kernel_widths)
        groups = min(settings.groups, len(latent) // 2)
        # By rank, so that every batch fills every group.
        u = batch.nuisance
        place = u.argsort(0).argsort(0) * groups // len(u)
        mean = torch.stack([
            discrepancy(kernel, axis == group) for axis in place.T for group in range(groups)
        ]).mean()  # fmt: skip
        weight = settings.penalty_weight * ramp(batch.share_done, settings.penalty_ramp)
        return weight * mean, {"mmd_squared": mean}


@final
class Mmd(Autoencoder):
    """Disentanglement by matching the latents of groups of the nuisance."""

    name = "mmd"
    version = 2
    reference = "Gretton et al. 2012; Louizos et al. 2016"
    Hyperparameters = Settings
    hyperparameters: Settings
    diagnostics: ClassVar[tuple[Diagnostic, ...]] = (Diagnostic("mmd_squared", "squared MMD"),)

    def build(self, inputs: Inputs) -> Objective:
        """Build networks that minimise the penalised reconstruction error."""
        settings = self.hyperparameters
        networks = ConditionalNetworks(settings, inputs.n_inputs, inputs.n_nuisance)
        error = ReconstructionError(inputs, settings.loss_whitening)
        return DiscrepancyPenalty(networks, error, settings)
