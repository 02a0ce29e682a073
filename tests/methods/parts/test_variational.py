"""Posteriors: their divergence, their draws, and the effect of the prior's weight."""

import torch
from support.small_settings import fit_small
from support.spectra import draw
from torch.distributions import Normal, kl_divergence

from starbench.methods.beta_vae import BetaVae
from starbench.methods.parts.objective import Batch, TrainingSet
from starbench.methods.parts.variational import (
    Posterior,
    VariationalNetworks,
    VariationalSettings,
)


def test_divergence_from_the_prior_is_that_of_normal_distributions():
    mean, log_variance = torch.randn(2, 7, 3, generator=torch.Generator().manual_seed(0)).double()
    normal = Normal(mean, (0.5 * log_variance).exp())
    expected = kl_divergence(normal, Normal(torch.zeros(()), torch.ones(()))).sum(1)
    assert torch.allclose(Posterior(mean, log_variance).divergence(), expected)


def test_the_latent_is_the_mean_of_the_posterior():
    networks = VariationalNetworks(VariationalSettings(encoder_widths=(8,)), 6, 2)
    x, u = torch.randn(5, 6), torch.zeros(5, 2)
    posterior = networks.posterior(x, u)
    assert torch.equal(networks.encode(x, u), posterior.mean)
    assert posterior.mean.shape == posterior.log_variance.shape == (5, 20)


def test_draws_repeat_with_the_rows_of_a_batch():
    posterior = Posterior(torch.zeros(3, 2), torch.zeros(3, 2))
    train = TrainingSet(torch.zeros(10, 1), torch.zeros(10, 0), 10)
    first, again, other = (
        posterior.draw(Batch(train, torch.tensor(rows), share).generator())
        for rows, share in (([3, 1, 4], 0.5), ([3, 9, 4], 0.9), ([1, 1, 4], 0.5))
    )
    assert torch.equal(first, again) and not torch.equal(first, other)


def test_a_heavier_prior_leaves_fewer_axes_in_use():
    flux = draw("test", 200)[0].reshape(400, -1)
    light, heavy = (
        (fit_small(BetaVae, epochs=12, beta=beta).encode(flux, None).std(axis=0) > 0.1).sum()
        for beta in (0.1, 8.0)
    )
    assert heavy < light
