r"""A Wasserstein critic with a gradient penalty, an adversary that judges whole samples.

A network C of unbounded output tells real samples a from fake ones :math:`\hat a`,

.. math::

    L_C = \langle C(\hat a) \rangle - \langle C(a) \rangle
        + \gamma\, \langle (|\nabla C(\tilde a)| - 1)^2 \rangle, \qquad
    \tilde a = \epsilon a + (1 - \epsilon) \hat a, \quad \epsilon \sim U(0, 1),

where the last term keeps its slope near one, so that minus the first two estimates the Wasserstein
distance between the two distributions. The critic takes several steps for each step of the
networks, all on the same samples that it then judges. Gulrajani et al. draw new samples for each
step, which did not find more twins here (`TUNING.md`).

References
----------
Gulrajani et al. (2017), "Improved training of Wasserstein GANs", NeurIPS 30, eq. 3 and algorithm 1.
"""

from dataclasses import dataclass

import torch
from torch import nn

from starbench.methods.base import Diagnostic, option
from starbench.methods.parts.adversary import Adversary
from starbench.methods.parts.settings import AutoencoderSettings

DIAGNOSTIC = Diagnostic("critic_difference", "critic's difference")


@dataclass(frozen=True)
class CriticSettings(AutoencoderSettings):
    """Hyperparameters that autoencoders with a critic share."""

    critic_widths: tuple[int, ...] = option(
        (256, 128), "widths of the critic's hidden layers", low=1
    )
    critic_steps: int = option(5, "critic steps per step of the other networks", low=1, high=100)
    slope_weight: float = option(
        1.0, "weight gamma of the gradient penalty", low=0.0, tuned=(0.1, 10)
    )


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
        Draws the points between real and fake samples where the slope is taken.
    """
    real, fake = real.detach(), fake.detach()
    share = torch.rand(len(real), 1, generator=generator).to(real.device)
    between = (share * real + (1 - share) * fake).requires_grad_()
    (slope,) = torch.autograd.grad(critic(between).sum(), between, create_graph=True)
    steepness = (slope.norm(dim=1) - 1).square().mean()
    loss: torch.Tensor = critic(fake).mean() - critic(real).mean() + slope_weight * steepness
    return loss


def train_critic(
    critic: Adversary,
    real: torch.Tensor,
    fake: torch.Tensor,
    settings: CriticSettings,
    generator: torch.Generator,
) -> torch.Tensor:
    """Train the critic for its steps, and return its mean score of real minus fake samples.

    Returns
    -------
    torch.Tensor, scalar
        <C(real)> - <C(fake)>, whose gradient flows into the samples and not into the critic.
    """
    for _ in range(settings.critic_steps):
        critic.step(
            critic_loss(critic, real, fake, slope_weight=settings.slope_weight, generator=generator)
        )
    with critic.frozen():
        difference: torch.Tensor = critic(real).mean() - critic(fake).mean()
    return difference
