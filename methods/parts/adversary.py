"""An adversary of the autoencoder: a network with its own loss and optimiser."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import final

import torch
from torch import nn


def adam(parameters: Iterable[nn.Parameter], learning_rate: float) -> torch.optim.Adam:
    """Return the optimiser that autoencoders and adversaries use."""
    return torch.optim.Adam(parameters, learning_rate, betas=(0.5, 0.999), fused=True)


def set_rate(optimiser: torch.optim.Optimizer, learning_rate: float) -> None:
    """Set the learning rate of an optimiser of one parameter group."""
    optimiser.param_groups[0]["lr"] = learning_rate


@final
class Adversary(nn.Module):
    """A network with its own optimiser.

    Parameters
    ----------
    network : torch.nn.Module
    learning_rate : float
        Peak of the learning rate.
    cooling : float
        Power of the autoencoder's one-cycle factor that the learning rate follows; 0 keeps it at
        its peak.
    """

    def __init__(self, network: nn.Module, learning_rate: float, cooling: float = 1.0) -> None:
        super().__init__()
        self.network = network
        self.optimiser = adam(network.parameters(), learning_rate)
        self._learning_rate, self._cooling = learning_rate, cooling

    def forward(self, samples: torch.Tensor) -> torch.Tensor:
        """Return the network's output for samples [n, k]."""
        output: torch.Tensor = self.network(samples)
        return output

    def cool(self, factor: float) -> None:
        """Set the learning rate, given the autoencoder's one-cycle factor."""
        set_rate(self.optimiser, self._learning_rate * factor**self._cooling)

    def step(self, loss: torch.Tensor) -> None:
        """Descend a loss by one step of the adversary's optimiser."""
        self.optimiser.zero_grad()
        torch.autograd.backward(loss)
        self.optimiser.step()

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """Freeze the network: gradients pass through it to the samples but not into its weights."""
        self.network.requires_grad_(False)
        try:
            yield
        finally:
            self.network.requires_grad_(True)
