r"""Relevant scaled component analysis: directions weighted by how little twins differ along them.

This is the metric learning of de Mijolla and Ness, whose siblings are stars of an open cluster;
here siblings are twins. A polynomial in the nuisance is subtracted from the spectra. The residuals
are projected on their principal components and whitened, so that over all stars their variance is
one in every direction. With the covariance of siblings about their mean,

.. math::

    S = \tfrac{1}{2} \langle (y_i - y_{i'}) (y_i - y_{i'})^T \rangle
      = V \mathrm{diag}(\sigma_1^2, \sigma_2^2, \ldots) V^T,

the axes of the latent are its eigenvectors, each divided by its scatter among siblings and weighted
by the share of variance that siblings have in common,

.. math::

    z_k = \frac{\sqrt{1 - \sigma_k^2}}{\sigma_k}\, v_k \cdot y.

An axis along which twins differ as much as strangers, sigma_k = 1, has weight zero. This is the
map of `starbench.methods.parts.noise_matching` with the scatter between twins in place of the
noise: the part of the nuisance that no polynomial explains, and the noise itself.

One part of the original is left out: scatters from median absolute deviations, which guard against
stars that are not members of their cluster.

References
----------
de Mijolla and Ness (2022), "Measuring chemical likeness of stars with relevant scaled component
analysis", ApJ 926, 193.
Shental, Hertz, Weinshall and Pavel (2002), "Adjustment learning and relevant component analysis",
ECCV, which introduced whitening by what siblings do not share.
"""

from dataclasses import dataclass
from typing import final

import numpy as np
import torch

from starbench.common.paging import walk
from starbench.methods.base import Method, Monitor, View, option, required
from starbench.methods.parts.components import ScaledComponents
from starbench.methods.parts.errors import with_plain_noise
from starbench.methods.parts.noise_matching import difference_covariance, noise_matched_map
from starbench.methods.parts.polynomial import PolynomialFlux
from starbench.methods.parts.siblings import groups, pairs
from starbench.methods.parts.training import sub_state

_CHUNK = 4096  # spectra at a time, so that no second copy of the training set is made


@dataclass(frozen=True)
class Settings:
    """Hyperparameters of the polynomial and the components."""

    degree: int = option(
        2, "highest order of the polynomial in the nuisance", low=0, high=6, tuned=(1, 5)
    )
    components: int = option(
        60, "components of the residual, and axes of the latent", low=1, tuned=(20, 120)
    )


@final
class RelevantScaledComponents(Method):
    """Components of the residual, rotated and scaled by what twins share."""

    name = "rsca"
    version = 2
    label_access = "pairs"
    takes_errors = True
    reference = "de Mijolla and Ness 2022, ApJ 926, 193"
    Hyperparameters = Settings
    hyperparameters: Settings
    _mean: PolynomialFlux
    _components: ScaledComponents
    _map: torch.Tensor

    def fit(self, train: View, validation: View, monitor: Monitor) -> None:
        """Fit the polynomials and the components, then the map that twins decide."""
        settings, nuisance = self.hyperparameters, required(train.nuisance, "nuisance")
        train = with_plain_noise(train)
        group = groups(train, self.name)
        self._mean = PolynomialFlux.fit(train.flux, nuisance, settings.degree, train.error)
        self._components = ScaledComponents.fit(
            self._mean.residual(train.flux, nuisance),
            settings.components,
            self.seed,
            whitening=1.0,
            error=train.error,
        )
        parts = []
        for rows, flux in walk(_CHUNK, train.flux):
            error = None if train.error is None else train.error[rows]
            parts.append(self._whitened(flux, nuisance[rows], error))
        whitened = torch.from_numpy(np.concatenate(parts))
        if train.twin is not None:
            one, other = whitened, whitened[torch.as_tensor(train.twin)]
        else:
            one, other = (whitened[rows] for rows in pairs(group).T)
        self._map = noise_matched_map(whitened, difference_covariance(one, other) / 2)

    def _whitened(
        self, flux: np.ndarray, nuisance: np.ndarray, error: np.ndarray | None
    ) -> np.ndarray:
        return self._components.encode(flux - self._mean.flux(nuisance), error)

    def encode(
        self, flux: np.ndarray, nuisance: np.ndarray | None, error: np.ndarray | None = None
    ) -> np.ndarray:
        """Return the relevant components [n, components]."""
        whitened = self._whitened(flux, required(nuisance, "nuisance"), error)
        latent: np.ndarray = whitened @ self._map.numpy()
        return latent

    def decode(self, latent: np.ndarray, nuisance: np.ndarray | None) -> np.ndarray:
        """Undo the map, and add the polynomial at the nuisance."""
        back = torch.linalg.inv(self._map.double()).float().numpy()
        mean_flux = self._mean.flux(required(nuisance, "nuisance"))
        flux: np.ndarray = self._components.decode(latent @ back) + mean_flux
        return flux

    def state(self) -> dict[str, torch.Tensor]:
        """Return the polynomials, the components and the map."""
        return {
            "map": self._map,
            **self._mean.state_dict(prefix="mean."),
            **self._components.state_dict(prefix="components."),
        }

    def load_state(self, state: dict[str, torch.Tensor]) -> None:
        """Restore what `state` returned."""
        self._map = state["map"]
        self._mean = PolynomialFlux.from_state(
            sub_state(state, "mean."), self.hyperparameters.degree
        )
        self._components = ScaledComponents.from_state(sub_state(state, "components."), 1.0)

    @property
    def n_parameters(self) -> int:
        """Number of entries of the polynomials, the components and the map."""
        own = self._mean.slopes.numel() + self._map.numel()
        return own + self._components.n_parameters
