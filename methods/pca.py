r"""Principal components of the flux, which know nothing of the nuisance.

With orthonormal components w_k of variance lambda_k,

.. math::

    z_k = \lambda_k^{-a/2}\, w_k \cdot (x - \bar x), \qquad
    \hat x = \bar x + \sum_k \lambda_k^{a/2} z_k w_k.

Temperature and gravity make most of the variance, so the first components hold them. At a = 1 all
components count alike in a distance, at a = 0 by their variance.

References
----------
Pearson (1901), Philosophical Magazine 2, 559.
"""

from dataclasses import dataclass

import numpy as np
import torch

from starbench.methods.base import Method, Monitor, View, option
from starbench.methods.representation import Representation, principal_components


@dataclass(frozen=True)
class Settings:
    """Hyperparameters of the principal components."""

    latent: int = option(40, "components kept", low=1, high=1024)
    whitening: float = option(
        1.0, "components are divided by their standard deviation to this power", low=0.0, high=1.0
    )


class PrincipalComponents(Method):
    """Principal components, scaled."""

    name = "pca"
    label_access = "none"
    reference = "Pearson 1901"
    Hyperparameters = Settings

    def fit(self, train: View, validation: View, monitor: Monitor) -> None:
        """Fit the components to the training flux."""
        self._set(principal_components(train.flux, self.hyperparameters.latent, self.seed))

    def encode(self, flux: np.ndarray, nuisance: np.ndarray | None) -> np.ndarray:
        """Return scaled coefficients [n, latent]."""
        return (self._representation.coefficients(flux) / self._scale).numpy()

    def decode(self, latent: np.ndarray, nuisance: np.ndarray | None) -> np.ndarray:
        """Return the flux [n, n_pixels] that the coefficients make."""
        return self._representation.flux(torch.as_tensor(latent) * self._scale).numpy()

    def _set(self, representation: Representation) -> None:
        self._representation = representation
        self._scale = representation.deviation**self.hyperparameters.whitening

    def state(self) -> dict[str, torch.Tensor]:
        """Return the components."""
        return self._representation.state()

    def load_state(self, state: dict[str, torch.Tensor]) -> None:
        """Restore them."""
        self._set(Representation.from_state(state))

    @property
    def n_parameters(self) -> int:
        """Numbers in the components and the mean."""
        return self._representation.components.numel() + len(self._representation.mean)
