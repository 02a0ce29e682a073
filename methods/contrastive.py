r"""Contrastive learning: of all latents of a batch, a star's twin is to be the nearest.

Finding twins by nearest neighbours is what the task consists of, so it can be the loss itself, as
it is where persons are re-identified in photographs. A batch holds both spectra of B pairs; with
the distance of the leaderboard between their latents, the twin i' of i is to be told from the other
2B - 2 spectra (InfoNCE, or NT-Xent):

.. math::

    d_{ij} = |z_i - z_j|_1 / \tau, \qquad
    L = -\frac{1}{2B} \sum_i \log \frac{e^{-d_{ii'}}}{\sum_{j \ne i} e^{-d_{ij}}}, \qquad
    z = E(x, u).

The usual similarity is a cosine, which looks at directions alone: two latents of one direction and
different lengths are the same to it and far apart to the leaderboard. With L1 what is trained is
what is ranked, and the scale of the latent's axes, which decides an L1 distance, is learned as
well: an axis of noise shrinks. Nothing asks that a spectrum can be had back, so there is no
decoder, and what twins do not share, such as the nuisance, is only in the way.

References
----------
van den Oord, Li and Vinyals (2018), "Representation learning with contrastive predictive coding",
arXiv:1807.03748.
Chen, Kornblith, Norouzi and Hinton (2020), "A simple framework for contrastive learning of visual
representations", ICML.
"""

from dataclasses import dataclass

import torch
from torch.nn.functional import cross_entropy

from starbench.methods.base import Monitor, View, option
from starbench.methods.parts.encoder import Encoder, EncoderSettings, pairs


@dataclass(frozen=True)
class Settings(EncoderSettings):
    """Hyperparameters of contrastive learning."""

    latent: int = option(20, "dimensions of the latent", low=1, high=1024)
    temperature: float = option(
        1.0, "L1 distance by which a probability falls by e; sets the scale of the latent", low=1e-6
    )
    epochs: int = option(60, "passes over the training pairs", low=1)
    batch_size: int = option(512, "pairs a step: the more, the nearer the strangers", low=1)
    learning_rate: float = option(2e-3, "peak of the learning rate, which rises and falls", low=0.0)


def info_nce(latent: torch.Tensor, temperature: float) -> torch.Tensor:
    """Return the mean negative logarithm of the twin's probability.

    Metric-learning packages have this loss for cosines and Euclidean distances; it is short enough
    to write with the distance that ranks.

    Parameters
    ----------
    latent : torch.Tensor [2 n_pairs, n_latent]
        The first spectra of all pairs, then the second ones in the same order.
    temperature : float
    """
    n = len(latent)
    logits = -torch.cdist(latent, latent, p=1) / temperature
    itself = torch.eye(n, dtype=torch.bool, device=latent.device)
    twin = torch.arange(n, device=latent.device).roll(n // 2)
    return cross_entropy(logits.masked_fill(itself, -torch.inf), twin)


class Contrastive(Encoder):
    """An encoder that learns to tell a spectrum's twin from all others."""

    name = "contrastive"
    label_access = "pairs"
    reference = "van den Oord et al. 2018; Chen et al. 2020"
    Hyperparameters = Settings

    def fit(self, train: View, validation: View, monitor: Monitor) -> None:
        """Fit the principal components, then the encoder on batches of pairs."""
        settings = self.hyperparameters
        self._prepare(train, settings.latent)

        def loss(latent: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
            return info_nce(latent, settings.temperature)

        self._train(train, monitor, pairs(torch.as_tensor(train.twin)), loss)
