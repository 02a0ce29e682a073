r"""Contrastive learning: train a star's twin to be the nearest latent of the batch.

The benchmark finds twins by nearest neighbours, and this can itself be the loss, as in person
re-identification. A batch holds both spectra of B pairs. With the
leaderboard's distance between their latents, the twin i' of i should be classified among the other
2B - 1 spectra (InfoNCE, or NT-Xent):

.. math::

    d_{ij} = |z_i - z_j|_1 / \tau, \qquad
    L = -\frac{1}{2B} \sum_i \log \frac{e^{-d_{ii'}}}{\sum_{j \ne i} e^{-d_{ij}}}, \qquad
    z = E(x, u).

The usual similarity is a cosine, which depends on directions alone: latents of one direction and
different lengths are equal by the cosine but far apart on the leaderboard. With L1 the training
optimises the ranking itself, including the scale of the latent's axes: an axis of noise shrinks.
There is no decoder, because no spectrum has to be reconstructed, and the latent gains nothing from
what twins do not share, such as the nuisance.

References
----------
van den Oord, Li and Vinyals (2018), "Representation learning with contrastive predictive coding",
arXiv:1807.03748.
Chen, Kornblith, Norouzi and Hinton (2020), "A simple framework for contrastive learning of visual
representations", ICML.
"""

from dataclasses import dataclass
from typing import ClassVar, final

import torch
from torch.nn.functional import cross_entropy

from starbench.methods.base import View, option
from starbench.methods.parts.encoder import Encoder, EncoderObjective, EncoderSettings
from starbench.methods.parts.siblings import groups, pairs
from starbench.methods.parts.training import epochs_option


@dataclass(frozen=True)
class Settings(EncoderSettings):
    """Hyperparameters of contrastive learning."""

    latent: int = option(20, "dimensions of the latent", low=1, high=1024)
    temperature: float = option(
        1.0,
        "L1 distance over which a probability falls by a factor e; scales the latent",
        low=1e-6,
        tuned=(0.3, 3),
    )
    usual_epochs: ClassVar[int] = 60
    epochs: int = epochs_option(usual_epochs, "pairs")
    batch_size: int = option(512, "pairs in each step; larger batches hold harder negatives", low=1)
    learning_rate: float = option(
        2e-3, "peak of the one-cycle learning rate", low=0.0, tuned=(0.0005, 0.005)
    )


def info_nce(
    latent: torch.Tensor, temperature: float, group: torch.Tensor | None = None
) -> torch.Tensor:
    """Return the mean negative logarithm of the twin's probability.

    Metric-learning packages have this loss for cosines and Euclidean distances, but not for the L1
    distance that ranks twins.

    Parameters
    ----------
    latent : torch.Tensor [2 n_pairs, n_latent]
        The first spectra of all pairs, then the second ones in the same order.
    temperature : float
    group : torch.Tensor [2 n_pairs], int64, optional
        Sibling group of each spectrum; siblings other than the twin do not count as strangers. By
        default the pairs are the groups.
    """
    n = len(latent)
    logits = -torch.cdist(latent, latent, p=1) / temperature
    itself = torch.eye(n, dtype=torch.bool, device=latent.device)
    twin = torch.arange(n, device=latent.device).roll(n // 2)
    if group is not None:
        itself = group[:, None] == group
        itself[torch.arange(n), twin] = False
    return cross_entropy(logits.masked_fill(itself, -torch.inf), twin)


@final
class Contrastive(Encoder):
    """An encoder that learns to distinguish a spectrum's twin from all other spectra."""

    name = "contrastive"
    label_access = "pairs"
    version = 2
    reference = "van den Oord et al. 2018; Chen et al. 2020"
    Hyperparameters = Settings
    hyperparameters: Settings

    def objective(self, train: View) -> EncoderObjective:
        """Return InfoNCE on batches of pairs."""
        settings = self.hyperparameters
        group = groups(train, self.name)
        of_row = torch.from_numpy(group).to(self.device)

        def loss(latent: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
            own = None if train.twin is not None else of_row[rows]
            return info_nce(latent, settings.temperature, own)

        return EncoderObjective(settings.latent, pairs(group), loss)
