"""The prior carries the nuisance; latents are in its units, with exact slopes."""

import pytest
import torch

from starbench.methods.ivae import IdentifiableNetworks
from starbench.methods.parts.variational import VariationalSettings


@pytest.fixture
def networks():
    torch.manual_seed(0)
    settings = VariationalSettings(latent=3, encoder_widths=(8,), decoder_widths=(8,))
    return IdentifiableNetworks(settings, 5, 2)


def test_the_decoder_sees_the_nuisance_through_the_prior_alone(networks):
    z, u = torch.randn(4, 3), torch.randn(4, 2)
    mean, log_scale = networks.prior(u).chunk(2, dim=1)
    assert torch.allclose(networks.decode(z, u), networks.decoder(mean + log_scale.exp() * z))
    for layer in networks.prior:
        if isinstance(layer, torch.nn.Linear):
            torch.nn.init.zeros_(layer.weight)
    assert torch.equal(networks.decode(z, u), networks.decode(z, 2 * u))


def test_slopes_are_by_the_standardised_latent(networks):
    z, u = torch.randn(4, 3), torch.randn(4, 2)
    value, slopes = networks.decode_with_slopes(z, u)
    exact = torch.func.vmap(torch.func.jacrev(
        lambda z, u: networks.decode(z[None], u[None])[0]
    ))(z, u)  # fmt: skip
    assert torch.allclose(value, networks.decode(z, u), atol=1e-6)
    assert torch.allclose(slopes, exact.mT, atol=1e-5)


def test_the_divergence_is_that_from_the_prior_at_the_nuisance(networks):
    """KL(N(a, b^2) || N(m, s^2)) of y is KL(N(z, c^2) || N(0, 1)) of z = (y - m) / s."""
    x, u = torch.randn(4, 5), torch.randn(4, 2)
    posterior = networks.posterior(x, u)
    mean, log_scale = networks.prior(u).chunk(2, dim=1)
    normal = torch.distributions.Normal
    own = normal(mean + log_scale.exp() * posterior.mean,
                 (log_scale + 0.5 * posterior.log_variance).exp())  # fmt: skip
    expected = torch.distributions.kl_divergence(own, normal(mean, log_scale.exp())).sum(1)
    assert torch.allclose(posterior.divergence(), expected, atol=1e-5)
