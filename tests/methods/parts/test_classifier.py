"""Bins of the nuisance: their labels, and the cross-entropy of chance."""

import math

import numpy as np
import pytest
import torch
from support.small_settings import Record

from starbench.methods.base import View
from starbench.methods.fader import Fader, FaderSettings
from starbench.methods.parts.classifier import NuisanceBins


@pytest.mark.parametrize(("n_nuisance", "classes"), [(1, 5), (2, 25), (3, 125), (5, 5)])
def test_chance_is_the_entropy_of_the_bins(n_nuisance, classes):
    rng = np.random.default_rng(0)
    flux = rng.normal(1, 0.1, (4000, 12)).astype(np.float32)
    nuisance = rng.exponential(size=(4000, n_nuisance)).astype(np.float32)
    hyperparameters = FaderSettings(
        components=4, encoder_widths=(8,), decoder_widths=(8,), bins=5, epochs=1
    )
    record = Record()
    Fader(hyperparameters).fit(View(flux, nuisance), View(flux, nuisance), record)
    # Quantile bins are equally full, however skewed; five nuisances are read one by one.
    chance = record.values[0]["chance_cross_entropy"]
    assert chance == pytest.approx(math.log(classes), abs=0.05)
    assert chance <= math.log(classes) + 1e-6


def test_labels_of_a_hand_worked_case():
    u = torch.tensor([[-1.0, -1.0], [-1.0, 1.0], [1.0, -1.0], [1.0, 1.0]])
    joint, separate = NuisanceBins(2, joint=True), NuisanceBins(2, joint=False)
    for bins in (joint, separate):
        bins.fit(u)
    assert joint.labels(u)[:, 0].tolist() == [0, 1, 2, 3]
    assert separate.labels(u).tolist() == [[0, 0], [0, 1], [1, 0], [1, 1]]
    assert float(joint.chance) == pytest.approx(math.log(4))
    assert float(separate.chance) == pytest.approx(math.log(2))
