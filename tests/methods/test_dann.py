"""Gradient reversal: its gradient, its weight, and that it disentangles."""

import pytest
import torch
from support.small_settings import fit_small, swap_ratio
from torch import nn

from starbench.methods.conditional_autoencoder import ConditionalAutoencoder
from starbench.methods.dann import Dann, ReversedRegression, reverse_gradient
from starbench.methods.parts.inputs import Inputs
from starbench.methods.parts.networks import ConditionalNetworks
from starbench.methods.parts.objective import Batch, ReconstructionError, TrainingSet
from starbench.methods.parts.representation import Representation


def test_the_reversed_gradient_of_a_hand_worked_case():
    latent = torch.tensor([2.0], requires_grad=True)
    reversed_latent = reverse_gradient(latent, 0.3)
    assert reversed_latent.item() == 2
    (reversed_latent**2).sum().backward()
    assert latent.grad.item() == pytest.approx(-0.3 * 4)


def test_the_weight_of_the_reversed_gradient_rises_from_zero_to_its_setting():
    settings = Dann.Hyperparameters(latent=3, encoder_widths=(4,), decoder_widths=(4,))
    ones = torch.ones(4)
    inputs = Inputs(Representation(ones, ones, torch.zeros(())), ones, ones[:2], ones[:2])
    networks, error = ConditionalNetworks(settings, 4, 2), ReconstructionError(inputs, 0.0)
    regression = nn.Linear(3, 2)
    objective = ReversedRegression(networks, error, regression, weight=0.5)
    train = TrainingSet(torch.zeros(5, 4), torch.randn(5, 2), 5)
    gradients = []
    for share_done in (0.0, 1.0):
        latent = torch.ones(5, 3, requires_grad=True)
        penalty, watched = objective.penalty(latent, Batch(train, torch.arange(5), share_done))
        penalty.backward()
        gradients.append(latent.grad)
    plain = torch.ones(5, 3, requires_grad=True)
    (regression(plain) - train.nuisance).square().mean().backward()
    assert not gradients[0].any()
    # 2 / (1 + exp(-10)) - 1 is 1 within 1e-4
    assert torch.allclose(gradients[1], -0.5 * plain.grad, rtol=1e-3)
    assert set(watched) == {"adversary_mse", "chance_mse"}


def test_gradient_reversal_disentangles():
    reversed_ = fit_small(Dann, n_pairs=1500, epochs=15, adversary_weight=1.0)
    baseline = fit_small(ConditionalAutoencoder, n_pairs=1500, epochs=15)
    assert 1.5 * swap_ratio(reversed_) < swap_ratio(baseline)
