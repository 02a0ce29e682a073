r"""A Wasserstein critic with a gradient penalty, as adversaries that judge whole samples use it.

A network C without a bound on its output tells real samples from fake ones,

.. math::

    L_C = \langle C(\hat a) \rangle - \langle C(a) \rangle
        + \gamma\, \langle (|\nabla C(\tilde a)| - 1)^2 \rangle, \qquad
    \tilde a = \epsilon a + (1 - \epsilon) \hat a, \quad \epsilon \sim U(0, 1),

where the last term keeps its slope near one, so that the difference of the first two estimates the
Wasserstein distance between the two distributions. In each step of the training the critic takes
several, all on the samples that it then judges; Gulrajani et al. draw new ones for each, which was
tried and finds no more twins (`TUNING.md`).

References
----------
Gulrajani et al. (2017), "Improved training of Wasserstein GANs", NeurIPS 30, eq. 3 and algorithm 1.
"""

from dataclasses import dataclass

import torch
from torch import nn

from starbench.methods.base import option
from starbench.methods.parts.autoencoder import AutoencoderSettings


@dataclass(frozen=True)
class CriticSettings(AutoencoderSettings):
    """What autoencoders with a critic share."""

    critic_widths: tuple[int, ...] = option((256, 128), "critic's hidden layers", low=1)
    critic_steps: int = option(
        5, "steps of the critic to one of the networks it judges", low=1, high=100
    )
    slope_weight: float = option(1.0, "weight gamma of the gradient penalty", low=0.0)


def critic_loss(
    critic: nn.Module,
    real: torch.Tensor,
    fake: torch.Tensor,
    *,
    slope_weight: float,
    generator: torch.Generator,
) -> torch.Tensor:
    """Return the loss of a critic; no gradient flows into the samples.

    Parameters
    ----------
    critic : torch.nn.Module
        From samples [n, k] to scores [n, 1].
    real, fake : torch.Tensor [n, k]
    slope_weight : float
        The weight gamma of the gradient penalty.
    generator : torch.Generator
        Draws the places between real and fake samples where the slope is taken.
    """
    real, fake = real.detach(), fake.detach()
    share = torch.rand(len(real), 1, generator=generator).to(real.device)
    between = (share * real + (1 - share) * fake).requires_grad_()
    (slope,) = torch.autograd.grad(critic(between).sum(), between, create_graph=True)
    steepness = (slope.norm(dim=1) - 1).square().mean()
    return critic(fake).mean() - critic(real).mean() + slope_weight * steepness


def trained_difference(
    critic: nn.Module,
    optimiser: torch.optim.Optimizer,
    real: torch.Tensor,
    fake: torch.Tensor,
    settings: CriticSettings,
    generator: torch.Generator,
) -> torch.Tensor:
    """Let the critic take its steps, and return the difference that it then sees.

    Returns
    -------
    torch.Tensor, scalar
        <C(real)> - <C(fake)>, whose gradient flows into the samples and not into the critic.
    """
    for _ in range(settings.critic_steps):
        optimiser.zero_grad()
        critic_loss(
            critic, real, fake, slope_weight=settings.slope_weight, generator=generator
        ).backward()
        optimiser.step()
    critic.requires_grad_(False)
    difference = critic(real).mean() - critic(fake).mean()
    critic.requires_grad_(True)
    return difference
