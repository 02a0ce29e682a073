"""The critic's loss by hand, and the distance between distributions that it learns."""

import pytest
import torch
from torch import nn

from starbench.methods.parts.critic import critic_loss


def linear(slopes):
    critic = nn.Linear(len(slopes), 1, bias=False)
    critic.weight.data[:] = torch.tensor(slopes)
    return critic


def test_critic_loss_of_a_hand_worked_case():
    # C(a) = 3 a_1 + 4 a_2 has slope 5 everywhere: the penalty is 0.5 (5 - 1)^2 = 8.
    real, fake = torch.tensor([[1.0, 0.0], [1.0, 2.0]]), torch.tensor([[0.0, 1.0], [2.0, 0.0]])
    loss = critic_loss(
        linear([3.0, 4.0]), real, fake, slope_weight=0.5, generator=torch.Generator()
    )
    assert loss.item() == pytest.approx((4 + 6) / 2 - (3 + 11) / 2 + 8)


def test_the_critic_loss_has_no_gradient_in_the_samples():
    real, fake = torch.ones(3, 2, requires_grad=True), torch.zeros(3, 2, requires_grad=True)
    critic = linear([1.0, 1.0])
    critic_loss(critic, real, fake, slope_weight=1.0, generator=torch.Generator()).backward()
    assert real.grad is None and fake.grad is None and critic.weight.grad is not None


def test_a_trained_critic_estimates_the_distance_between_two_distributions():
    generator = torch.Generator().manual_seed(0)
    torch.manual_seed(0)
    critic = nn.Sequential(nn.Linear(1, 32), nn.SiLU(), nn.Linear(32, 1))
    optimiser = torch.optim.Adam(critic.parameters(), 3e-3)
    real = torch.rand(512, 1, generator=generator)
    for _ in range(400):
        optimiser.zero_grad()
        critic_loss(
            critic, real, real + 2, slope_weight=10.0, generator=generator
        ).backward()  # moved by 2, which is the Wasserstein distance
        optimiser.step()
    difference = (critic(real).mean() - critic(real + 2).mean()).item()
    assert difference == pytest.approx(2, abs=0.3)
