"""One classifier for each nuisance disentangles."""

import torch
from support.small_settings import fit_small, swap_ratio
from torch import nn

from starbench.methods.conditional_autoencoder import ConditionalAutoencoder
from starbench.methods.gandalf import Gandalf, SideBySide


def test_networks_side_by_side_share_their_input():
    first, second = nn.Linear(3, 2), nn.Linear(3, 4)
    latent = torch.randn(5, 3)
    scores = SideBySide([first, second])(latent)
    assert torch.equal(scores, torch.cat([first(latent), second(latent)], 1))


def test_the_adversaries_disentangle():
    gandalf = fit_small(Gandalf, n_pairs=1500, epochs=15, bins=4)
    baseline = fit_small(ConditionalAutoencoder, n_pairs=1500, epochs=15)
    assert 1.5 * swap_ratio(gandalf) < swap_ratio(baseline)
