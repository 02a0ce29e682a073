r"""What an autoencoder minimises: the reconstruction error, and a method's penalty.

With weights :math:`\lambda_k^{-b}` of the squared errors of coefficients of variance
:math:`\lambda_k`, the reconstruction error of a spectrum is

.. math::

    e = \frac{\sum_k \lambda_k^{-b} (c_k - \hat c_k)^2}{\sum_k \lambda_k^{1-b}}.

At b = 0 it is the squared error of the flux in units of the flux variance. Temperature, gravity
and overall metallicity make nearly all of that variance; an element with a few weak lines makes
1e-4 of it, and its gradient drowns. With b > 0 (`loss_whitening`) components of small variance
count for more. That also conditions the problem better: even the unweighted error falls faster.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import final

import torch
from torch import nn

from starbench.methods.parts.inputs import Inputs
from starbench.methods.parts.networks import Networks
from starbench.methods.parts.siblings import Siblings
from starbench.methods.parts.training import batch_generator

Watched = dict[str, torch.Tensor]


@dataclass(frozen=True)
class TrainingSet:
    """The training set as the networks see it.

    Attributes
    ----------
    inputs : torch.Tensor [n, n_inputs]
    nuisance : torch.Tensor [n, n_nuisance]
        Scaled to [-1, 1].
    n_fitted : int
        Number of spectra, from the first on, that batches are drawn from.
    siblings : Siblings or None
        For label access `pairs`.
    noise : float
        Standard deviation of the noise in each pixel, or its typical value where errors differ; 0
        for noiseless spectra.
    """

    inputs: torch.Tensor
    nuisance: torch.Tensor
    n_fitted: int
    siblings: Siblings | None = None
    noise: float = 0.0


@dataclass(frozen=True)
class Batch:
    """The spectra of one training step.

    Attributes
    ----------
    train : TrainingSet
    rows : torch.Tensor [n], int64
        Their rows in the training set.
    share_done : float
        Share of the training that is done, 0 to 1.
    """

    train: TrainingSet
    rows: torch.Tensor
    share_done: float

    @cached_property
    def inputs(self) -> torch.Tensor:
        """Their inputs [n, n_inputs]."""
        return self.train.inputs[self.rows]

    @cached_property
    def nuisance(self) -> torch.Tensor:
        """Their nuisance [n, n_nuisance], scaled to [-1, 1]."""
        return self.train.nuisance[self.rows]

    def generator(self) -> torch.Generator:
        """Return a random generator for this step alone."""
        return batch_generator(self.rows)


def required_siblings(batch: Batch) -> Siblings:
    """Return the siblings of the training set of a batch.

    Raises
    ------
    TypeError
        If the method's label access does not include them.
    """
    if batch.train.siblings is None:
        raise TypeError("the siblings are missing: set a label_access that includes them")
    return batch.train.siblings


class Objective(nn.Module, ABC):
    """The loss of a method, with the networks that it trains.

    Networks besides the encoder and the decoder are attributes of the objective, so that their
    weights are saved with it. They minimise the same loss, except those of an
    `starbench.methods.parts.adversary.Adversary`, which has its own loss and optimiser.

    Parameters
    ----------
    networks : Networks
    """

    def __init__(self, networks: Networks) -> None:
        super().__init__()
        self.networks = networks

    def prepare(self, train: TrainingSet) -> None:  # most objectives need none
        """Compute what the loss needs from the whole training set; called before the first step."""

    @abstractmethod
    def loss(self, batch: Batch) -> tuple[torch.Tensor, Watched]:
        """Return the loss of a batch, and the quantities to watch, all of them scalars.

        The first watched quantity is ``reconstruction_mse``, the mean squared error of the flux.
        """


@final
class ReconstructionError(nn.Module):
    """The reconstruction error e of the decoder's output.

    Parameters
    ----------
    inputs : Inputs
    whitening : float
        The power b of the variance.
    """

    weight: torch.Tensor
    flux_weight: torch.Tensor
    unseen_mse: torch.Tensor

    def __init__(self, inputs: Inputs, whitening: float) -> None:
        super().__init__()
        squared_scale = inputs.scale**2
        # Computed from the inputs, so they need not be saved.
        self.register_buffer(
            "weight", inputs.error_weights(whitening) * squared_scale, persistent=False
        )
        self.register_buffer("flux_weight", squared_scale / inputs.n_pixels, persistent=False)
        residual = inputs.representation.residual_mse
        self.register_buffer("unseen_mse", residual, persistent=False)

    def forward(self, decoded: torch.Tensor, batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
        """Compare decoded inputs with a batch.

        Parameters
        ----------
        decoded : torch.Tensor [n, n_inputs]
        batch : Batch

        Returns
        -------
        error : torch.Tensor [n]
        flux_mse : torch.Tensor, scalar
            Mean squared error of the flux, without a gradient.
        """
        squared = (decoded - batch.inputs).square()
        flux_mse = (squared.detach() @ self.flux_weight).mean()
        return squared @ self.weight, flux_mse + self.unseen_mse


class PenalisedReconstruction(Objective):
    """The mean reconstruction error plus a penalty on the latent; a subclass defines the penalty.

    Parameters
    ----------
    networks : Networks
    error : ReconstructionError
    source : callable, optional
        From a batch to the spectra from whose latents it is reconstructed; itself by default.
    """

    def __init__(
        self,
        networks: Networks,
        error: ReconstructionError,
        source: Callable[[Batch], Batch] | None = None,
    ) -> None:
        super().__init__(networks)
        self.error, self._source = error, source

    @abstractmethod
    def penalty(self, latent: torch.Tensor, batch: Batch) -> tuple[torch.Tensor, Watched]:
        """Return the weighted penalty of a batch, a scalar, and quantities to watch.

        Parameters
        ----------
        latent : torch.Tensor [n, latent]
        batch : Batch
        """

    @final
    def loss(self, batch: Batch) -> tuple[torch.Tensor, Watched]:
        """Return the loss of a batch; see `Objective.loss`."""
        source = batch if self._source is None else self._source(batch)
        latent = self.networks.encode(source.inputs, source.nuisance)
        penalty, watched = self.penalty(latent, source)
        error, flux_mse = self.error(self.networks.decode(latent, batch.nuisance), batch)
        loss = error.mean() + penalty
        return loss, {"reconstruction_mse": flux_mse, "loss": loss, **watched}


@final
class Reconstruction(Objective):
    """The mean reconstruction error alone.

    Parameters
    ----------
    networks : Networks
    error : ReconstructionError
    """

    def __init__(self, networks: Networks, error: ReconstructionError) -> None:
        super().__init__(networks)
        self.error = error

    def loss(self, batch: Batch) -> tuple[torch.Tensor, Watched]:
        """Return the loss of a batch; see `Objective.loss`."""
        latent = self.networks.encode(batch.inputs, batch.nuisance)
        error, flux_mse = self.error(self.networks.decode(latent, batch.nuisance), batch)
        loss = error.mean()
        return loss, {"reconstruction_mse": flux_mse, "loss": loss}
