"""Perceptrons, and their derivatives."""

import pytest
import torch

from starbench.methods.parts.perceptron import ACTIVATIONS, mlp, output_and_slopes


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("widths", [(5, 4), (5, 7, 4), (5, 8, 6, 4)])
def test_slopes_are_the_derivatives_by_the_first_inputs(widths, activation):
    torch.manual_seed(0)
    network = mlp(widths, activation).double()
    inputs = torch.randn(9, 5).double()
    output, slopes = output_and_slopes(network, inputs, 3)
    assert torch.equal(output, network(inputs))
    jacobian = torch.func.vmap(torch.func.jacrev(network))(inputs)
    assert torch.allclose(slopes, jacobian[:, :, :3].mT, rtol=1e-9, atol=1e-12)
