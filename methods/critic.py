r"""A Wasserstein critic with a gradient penalty, as adversaries that judge whole samples use it.

A network C without a bound on its output tells real samples from fake ones,

.. math::

    L_C = \langle C(\hat a) \rangle - \langle C(a) \rangle
        + \gamma\, \langle (|\nabla C(\tilde a)| - 1)^2 \rangle, \qquad
    \tilde a = \epsilon a + (1 - \epsilon) \hat a, \quad \epsilon \sim U(0, 1),

where the last term keeps its slope near one, so that the difference of the first two estimates the
Wasserstein distance between the two distributions.

References
----------
Gulrajani et al. (2017), "Improved training of Wasserstein GANs", NeurIPS 30, eq. 3.
"""

import torch
from torch import nn


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
