r"""Principal components of the flux, a method without any labels.

With orthonormal components w_k of variance lambda_k,

.. math::

    z_k = \lambda_k^{-a/2}\, w_k \cdot (x - \bar x), \qquad
    \hat x = \bar x + \sum_k \lambda_k^{a/2} z_k w_k.

Temperature and gravity make most of the variance, so the first components hold them. At a = 1 all
components have equal weight in a distance, at a = 0 the weight of their variance. If the noise is
known, their weight grows with their signal above it instead (`starbench.methods.parts.components`).

References
----------
Pearson (1901), Philosophical Magazine 2, 559.
"""

from dataclasses import dataclass
from typing import final

import numpy as np
import torch

from starbench.methods.base import Method, Monitor, View, option
from starbench.methods.parts.components import ScaledComponents
from starbench.methods.parts.errors import typical_noise, with_plain_noise


@dataclass(frozen=True)
class Settings:
    """Hyperparameters of the principal components."""

    latent: int = option(40, "components kept", low=1, high=1024, tuned=(10, 80))
    whitening: float = option(
        1.0,
        "components are divided by their standard deviation to this power",
        low=0.0,
        high=1.0,
        tuned=(0.3, 1),
    )
    noise_matching: bool = option(
        True, "whether components of noisy spectra are weighted by signal-to-noise instead"
    )


@final
class PrincipalComponents(Method):
    """Scaled principal components."""

    name = "pca"
    version = 2
    label_access = "none"
    takes_errors = True
    reference = "Pearson 1901"
    Hyperparameters = Settings
    hyperparameters: Settings
    _components: ScaledComponents

    def fit(self, train: View, validation: View, monitor: Monitor) -> None:
        """Fit the components to the training flux, except spectra held out to see its noise."""
        settings, train = self.hyperparameters, with_plain_noise(train)
        self._components = ScaledComponents.fit(
            train.flux,
            settings.latent,
            self.seed,
            whitening=settings.whitening,
            error=train.error,
            noise=typical_noise(train) if settings.noise_matching else None,
        )

    def encode(
        self, flux: np.ndarray, nuisance: np.ndarray | None, error: np.ndarray | None = None
    ) -> np.ndarray:
        """Return the scaled components [n, latent]."""
        return self._components.encode(flux, error)

    def decode(self, latent: np.ndarray, nuisance: np.ndarray | None) -> np.ndarray:
        """Return the flux [n, n_pixels] that the components make."""
        return self._components.decode(latent)

    def state(self) -> dict[str, torch.Tensor]:
        """Return the components, and the map that matches them to their noise."""
        return self._components.state_dict()

    def load_state(self, state: dict[str, torch.Tensor]) -> None:
        """Restore what `state` returned."""
        self._components = ScaledComponents.from_state(state, self.hyperparameters.whitening)

    @property
    def n_parameters(self) -> int:
        """Number of entries of the components and the mean."""
        return self._components.n_parameters
