r"""An adversary that classifies the nuisance from the latent, and the penalty on its success.

The nuisance u is cut into bins of equal training counts along each axis. An adversary A learns to
predict the labels y(u), one or several per star, from the latent z, and the autoencoder learns to
make it fail:

.. math::

    L_A = -\langle \log A_{y(u)}(z) \rangle, \qquad P = -w\, L_A,

where A is held fixed in P. w grows linearly over the first part of the training, so that there is
something to disentangle before the adversary's gradient sets in. If the latent carries no
information on u, the cross-entropy L_A is at chance, the entropy of the labels.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import final

import numpy as np
import torch
from torch.nn.functional import cross_entropy

from starbench.methods.base import Diagnostic, option
from starbench.methods.parts.adversary import Adversary
from starbench.methods.parts.networks import Networks
from starbench.methods.parts.objective import (
    Batch,
    PenalisedReconstruction,
    ReconstructionError,
    TrainingSet,
    Watched,
)
from starbench.methods.parts.settings import AutoencoderSettings
from starbench.methods.parts.training import ramp

DIAGNOSTIC = Diagnostic(
    "adversary_cross_entropy",
    "adversary's cross-entropy",
    reference="chance_cross_entropy",
    # Without any leakage the cross-entropy ends at chance, or a little below it as the adversary
    # memorises some stars; the mean over an epoch scatters by some 0.0005 of chance. Above chance
    # the encoder changes faster than the adversary can follow, and a freshly trained adversary
    # would find the nuisance (TUNING.md shows a run in which that cost nine points).
    low=0.9,
    high=1.001,
    below="the adversary still reads the nuisance from the latent",
    above="the adversary is fooled, so it does not show what the latent leaks",
)


@dataclass(frozen=True)
class ClassifierSettings(AutoencoderSettings):
    """Hyperparameters shared by autoencoders with an adversarial classifier."""

    adversary_weight: float = option(
        0.3, "weight w of the adversary's cross-entropy", low=0.0, tuned=(0.03, 3.0)
    )
    adversary_ramp: float = option(
        0.3, "share of the training over which w grows from 0", low=0.0, high=1.0
    )
    adversary_widths: tuple[int, ...] = option(
        (256, 128), "widths of the adversary's hidden layers", low=1
    )
    adversary_cooling: float = option(
        0.5,
        "the adversary's learning rate follows the one-cycle schedule to this power; 0: constant",
        low=0.0,
        high=1.0,
    )
    bins: int = option(5, "bins along each axis of the nuisance", low=2, high=100)


@final
class NuisanceBins:
    """Labels of stars by bins of equal training counts along each axis of the nuisance.

    Parameters
    ----------
    n_bins : int
        Along each axis.
    joint : bool
        Whether a star has one label, its cell on the grid of all axes, or one for each axis.
    """

    def __init__(self, n_bins: int, *, joint: bool) -> None:
        self._n_bins, self._joint = n_bins, joint
        self.edges = torch.zeros(0, n_bins - 1)
        self.chance = torch.zeros(())

    def fit(self, nuisance: torch.Tensor) -> None:
        """Set the edges [n_nuisance, n_bins - 1] and the cross-entropy of chance.

        Parameters
        ----------
        nuisance : torch.Tensor [n, n_nuisance]
            Of the training set.
        """
        inner = torch.linspace(0, 1, self._n_bins + 1)[1:-1]
        # numpy's quantiles: torch's refuse more than 16 million values
        edges = np.quantile(nuisance.cpu().numpy(), inner.numpy(), axis=0).T
        self.edges = torch.from_numpy(np.ascontiguousarray(edges)).float()
        labels = self.labels(nuisance)
        chance = torch.zeros(())
        for column in labels.T:
            share = torch.bincount(column) / len(column)
            chance = chance - torch.special.xlogy(share, share).sum().cpu() / labels.shape[1]
        self.chance = chance

    def labels(self, nuisance: torch.Tensor) -> torch.Tensor:
        """Return the labels [n, 1] or [n, n_nuisance] of nuisance [n, n_nuisance]."""
        edges = self.edges.to(nuisance.device)
        axes = [
            torch.bucketize(column.contiguous(), edge)
            for column, edge in zip(nuisance.T, edges, strict=True)
        ]
        if not self._joint:
            return torch.stack(axes, 1)
        cell = torch.zeros_like(axes[0])
        for axis in axes:
            cell = cell * self._n_bins + axis
        return cell[:, None]


@final
class ClassifierPenalty(PenalisedReconstruction):
    """The reconstruction error minus the weighted cross-entropy of a classifier of the nuisance.

    Parameters
    ----------
    networks : Networks
    error : ReconstructionError
    adversary : Adversary
        From latents [n, latent] to the scores of each label's classes, side by side.
    bins : NuisanceBins
    settings : ClassifierSettings
    source : callable, optional
        See `PenalisedReconstruction`.
    """

    def __init__(
        self,
        networks: Networks,
        error: ReconstructionError,
        adversary: Adversary,
        bins: NuisanceBins,
        settings: ClassifierSettings,
        source: Callable[[Batch], Batch] | None = None,
    ) -> None:
        super().__init__(networks, error, source)
        self.adversary, self._bins, self._settings = adversary, bins, settings

    def prepare(self, train: TrainingSet) -> None:
        """Fit the bins to the nuisance of the training set."""
        self._bins.fit(train.nuisance)

    def penalty(self, latent: torch.Tensor, batch: Batch) -> tuple[torch.Tensor, Watched]:
        """Train the adversary by one step; return minus its cross-entropy, weighted."""
        labels = self._bins.labels(batch.nuisance)
        self.adversary.step(self._cross_entropy(latent.detach(), labels))
        with self.adversary.frozen():
            fooled = self._cross_entropy(latent, labels)
        settings = self._settings
        weight = settings.adversary_weight * ramp(batch.share_done, settings.adversary_ramp)
        watched = {"adversary_cross_entropy": fooled, "chance_cross_entropy": self._bins.chance}
        return -weight * fooled, watched

    def _cross_entropy(self, latent: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """Return the adversary's cross-entropy, averaged over spectra and their labels."""
        scores = self.adversary(latent)
        return cross_entropy(scores.reshape(labels.numel(), -1), labels.reshape(-1))
