"""Shuffled axes keep their distributions; the classifier sees what axes share."""

import pytest
import torch
from support.small_settings import Record, fit_small

from starbench.methods.factor_vae import FactorVae, Settings, TotalCorrelation, shuffled_axes
from starbench.methods.parts.adversary import Adversary
from starbench.methods.parts.objective import Batch, TrainingSet
from starbench.methods.parts.perceptron import mlp
from starbench.methods.parts.variational import Posterior


def pairs_of_axes(correlation, n, seed):
    """Return normal points [n, 2] of a correlation between their axes."""
    points = torch.randn(n, 2, generator=torch.Generator().manual_seed(seed))
    mixed = correlation * points[:, 0] + (1 - correlation**2) ** 0.5 * points[:, 1]
    return torch.stack([points[:, 0], mixed], 1)


def test_each_axis_is_shuffled_by_itself():
    points = pairs_of_axes(0.9, 2000, 0)
    shuffled = shuffled_axes(points, torch.Generator().manual_seed(1))
    assert torch.equal(shuffled.sort(0).values, points.sort(0).values)
    assert abs(torch.corrcoef(shuffled.T)[0, 1]) < 0.1


def test_the_log_odds_estimate_a_known_total_correlation():
    """That of two normal axes of correlation r is -log(1 - r^2) / 2."""
    torch.manual_seed(0)
    classifier = Adversary(mlp((2, 32, 32, 1), "silu"), 1e-2)
    penalty = TotalCorrelation(classifier, Settings(latent=2, correlation_weight=1.0))
    seen = []
    for step in range(200):
        points = pairs_of_axes(0.8, 512, step)
        train = TrainingSet(torch.zeros(512, 1), torch.zeros(512, 0), 512)
        posterior = Posterior(points, torch.full_like(points, -18.0))
        batch = Batch(train, torch.randperm(512), 1.0)
        seen.append(penalty(posterior, torch.zeros(()), batch)[1]["total_correlation"].item())
    expected = -0.5 * torch.log(torch.tensor(1 - 0.8**2)).item()
    assert sum(seen[-50:]) / 50 == pytest.approx(expected, abs=0.12)


def test_the_classifier_is_trained_and_saved_with_the_method():
    record = Record()
    fitted = fit_small(FactorVae, n_pairs=100, epochs=2, monitor=record)
    assert {"divergence", "total_correlation"} <= set(record.values[-1])
    assert any("classifier" in name for name in fitted.state())
