"""The regularisers of VICReg by hand, and that twins become similar without a collapse."""

import numpy as np
import pytest
import torch
from support.small_settings import fit_small
from support.spectra import draw

from starbench.methods.vicreg import VicReg, regularisers


def test_the_regularisers_of_a_hand_worked_case():
    """Variances 0.25 and 4 with covariance 0.6: one axis lacks half a deviation."""
    root = torch.linalg.cholesky(torch.tensor([[0.25, 0.6], [0.6, 4.0]], dtype=torch.float64))
    deviates = torch.randn(500, 2, dtype=torch.float64)
    deviates = deviates - deviates.mean(0)
    whitened = deviates @ torch.linalg.inv(torch.linalg.cholesky(torch.cov(deviates.T))).T
    lack, shared = regularisers(whitened @ root.T)
    assert lack.item() == pytest.approx(0.5 * (1 - (0.25 + 1e-4) ** 0.5))
    assert shared.item() == pytest.approx(0.6**2)


def test_twins_become_similar_and_the_axes_keep_their_variance():
    fitted = fit_small(VicReg, n_pairs=400, latent=4, epochs=15, matching=False)
    flux, nuisance, _ = draw("test", 100)
    latent = fitted.encode(flux.reshape(200, -1), nuisance.reshape(200, -1)).reshape(100, 2, 4)
    assert latent.std((0, 1)).min() > 0.5
    twins, strangers = (np.abs(latent[:, 0] - np.roll(latent[:, 1], k, 0)).mean() for k in (0, 1))
    assert twins < 0.5 * strangers
