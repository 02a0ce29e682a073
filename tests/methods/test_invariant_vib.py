"""The mean divergence between posteriors, and that its penalty presses them together."""

import numpy as np
import pytest
import torch
from support.small_settings import fit_small
from support.spectra import draw
from torch.distributions import Normal, kl_divergence

from starbench.methods.invariant_vib import InvariantVib, mean_divergence
from starbench.methods.parts.variational import Posterior


def posteriors(n, d):
    generator = torch.Generator().manual_seed(0)
    mean, log_variance = torch.randn(2, n, d, generator=generator).double()
    return mean, log_variance


def test_mean_divergence_against_all_pairs():
    mean, log_variance = posteriors(9, 4)
    deviation = (0.5 * log_variance).exp()
    pairs = [
        kl_divergence(Normal(mean[i], deviation[i]), Normal(mean[j], deviation[j])).sum()
        for i in range(9)
        for j in range(9)
    ]
    expected = torch.stack(pairs).mean().item()
    assert mean_divergence(Posterior(mean, log_variance)).item() == pytest.approx(expected)


def test_mean_divergence_is_an_upper_bound_on_that_from_the_mixture():
    mean, log_variance = posteriors(6, 2)
    posterior = Normal(mean[:, None], (0.5 * log_variance).exp()[:, None])  # [i, 1, d]
    torch.manual_seed(0)
    drawn = posterior.sample((4000,))  # [s, i, 1, d]
    others = Normal(mean, (0.5 * log_variance).exp())
    own = posterior.log_prob(drawn).sum(-1)[..., 0]
    mixture = others.log_prob(drawn).sum(-1).logsumexp(-1) - np.log(6)
    bound = mean_divergence(Posterior(mean, log_variance)).item()
    assert bound > (own - mixture).mean().item() > 0


def test_the_penalty_pulls_the_posteriors_together():
    flux, nuisance, _ = draw("test", 200)
    arguments = flux.reshape(400, -1), nuisance.reshape(400, -1)
    free, bound = (
        fit_small(InvariantVib, epochs=8, invariance=weight).encode(*arguments).std()
        for weight in (0.0, 1.0)
    )
    assert bound < free
