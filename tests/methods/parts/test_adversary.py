"""An adversary takes steps of its own, and keeps out of the steps of others."""

import pytest
import torch
from torch import nn

from starbench.methods.parts.adversary import Adversary


def test_gradients_pass_through_a_frozen_adversary_but_not_into_it():
    adversary = Adversary(nn.Linear(2, 1), 1e-3)
    latent = torch.ones(3, 2, requires_grad=True)
    with adversary.frozen():
        loss = adversary(latent).sum()
    loss.backward()
    assert latent.grad.abs().sum() > 0
    assert all(parameter.grad is None for parameter in adversary.parameters())
    adversary.step(adversary(latent.detach()).square().sum())
    assert all(parameter.grad is not None for parameter in adversary.parameters())


@pytest.mark.parametrize(("cooling", "rate"), [(1.0, 0.25e-3), (0.5, 0.5e-3), (0.0, 1e-3)])
def test_the_learning_rate_follows_a_power_of_the_factor(cooling, rate):
    adversary = Adversary(nn.Linear(2, 1), 1e-3, cooling)
    adversary.cool(0.25)
    assert adversary.optimiser.param_groups[0]["lr"] == pytest.approx(rate)
