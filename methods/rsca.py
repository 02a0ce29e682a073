r"""Relevant scaled component analysis: directions by how little twins differ along them.

The metric learning of de Mijolla and Ness, who take stars of an open cluster for siblings; here the
siblings are the twins. A polynomial in the nuisance is taken out of the spectra, and the residuals
are projected on their principal components and sphered, so that over all stars they vary by one in
every direction. With the covariance of siblings about their mean,

.. math::

    S = \tfrac{1}{2} \langle (y_i - y_{i'}) (y_i - y_{i'})^T \rangle
      = V \mathrm{diag}(\sigma_1^2, \sigma_2^2, \ldots) V^T,

the latent has its eigenvectors as axes, each divided by its scatter among siblings and weighed
by the share of its variance that they have in common,

.. math::

    z_k = \frac{\sqrt{1 - \sigma_k^2}}{\sigma_k}\, v_k \cdot y.

An axis along which twins differ as much as strangers, sigma_k = 1, does not count. That is the map
of `noise_matching.py` with what sets twins apart for the noise: the rest of the nuisance that no
polynomial explains, and the noise itself.

Left out of the original: components that allow for masked pixels, as there are none here; and
scatters from median absolute deviations, which guard against stars that are no members.

References
----------
de Mijolla and Ness (2022), "Measuring chemical likeness of stars with relevant scaled component
analysis", ApJ 926, 193.
Shental, Hertz, Weinshall and Pavel (2002), "Adjustment learning and relevant component analysis",
ECCV, where the idea of whitening by what siblings do not share comes from.
"""

from dataclasses import dataclass

import numpy as np
import torch

from starbench.methods import pca
from starbench.methods.base import Monitor, View, option
from starbench.methods.parts.noise_matching import moved_covariance, noise_matched_map
from starbench.methods.pca import PrincipalComponents
from starbench.methods.polynomial_residual import PolynomialResidual

_CHUNK = 4096  # spectra at a time, so that no second copy of the training set is made


@dataclass(frozen=True)
class Settings:
    """Hyperparameters of the polynomial and the components."""

    degree: int = option(2, "highest order of the polynomial in the nuisance", low=0, high=6)
    components: int = option(60, "components of the residual, and axes of the latent", low=1)


class RelevantScaledComponents(PolynomialResidual):
    """Components of the residual, turned and scaled by what twins share."""

    name = "rsca"
    version = 2
    label_access = "pairs"
    reference = "de Mijolla and Ness 2022, ApJ 926, 193"
    Hyperparameters = Settings

    def fit(self, train: View, validation: View, monitor: Monitor) -> None:
        """Fit the polynomials and the components, then the map that twins decide."""
        super().fit(train, validation, monitor)
        parts = []
        for start in range(0, len(train), _CHUNK):
            rows = slice(start, start + _CHUNK)
            parts.append(super().encode(train.flux[rows], train.nuisance[rows]))
        sphered = torch.from_numpy(np.concatenate(parts))
        siblings = moved_covariance(sphered, sphered[train.twin]) / 2
        self._map = noise_matched_map(sphered, siblings)

    def encode(self, flux: np.ndarray, nuisance: np.ndarray) -> np.ndarray:
        """Return the relevant components [n, components]."""
        return super().encode(flux, nuisance) @ self._map.numpy()

    def decode(self, latent: np.ndarray, nuisance: np.ndarray) -> np.ndarray:
        """Undo the map, and add the polynomial at the nuisance."""
        back = torch.linalg.inv(self._map.double()).float().numpy()
        return super().decode(latent @ back, nuisance)

    def _new_components(self) -> PrincipalComponents:
        settings = pca.Settings(self.hyperparameters.components, 1.0, noise_matching=False)
        return PrincipalComponents(settings, seed=self.seed, device=self.device)

    def state(self) -> dict[str, torch.Tensor]:
        """Return the polynomials, the components and the map."""
        return super().state() | {"map": self._map}

    def load_state(self, state: dict[str, torch.Tensor]) -> None:
        """Restore them."""
        state = dict(state)
        self._map = state.pop("map")
        super().load_state(state)

    @property
    def n_parameters(self) -> int:
        """Numbers in the polynomials, the components and the map."""
        return super().n_parameters + self._map.numel()
