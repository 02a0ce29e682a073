import numpy as np
import pytest
import torch
from support.spectra import draw, view
from torch.distributions import Normal, kl_divergence

from starbench.methods.base import Silent
from starbench.methods.beta_vae import BetaVae
from starbench.methods.conditional_vae import ConditionalVae
from starbench.methods.invariant_vib import InvariantVib, mean_divergence
from starbench.methods.parts.autoencoder import Batch
from starbench.methods.parts.variational import divergence_from_prior

SMALL = {"components": 24, "encoder_widths": (64,), "decoder_widths": (64,), "batch_size": 64}


def posteriors(n, d):
    generator = torch.Generator().manual_seed(0)
    mean, log_variance = torch.randn(2, n, d, generator=generator).double()
    return mean, log_variance


def fitted(method, **settings):
    instance = method(method.Hyperparameters(**SMALL, **settings), seed=0)
    train = view("train", 800, method.label_access)
    instance.fit(train, train, Silent())
    return instance


def encoded(instance):
    flux, nuisance, _ = draw("test", 200)
    u = None if instance.label_access == "none" else nuisance.reshape(400, -1)
    return instance.encode(flux.reshape(400, -1), u)


def test_divergence_from_the_prior_is_that_of_normal_distributions():
    mean, log_variance = posteriors(7, 3)
    posterior = Normal(mean, (0.5 * log_variance).exp())
    expected = kl_divergence(posterior, Normal(torch.zeros(()), torch.ones(()))).sum(1)
    assert torch.allclose(divergence_from_prior(mean, log_variance), expected)


def test_mean_divergence_against_all_pairs():
    mean, log_variance = posteriors(9, 4)
    deviation = (0.5 * log_variance).exp()
    pairs = [
        kl_divergence(Normal(mean[i], deviation[i]), Normal(mean[j], deviation[j])).sum()
        for i in range(9)
        for j in range(9)
    ]
    expected = torch.stack(pairs).mean().item()
    assert mean_divergence(mean, log_variance).item() == pytest.approx(expected)


def test_mean_divergence_bounds_that_from_the_mixture():
    mean, log_variance = posteriors(6, 2)
    posterior = Normal(mean[:, None], (0.5 * log_variance).exp()[:, None])  # [i, 1, d]
    torch.manual_seed(0)
    drawn = posterior.sample((4000,))  # [s, i, 1, d]
    others = Normal(mean, (0.5 * log_variance).exp())
    own = posterior.log_prob(drawn).sum(-1)[..., 0]
    mixture = others.log_prob(drawn).sum(-1).logsumexp(-1) - np.log(6)
    assert mean_divergence(mean, log_variance).item() > (own - mixture).mean().item() > 0


def test_the_latent_is_the_mean_and_draws_repeat_with_the_batch():
    instance = fitted(ConditionalVae, epochs=1)
    x, u = torch.randn(5, len(instance.representation)), torch.zeros(5, 2)
    mean, log_variance = instance._posterior(x, u)
    assert torch.equal(instance._encode(x, u), mean) and mean.shape == log_variance.shape
    draws = [
        torch.randn(9, generator=Batch(torch.tensor(rows), x, u, share).generator())
        for rows, share in (([3, 1, 4], 0.5), ([3, 9, 4], 0.9), ([1, 1, 4], 0.5))
    ]
    assert torch.equal(draws[0], draws[1]) and not torch.equal(draws[0], draws[2])


def test_a_heavier_prior_leaves_fewer_axes_in_use():
    used = []
    for beta in (0.1, 8.0):
        latent = encoded(fitted(BetaVae, epochs=12, beta=beta))
        used.append(int((latent.std(axis=0) > 0.1).sum()))
    assert used[1] < used[0]


def test_the_bound_presses_the_posteriors_together():
    spread = [
        encoded(fitted(InvariantVib, epochs=8, invariance=weight)).std() for weight in (0.0, 1.0)
    ]
    assert spread[1] < spread[0]
