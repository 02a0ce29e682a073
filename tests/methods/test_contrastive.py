"""InfoNCE by its formula, and twins found by it."""

import numpy as np
import pytest
import torch
from support.small_settings import fit_small
from support.spectra import draw, view

from starbench.methods.contrastive import Contrastive, info_nce
from starbench.methods.pca import PrincipalComponents
from starbench.metrics import twin_ranks


@pytest.mark.parametrize("temperature", [0.5, 2.0])
def test_info_nce_agrees_with_its_formula(temperature):
    latent = torch.randn(8, 3, generator=torch.Generator().manual_seed(0)).double()
    total = 0.0
    for i in range(8):
        weight = [
            0.0 if j == i else np.exp(-float((latent[i] - latent[j]).abs().sum()) / temperature)
            for j in range(8)
        ]
        total -= np.log(weight[(i + 4) % 8] / sum(weight))
    assert info_nce(latent, temperature).item() == pytest.approx(total / 8)


def nearest(method):
    flux, nuisance, _ = draw("test", 300)
    latent = method.encode(flux.reshape(600, -1), nuisance.reshape(600, -1))
    return (twin_ranks(latent.reshape(300, 2, -1)).rank == 1).mean()


def test_contrastive_learning_finds_twins():
    train = view("train", 1500, "pairs")
    assert nearest(fit_small(Contrastive, train, latent=10, epochs=20)) > 0.95
    assert nearest(fit_small(PrincipalComponents, train, latent=10)) < 0.8
