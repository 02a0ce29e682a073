r"""The Payne: a network that emulates spectra, and a chi-squared fit of the abundances.

A network f learns to predict the coefficients x of variance 1 of a spectrum on principal components
from its composition a and its nuisance u,

.. math::

    L = \frac{1}{K} |f(a, u) - x|^2 .

The composition of a spectrum is then the one that fits best under the scatter of held-out spectra
about the network (`starbench.methods.parts.label_fit`, which says where this differs from what
surveys do). It assumes that the training spectra cover the labels densely enough to interpolate,
and that spectra to be fitted are made as they were: here both come from one generator, while a
survey trains on synthetic spectra and fits observed ones.

References
----------
Ting, Conroy, Rix and Cargile (2019), "The Payne: self-consistent ab initio fitting of stellar
spectra", ApJ 879, 69.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, final

import torch

from starbench.methods.base import option
from starbench.methods.parts.adversary import adam, set_rate
from starbench.methods.parts.inputs import Inputs
from starbench.methods.parts.label_fit import (
    LabelFit,
    LabelFitSettings,
    LabelledSpectra,
    SpectralModel,
)
from starbench.methods.parts.perceptron import ACTIVATIONS, mlp, output_and_slopes
from starbench.methods.parts.training import epochs_option, one_cycle


@dataclass(frozen=True)
class Settings(LabelFitSettings):
    """Hyperparameters of the Payne."""

    widths: tuple[int, ...] = option((128, 128), "widths of the network's hidden layers", low=1)
    activation: str = option(
        "silu", "activation function of the network", choices=tuple(ACTIVATIONS)
    )
    usual_epochs: ClassVar[int] = 30
    epochs: int = epochs_option(usual_epochs)
    batch_size: int = option(256, "spectra in each step", low=1)
    learning_rate: float = option(
        2e-3, "peak of the one-cycle learning rate", low=0.0, tuned=(0.0005, 0.005)
    )


@final
class NetworkModel(SpectralModel):
    """A perceptron from composition and nuisance to inputs.

    Parameters
    ----------
    settings : Settings
    n_inputs, n_elements, n_nuisance : int
    """

    def __init__(self, settings: Settings, n_inputs: int, n_elements: int, n_nuisance: int) -> None:
        super().__init__()
        self._settings = settings
        self.network = mlp(
            (n_elements + n_nuisance, *settings.widths, n_inputs), settings.activation
        )
        self._optimiser = adam(self.network.parameters(), settings.learning_rate)

    def optimisers(self) -> dict[str, torch.optim.Optimizer]:
        """Return Adam."""
        return {"network": self._optimiser}

    def learn(self, data: LabelledSpectra, run: Callable[..., None]) -> None:
        """Descend the squared error; see `SpectralModel.learn`."""
        settings, optimiser = self._settings, self._optimiser
        labels = torch.cat([data.composition, data.nuisance], 1)

        def step(rows: torch.Tensor, share_done: float) -> dict[str, torch.Tensor]:
            set_rate(optimiser, settings.learning_rate * one_cycle(share_done))
            loss = (self.network(labels[rows]) - data.inputs[rows]).square().mean()
            optimiser.zero_grad()
            torch.autograd.backward(loss)
            optimiser.step()
            return {"loss": loss}

        run(
            n_items=len(labels),
            epochs=settings.epochs,
            usual_epochs=settings.usual_epochs,
            batch_size=settings.batch_size,
            step=step,
        )

    def predict(
        self, composition: torch.Tensor, nuisance: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Predict inputs and their derivatives; see `SpectralModel.predict`."""
        labels = torch.cat([composition, nuisance], 1)
        return output_and_slopes(self.network, labels, composition.shape[1])


@final
class Payne(LabelFit):
    """A network that emulates spectra, and the composition that fits best."""

    name = "payne"
    reference = "Ting et al. 2019, ApJ 879, 69"
    Hyperparameters = Settings
    hyperparameters: Settings

    def build(self, inputs: Inputs, n_elements: int) -> SpectralModel:
        """Return an untrained network."""
        return NetworkModel(self.hyperparameters, inputs.n_inputs, n_elements, inputs.n_nuisance)
