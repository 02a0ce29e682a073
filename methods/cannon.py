r"""The Cannon: a quadratic model of spectra in all labels, and a chi-squared fit of the abundances.

With the labels l = (a, u), the standardised composition a and the nuisance u, each coefficient of a
spectrum is a quadratic of all labels, fitted to the training spectra by least squares,

.. math::

    f_k(l) = \theta_k + \sum_i \theta_{ki}\, l_i + \sum_{i \le j} \theta_{kij}\, l_i l_j .

The composition of a spectrum is then the one that fits best under the scatter of the training
spectra about the model (`starbench.methods.parts.label_fit`, which says where this differs from
what surveys do). It assumes that spectra are quadratic in abundances and nuisance, over 1000 K and
1.5 dex of gravity and the whole range of metallicity at once; the scatter takes up what they are
not.

References
----------
Ness, Hogg, Rix, Ho and Zasowski (2015), "The Cannon: a data-driven approach to stellar label
determination", ApJ 808, 16, who fit pixels, each with a scatter of its own, and all labels.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import final

import torch

from starbench.methods.parts.inputs import Inputs
from starbench.methods.parts.label_fit import (
    LabelFit,
    LabelFitSettings,
    LabelledSpectra,
    SpectralModel,
)

_RIDGE = 1e-6  # of the mean square of a term, for training sets smaller than the number of terms


@dataclass(frozen=True)
class Settings(LabelFitSettings):
    """Hyperparameters of the Cannon."""


@final
class QuadraticModel(SpectralModel):
    """A quadratic of composition and nuisance for each input.

    Parameters
    ----------
    n_inputs, n_elements, n_nuisance : int
    """

    constant: torch.Tensor  # [n_inputs]
    slopes: torch.Tensor  # [n_labels, n_inputs], at labels of 0; the composition comes first
    curvature: torch.Tensor  # [n_labels, n_labels, n_inputs], second derivatives

    def __init__(self, n_inputs: int, n_elements: int, n_nuisance: int) -> None:
        super().__init__()
        n_labels = n_elements + n_nuisance
        self._n_elements = n_elements
        self.register_buffer("constant", torch.zeros(n_inputs))
        self.register_buffer("slopes", torch.zeros(n_labels, n_inputs))
        self.register_buffer("curvature", torch.zeros(n_labels, n_labels, n_inputs))

    def learn(self, data: LabelledSpectra, run: Callable[..., None]) -> None:
        """Fit the quadratics by least squares; see `SpectralModel.learn`."""
        labels = torch.cat([data.composition, data.nuisance], 1).double()
        first, second = torch.triu_indices(labels.shape[1], labels.shape[1])
        terms = torch.cat(
            [torch.ones_like(labels[:, :1]), labels, labels[:, first] * labels[:, second]], 1
        )
        normal = terms.T @ terms
        normal += _RIDGE * normal.diagonal().mean() * torch.eye(len(normal), device=normal.device)
        found = torch.linalg.solve(normal, terms.T @ data.inputs.double()).float()
        n_linear = 1 + labels.shape[1]
        self.constant.copy_(found[0])
        self.slopes.copy_(found[1:n_linear])
        curvature = torch.zeros_like(self.curvature)
        curvature[first, second] = found[n_linear:]
        self.curvature.copy_(curvature + curvature.transpose(0, 1))

    def predict(
        self, composition: torch.Tensor, nuisance: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Predict inputs and their derivatives; see `SpectralModel.predict`."""
        labels = torch.cat([composition, nuisance], 1)
        slopes = self.slopes + torch.tensordot(labels, self.curvature, 1)
        # Along a straight line from 0, the mean slope of a quadratic is that halfway.
        rise = (labels[:, None] @ (0.5 * (self.slopes + slopes)))[:, 0]
        return self.constant + rise, slopes[:, : self._n_elements]


@final
class Cannon(LabelFit):
    """A quadratic model of spectra, and the composition that fits best."""

    name = "cannon"
    reference = "Ness et al. 2015, ApJ 808, 16"
    Hyperparameters = Settings
    hyperparameters: Settings

    def build(self, inputs: Inputs, n_elements: int) -> SpectralModel:
        """Return a quadratic model without coefficients."""
        return QuadraticModel(inputs.n_inputs, n_elements, inputs.n_nuisance)
