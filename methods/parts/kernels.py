"""Gaussian kernels between the vectors of a batch, for penalties on statistical dependence."""

from dataclasses import dataclass

import torch

from starbench.methods.base import option
from starbench.methods.parts.settings import AutoencoderSettings


@dataclass(frozen=True)
class KernelSettings(AutoencoderSettings):
    """Hyperparameters that penalties by a kernel share."""

    penalty_weight: float = option(1.0, "weight w of the penalty", low=0.0)
    penalty_ramp: float = option(
        0.5, "share of the training over which w grows from 0", low=0.0, high=1.0
    )
    kernel_widths: tuple[float, ...] = option(
        (0.5, 1.0), "widths of the kernels, relative to the median distance", low=1e-3
    )


def squared_distances(points: torch.Tensor) -> torch.Tensor:
    """Return the squared Euclidean distances [n, n] between points [n, d]."""
    # Not torch.cdist: the gradient of its square root is infinite where points coincide.
    norms = points.square().sum(1)
    return (norms[:, None] + norms[None] - 2 * points @ points.T).clamp_min(0)


def gaussian_kernel(points: torch.Tensor, widths: tuple[float, ...]) -> torch.Tensor:
    r"""Return the mean of Gaussian kernels [n, n] over several widths.

    .. math:: k(a, b) = \mathrm{mean}_w \exp(-|a - b|^2 / (2 w^2 m)),

    where m is the median squared distance of the batch, without a gradient. Because of it, a latent
    does not look more independent when it shrinks.

    Parameters
    ----------
    points : torch.Tensor [n, d]
    widths : tuple of float
        In units of the root of the median squared distance.
    """
    squared = squared_distances(points)
    others = ~torch.eye(len(points), dtype=torch.bool, device=points.device)
    scale = squared.detach()[others].median().clamp_min(1e-12)
    kernels = [torch.exp(-squared / (2 * width**2 * scale)) for width in widths]
    return sum(kernels, torch.zeros_like(kernels[0])) / len(widths)
