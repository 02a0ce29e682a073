r"""Swap consistency: each spectrum reconstructed from its twin's latent.

Where it is known which spectra are twins, x with u and x' with u', what the benchmark measures can
be the loss itself. Each spectrum of a batch is reconstructed from its twin's latent with
probability s, and from its own otherwise:

.. math::

    L = (1 - s)\, |x - D(E(x, u), u)|^2 + s\, |x - D(E(x', u'), u)|^2,

over the variance, in the mean over draws. All that the latent of x' holds and x does not share is
of no use to the second term, and what it takes from the latent's room costs the first.

References
----------
Mathieu et al. (2016), "Disentangling factors of variation in deep representations using adversarial
training", NeurIPS 29, whose first loss swaps so.
"""

from dataclasses import dataclass

import torch

from starbench.methods.base import Monitor, View, option
from starbench.methods.parts.autoencoder import Autoencoder, AutoencoderSettings, Batch


@dataclass(frozen=True)
class Settings(AutoencoderSettings):
    """Hyperparameters of swap consistency."""

    swap_share: float = option(
        0.75, "share s of spectra that are reconstructed from the twin's latent", low=0.0, high=1.0
    )


class SwapConsistency(Autoencoder):
    """An autoencoder that reconstructs spectra from their twins' latents."""

    name = "swap-consistency"
    version = 2
    label_access = "pairs"
    reference = "after Mathieu et al. 2016"
    Hyperparameters = Settings

    def fit(self, train: View, validation: View, monitor: Monitor) -> None:
        """Fit as any autoencoder, with twins swapped."""
        self._twin = torch.as_tensor(train.twin)
        super().fit(train, validation, monitor)

    def sources(self, batch: Batch) -> torch.Tensor:
        """Return the twins of a share of the batch, and the others themselves.

        A twin among the spectra that are held out from the fit is not looked at.
        """
        draws = torch.rand(len(batch.rows), generator=batch.generator())
        twins = self._twin[batch.rows]
        swapped = (draws < self.hyperparameters.swap_share) & (twins < self._n_fitted)
        return torch.where(swapped, twins, batch.rows)
