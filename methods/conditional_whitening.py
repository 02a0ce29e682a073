r"""Conditional whitening: at each nuisance, the map that carries the spectra to a standard normal.

A polynomial m(u) in the nuisance is subtracted from the spectra, and the residual is projected on
its principal components, r. If spectra of one nuisance are normal, r ~ N(0, S(u)), then

.. math::

    z = S(u)^{-1/2}\, r, \qquad r = S(u)^{1/2}\, z,

with the symmetric root, is distributed as N(0, 1) at every u, so z and u are independent. Every
rotation of z that depends on u has this property as well; the symmetric root is the optimal
transport, which moves spectra the least in squared flux. Where spectra have noise of known variance
s^2, S is the covariance without noise, and z the maximum a posteriori estimate under r = S^{1/2} z
+ noise,

.. math::

    z = S(u)^{1/2}\, (S(u) + s^2)^{-1}\, r,

rotated and scaled by its noise (`starbench.methods.parts.noise_matching`). The covariance is a
function of u that is positive definite everywhere (`starbench.methods.parts.conditional_normal`).
Nothing is trained against anything else, and decoding inverts encoding.

References
----------
Sun, Feng and Saenko (2016), "Return of frustratingly easy domain adaptation", AAAI 30: CORAL, which
whitens the features of one domain and gives them the covariance of another. Here domains are
continuous, and their common target is the standard normal distribution.
Olkin and Pukelsheim (1982), Linear Algebra Appl. 48, 257: the optimal transport between normal
distributions. From one nuisance to another by way of N(0, 1) it is the optimal one only where the
two covariances commute.
"""

from typing import final

import numpy as np
import torch

from starbench.methods.base import Method, Monitor, View, required
from starbench.methods.parts.whitening import Whitening, WhiteningSettings


@final
class ConditionalWhitening(Method):
    """Residuals of a polynomial in the nuisance, whitened by their covariance at the nuisance."""

    name = "conditional-whitening"
    label_access = "nuisance"
    takes_errors = True
    reference = "after Sun et al. 2016"
    Hyperparameters = WhiteningSettings
    hyperparameters: WhiteningSettings
    _whitening: Whitening

    def fit(self, train: View, validation: View, monitor: Monitor) -> None:
        """Fit the mean, the components of the residual, and their covariance at each nuisance."""
        self._whitening = Whitening.fit(train, validation, self.hyperparameters, self.seed)

    def encode(
        self, flux: np.ndarray, nuisance: np.ndarray | None, error: np.ndarray | None = None
    ) -> np.ndarray:
        """Return the whitened residual [n, latent]."""
        return self._whitening.encode(flux, required(nuisance, "nuisance"), error).numpy()

    def decode(self, latent: np.ndarray, nuisance: np.ndarray | None) -> np.ndarray:
        """Return the flux [n, n_pixels] of which the latent is the whitened residual."""
        return self._whitening.decode(torch.as_tensor(latent), required(nuisance, "nuisance"))

    def state(self) -> dict[str, torch.Tensor]:
        """Return the mean, the components, the covariance and the map that matches the noise."""
        return self._whitening.state_dict()

    def load_state(self, state: dict[str, torch.Tensor]) -> None:
        """Restore what `state` returned."""
        self._whitening = Whitening.from_state(state, self.hyperparameters.degree)

    @property
    def n_parameters(self) -> int:
        """Number of entries of the polynomials, the components and their mean."""
        return self._whitening.n_parameters
