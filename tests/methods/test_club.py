"""The bound of CLUB is above a known mutual information, and its penalty disentangles."""

import math

import pytest
import torch
from support.small_settings import fit_small, swap_ratio

from starbench.methods.club import Club, Prediction
from starbench.methods.conditional_autoencoder import ConditionalAutoencoder
from starbench.methods.parts.adversary import Adversary
from starbench.methods.parts.perceptron import mlp


def correlated(r, n, seed):
    """Return a latent and a nuisance [n, 1] of mutual information -log(1 - r^2) / 2."""
    latent, rest = torch.randn(2, n, 1, generator=torch.Generator().manual_seed(seed))
    return latent, r * latent + (1 - r**2) ** 0.5 * rest


def test_the_mean_over_all_pairs_is_that_by_brute_force():
    torch.manual_seed(0)
    mean, log_variance, nuisance = torch.randn(3, 6, 2).double()
    prediction = Prediction(mean, log_variance)
    log_q = -0.5 * (
        (nuisance[None] - mean[:, None]).square() / log_variance.exp()[:, None]
        + log_variance[:, None]
    ).sum(2)
    expected = log_q.diagonal().mean() - log_q.mean()
    assert prediction.information(nuisance).item() == pytest.approx(expected.item())
    assert prediction.loss(nuisance).item() == pytest.approx(-log_q.diagonal().mean().item())


@pytest.mark.parametrize("r", [0.0, 0.5, 0.8])
def test_it_bounds_a_known_mutual_information(r):
    """With the true conditional distribution the bound is r^2 / (1 - r^2)."""
    known = -0.5 * math.log(1 - r**2)
    latent, nuisance = correlated(r, 50_000, 0)
    truth = Prediction(r * latent, torch.full_like(latent, math.log(1 - r**2)))
    exact = truth.information(nuisance).item()
    assert exact == pytest.approx(r**2 / (1 - r**2), abs=0.03)
    assert exact >= known - 0.01

    torch.manual_seed(0)
    predictor = Adversary(mlp((1, 32, 2), "silu"), 5e-3)
    for step in range(150):
        z, u = correlated(r, 512, 1 + step)
        predictor.step(Prediction.of(predictor(z)).loss(u))
    with torch.no_grad():
        learned = Prediction.of(predictor(latent)).information(nuisance).item()
    assert known - 0.02 <= learned <= exact + 0.3


def test_the_penalty_disentangles():
    settings = {"epochs": 10, "n_pairs": 400}
    assert swap_ratio(fit_small(Club, information_weight=0.03, **settings)) < 0.8 * swap_ratio(
        fit_small(ConditionalAutoencoder, **settings)
    )
