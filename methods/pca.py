r"""Principal components of the flux, which know nothing of the nuisance.

With orthonormal components w_k of variance lambda_k,

.. math::

    z_k = \lambda_k^{-a/2}\, w_k \cdot (x - \bar x), \qquad
    \hat x = \bar x + \sum_k \lambda_k^{a/2} z_k w_k.

Temperature and gravity make most of the variance, so the first components hold them. At a = 1 all
components count alike in a distance, at a = 0 by their variance. Where the noise is known, they
count by what they know above it (`noise_matching.py`) instead.

References
----------
Pearson (1901), Philosophical Magazine 2, 559.
"""

from dataclasses import dataclass

import numpy as np
import torch

from starbench.methods.base import Method, Monitor, View, option
from starbench.methods.parts.noise_matching import held_out, noise_matched_map
from starbench.methods.parts.representation import Representation, principal_components


@dataclass(frozen=True)
class Settings:
    """Hyperparameters of the principal components."""

    latent: int = option(40, "components kept", low=1, high=1024)
    whitening: float = option(
        1.0, "components are divided by their standard deviation to this power", low=0.0, high=1.0
    )
    noise_matching: bool = option(
        True, "whether components of noisy spectra are scaled to their noise instead"
    )


class PrincipalComponents(Method):
    """Principal components, scaled."""

    name = "pca"
    version = 2
    label_access = "none"
    reference = "Pearson 1901"
    Hyperparameters = Settings

    def fit(self, train: View, validation: View, monitor: Monitor) -> None:
        """Fit the components to the training flux, but for what is held out to see its noise."""
        settings = self.hyperparameters
        matching = train.noise is not None and settings.noise_matching
        n_fitted = len(train) - held_out(train) if matching else len(train)
        self._set(principal_components(train.flux[:n_fitted], settings.latent, self.seed))
        if matching:
            latent = self._representation.coefficients(train.flux[n_fitted:]) / self._scale
            # The components are orthonormal: noise of one level in the pixels has it in all.
            noise = torch.diag((train.noise / self._scale) ** 2)
            self._map = noise_matched_map(latent, noise)

    def encode(self, flux: np.ndarray, nuisance: np.ndarray | None) -> np.ndarray:
        """Return scaled coefficients [n, latent]."""
        return (self._representation.coefficients(flux) / self._scale @ self._map).numpy()

    def decode(self, latent: np.ndarray, nuisance: np.ndarray | None) -> np.ndarray:
        """Return the flux [n, n_pixels] that the coefficients make."""
        back = torch.linalg.solve(self._map.double(), torch.diag(self._scale).double()).float()
        return self._representation.flux(torch.as_tensor(latent) @ back).numpy()

    def _set(self, representation: Representation) -> None:
        self._representation = representation
        self._scale = representation.deviation**self.hyperparameters.whitening
        self._map = torch.eye(len(representation))

    def state(self) -> dict[str, torch.Tensor]:
        """Return the components, and the map that matches them to their noise."""
        return self._representation.state() | {"matching": self._map}

    def load_state(self, state: dict[str, torch.Tensor]) -> None:
        """Restore them."""
        state = dict(state)
        matching = state.pop("matching")
        self._set(Representation.from_state(state))
        self._map = matching

    @property
    def n_parameters(self) -> int:
        """Numbers in the components and the mean."""
        return self._representation.components.numel() + len(self._representation.mean)
