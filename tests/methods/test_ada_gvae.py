"""Twins share the axes that differ least, and only those."""

import numpy as np
import torch

from starbench.methods.ada_gvae import posterior_with_twin, with_shared_axes
from starbench.methods.parts.objective import Batch, TrainingSet
from starbench.methods.parts.siblings import Siblings
from starbench.methods.parts.variational import (
    Posterior,
    VariationalNetworks,
    VariationalSettings,
)


def test_axes_of_a_hand_worked_case():
    """Divergences 0, 0.5 and 2: halfway is 1, so that the first two are shared."""
    own = Posterior(torch.tensor([[1.0, 0.0, 0.0]]), torch.zeros(1, 3))
    twins = Posterior(torch.tensor([[1.0, 1.0, 2.0]]), torch.zeros(1, 3))
    both = with_shared_axes(own, twins)
    assert torch.allclose(both.mean, torch.tensor([[1.0, 0.5, 0.0]]))
    assert torch.allclose(both.log_variance, torch.zeros(1, 3))
    widths = Posterior(own.mean, torch.log(torch.tensor([[1.0, 1.0, 3.0]])))
    mixed = with_shared_axes(own, widths)
    assert torch.equal(mixed.mean, own.mean)
    assert torch.equal(mixed.log_variance, own.log_variance)  # the last differs, and stays


def test_a_twin_held_out_from_the_fit_is_not_used():
    settings = VariationalSettings(latent=3, encoder_widths=(8,))
    networks = VariationalNetworks(settings, 4, 1)
    generator = torch.Generator().manual_seed(0)
    inputs, nuisance = (torch.randn(4, k, generator=generator) for k in (4, 1))
    train = TrainingSet(
        inputs, nuisance, 3, Siblings(np.array([0, 0, 2, 2]), np.array([1, 0, 3, 2]), 3)
    )
    with torch.no_grad():
        own = networks.posterior(inputs, nuisance)
        both = posterior_with_twin(networks, Batch(train, torch.arange(3), 0.0))
    assert torch.allclose(both.mean[2], own.mean[2])
    assert not torch.allclose(both.mean[:2], own.mean[:2])
