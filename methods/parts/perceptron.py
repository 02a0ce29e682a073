"""Multilayer perceptrons."""

from collections.abc import Sequence
from itertools import pairwise

import torch
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


def output_and_slopes(
    perceptron: nn.Sequential, inputs: torch.Tensor, n_axes: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the outputs of a perceptron, and their derivatives by the first inputs.

    The derivatives of all axes pass each layer as one matrix product, about twice as fast as by
    ``torch.func``.

    Parameters
    ----------
    perceptron : torch.nn.Sequential
        From `mlp`.
    inputs : torch.Tensor [n, n_inputs]
    n_axes : int
        Number of inputs, from the first on, by which outputs are differentiated.

    Returns
    -------
    output : torch.Tensor [n, n_outputs]
    slopes : torch.Tensor [n, n_axes, n_outputs]
    """
    value = inputs
    slopes = torch.eye(inputs.shape[1], dtype=inputs.dtype, device=inputs.device)[:n_axes]
    for layer in perceptron:
        if isinstance(layer, nn.Linear):
            value, slopes = layer(value), slopes @ layer.weight.T
        else:
            result = torch.func.jvp(layer, (value,), (torch.ones_like(value),))
            value, slopes = result[0], slopes * result[1][:, None]
    return value, slopes.expand(len(value), -1, -1)
