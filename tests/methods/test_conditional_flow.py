"""The flow inverts, its log determinant is exact, and it starts as the whitening."""

import numpy as np
import pytest
import torch
from support.small_settings import Record, fit_small
from support.spectra import draw, view

from starbench.methods.conditional_flow import ConditionalFlow, Flow, Settings
from starbench.methods.conditional_whitening import ConditionalWhitening


def flow(n_axes=5, n_nuisance=2):
    """Return a flow in float64 whose couplings are no longer the identity."""
    torch.manual_seed(0)
    made = Flow(torch.rand(n_axes) + 0.5, torch.zeros(n_nuisance), torch.ones(n_nuisance),
                Settings(widths=(16,)))  # fmt: skip
    for parameter in made.parameters():
        torch.nn.init.normal_(parameter, std=0.4)
    return made.double()


@pytest.mark.parametrize("n_axes", [2, 5])
def test_the_flow_inverts(n_axes):
    made = flow(n_axes)
    y, u = torch.randn(50, n_axes).double(), torch.randn(50, 2).double()
    z, _ = made(y, u)
    assert (z - y).abs().max() > 0.1
    assert (made.inverse(z, u) - y).abs().max() < 1e-10


def test_the_log_determinant_is_that_of_the_jacobian():
    made = flow()
    y, u = torch.randn(4, 5).double(), torch.randn(4, 2).double()
    _, log_determinant = made(y, u)
    jacobian = torch.stack([
        torch.autograd.functional.jacobian(lambda a, u=u[i : i + 1]: made(a[None], u)[0][0], y[i])
        for i in range(4)
    ])  # fmt: skip
    assert torch.allclose(torch.linalg.slogdet(jacobian)[1], log_determinant)


def test_decoding_inverts_encoding_to_a_part_in_100_000():
    train = view("train", 300, "nuisance")
    fitted = fit_small(
        ConditionalFlow, train, latent=8, epochs=5, covariance_degree=1, displacement_weight=0.0
    )
    u = train.nuisance
    latent = fitted.encode(train.flux, u)
    model = fitted._fitted.model
    with torch.no_grad():
        scaled = model.flow.scaled(u)
        back = model.flow.inverse(torch.from_numpy(latent), scaled)
    assert (back - model.whitening.encode(train.flux, u)).abs().max() < 1e-5 * np.abs(latent).max()
    flux = fitted.decode(latent, u)
    assert np.mean((flux - train.flux) ** 2) < 0.1 * train.flux.var()


def test_it_starts_as_the_whitening_and_its_loss_falls():
    train, record = view("train", 300, "nuisance"), Record()
    flux, nuisance, _ = draw("test", 50)
    test = flux.reshape(100, -1), nuisance.reshape(100, -1)
    sizes = {"latent": 8, "covariance_degree": 1}
    whitened = fit_small(ConditionalWhitening, train, **sizes).encode(*test)
    still = fit_small(ConditionalFlow, train, epochs=1, learning_rate=0.0, **sizes)
    assert np.allclose(still.encode(*test), whitened, atol=1e-5)
    fit_small(ConditionalFlow, train, epochs=15, monitor=record, **sizes)
    assert record.values[-1]["loss"] < record.values[0]["loss"] - 0.1
