"""Normal deviates as points, for tests of kernels."""

import torch


def points(n: int, d: int, seed: int = 0) -> torch.Tensor:
    """Return n points [n, d], float64."""
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed)).double()
