"""Multilayer perceptrons."""

from collections.abc import Sequence
from itertools import pairwise

from torch import nn

ACTIVATIONS: dict[str, type[nn.Module]] = {
    "selu": nn.SELU,
    "silu": nn.SiLU,
    "relu": nn.ReLU,
    "gelu": nn.GELU,
}


def mlp(widths: Sequence[int], activation: str) -> nn.Sequential:
    """Build a multilayer perceptron with a linear output layer.

    Parameters
    ----------
    widths : sequence of int
        Width of the input, of each hidden layer, and of the output.
    activation : {"selu", "silu", "relu", "gelu"}
        Function after each hidden layer.
    """
    layers: list[nn.Module] = []
    for n_in, n_out in pairwise(widths):
        layers += [nn.Linear(n_in, n_out), ACTIVATIONS[activation]()]
    return nn.Sequential(*layers[:-1])
