"""Controls score what they are known to score, and no method exceeds the truth."""

import numpy as np
import pytest
from support.spectra import draw, view

from starbench.methods.base import SettingError, Silent, View
from starbench.methods.registry import get_method
from starbench.metrics import twin_ranks

N = 500


def ranks(name, **arguments):
    method = get_method(name)(**arguments)
    method.fit(view("train", 50, method.label_access), None, Silent())
    flux, nuisance, composition = draw("test", N)
    # Shuffled, as the harness shows them.
    order = np.random.default_rng(2).permutation(2 * N)
    shown = [flux.reshape(2 * N, -1)[order], nuisance.reshape(2 * N, -1)[order]]
    if method.encodes_composition:
        shown.append(np.repeat(composition, 2, axis=0)[order])
    latent = np.empty((2 * N, method.encode(*shown).shape[1]), np.float32)
    latent[order] = method.encode(*shown)
    return twin_ranks(latent.reshape(N, 2, -1)).rank


def test_the_truth_finds_every_twin():
    assert (ranks("composition") == 1).all()


def test_a_constant_finds_none():
    assert (ranks("constant-latent") == 2 * N - 1).all()


@pytest.mark.parametrize("name", ["random-latent", "nuisance-latent", "twin-by-order"])
def test_chance(name):
    found = ranks(name)
    # Uniform ranks: three standard errors, of pairs rather than of stars.
    assert (found - 1).mean() / (2 * N - 2) == pytest.approx(0.5, abs=3 * (12 * N) ** -0.5)
    assert (found == 1).mean() < 0.01


def test_spectra_alone_find_some_twins_but_few():
    found = ranks("raw-flux")
    assert (found == 1).mean() < 0.2
    assert np.median(found) < 0.7 * N  # chance would be N


def test_random_latents_are_those_of_the_seed_and_the_spectrum():
    flux = draw("test", 3)[0].reshape(6, -1)
    method = get_method("random-latent")
    first, again, other = (method(seed=seed).encode(flux, None) for seed in (0, 0, 1))
    assert np.array_equal(first, again)
    assert np.abs(first - other).min() > 0


def test_the_truth_needs_data_that_hold_it():
    flux = np.ones((4, 3), np.float32)
    with pytest.raises(SettingError, match="composition needs the composition, which"):
        get_method("composition")().fit(View(flux), View(flux), Silent())
