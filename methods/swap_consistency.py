r"""Swap consistency: reconstruct each spectrum from its twin's latent.

Let x with nuisance u and x' with u' be twins. If it is known which spectra are twins, the
benchmark's own measure can be the loss. Each spectrum of a batch is reconstructed from its twin's
latent with probability s, and from its own otherwise; in the mean over draws

.. math::

    L = (1 - s)\, |x - D(E(x, u), u)|^2 + s\, |x - D(E(x', u'), u)|^2,

over the variance. Whatever the latent of x' holds that x does not share is of no use to the second
term, and takes room in the latent from the first.

References
----------
Mathieu et al. (2016), "Disentangling factors of variation in deep representations using adversarial
training", NeurIPS 29, whose first loss swaps in this way.
"""

from dataclasses import dataclass
from typing import final

import torch

from starbench.methods.base import option
from starbench.methods.parts.autoencoder import Autoencoder
from starbench.methods.parts.inputs import Inputs
from starbench.methods.parts.networks import ConditionalNetworks, Networks
from starbench.methods.parts.objective import (
    Batch,
    Objective,
    ReconstructionError,
    Watched,
    required_siblings,
)
from starbench.methods.parts.settings import AutoencoderSettings


@dataclass(frozen=True)
class Settings(AutoencoderSettings):
    """Hyperparameters of swap consistency."""

    swap_share: float = option(
        0.75,
        "share s of spectra that are reconstructed from the twin's latent",
        low=0.0,
        high=1.0,
        tuned=(0.2, 1),
    )


def swapped_rows(batch: Batch, swap_share: float) -> torch.Tensor:
    """Return the row of the spectrum whose latent reconstructs each spectrum of a batch.

    Parameters
    ----------
    batch : Batch
    swap_share : float
        The probability s that it is a sibling's; one that is held out from the fit is not used.

    Returns
    -------
    torch.Tensor [n], int64
    """
    generator = batch.generator()
    draws = torch.rand(len(batch.rows), generator=generator)
    siblings = required_siblings(batch).draw(batch.rows, generator)
    return torch.where(draws < swap_share, siblings, batch.rows)


@final
class TwinReconstruction(Objective):
    """The mean reconstruction error, for a share of the spectra from their twins' latents.

    Parameters
    ----------
    networks : Networks
    error : ReconstructionError
    swap_share : float
    """

    def __init__(self, networks: Networks, error: ReconstructionError, swap_share: float) -> None:
        super().__init__(networks)
        self.error, self._swap_share = error, swap_share

    def loss(self, batch: Batch) -> tuple[torch.Tensor, Watched]:
        """Return the loss of a batch; see `Objective.loss`."""
        train, source = batch.train, swapped_rows(batch, self._swap_share)
        latent = self.networks.encode(train.inputs[source], train.nuisance[source])
        error, flux_mse = self.error(self.networks.decode(latent, batch.nuisance), batch)
        loss = error.mean()
        return loss, {"reconstruction_mse": flux_mse, "loss": loss}


@final
class SwapConsistency(Autoencoder):
    """An autoencoder that reconstructs spectra from their twins' latents."""

    name = "swap-consistency"
    version = 3
    label_access = "pairs"
    reference = "after Mathieu et al. 2016"
    Hyperparameters = Settings
    hyperparameters: Settings

    def build(self, inputs: Inputs) -> Objective:
        """Build networks that reconstruct spectra from their twins' latents."""
        settings = self.hyperparameters
        networks = ConditionalNetworks(settings, inputs.n_inputs, inputs.n_nuisance)
        error = ReconstructionError(inputs, settings.loss_whitening)
        return TwinReconstruction(networks, error, settings.swap_share)
