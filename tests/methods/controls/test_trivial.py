"""Controls score what they are known to score."""

import numpy as np
import pytest
from support.spectra import draw, view

from starbench.methods.base import OracleControl, SettingError, Silent, View
from starbench.methods.registry import get_method
from starbench.metrics import twin_ranks

N = 500


def ranks(name):
    method = get_method(name)()
    method.fit(view("train", 50, method.label_access), None, Silent())
    flux, nuisance, composition = draw("test", N)
    # Shuffled, as the harness shows them.
    order = np.random.default_rng(2).permutation(2 * N)
    arguments = [flux.reshape(2 * N, -1)[order], nuisance.reshape(2 * N, -1)[order]]
    if isinstance(method, OracleControl):
        encoded = method.encode_stars(*arguments, np.repeat(composition, 2, axis=0)[order])
    else:
        encoded = method.encode(*arguments)
    latent = np.empty_like(encoded)
    latent[order] = encoded
    return twin_ranks(latent.reshape(N, 2, -1)).rank


def test_the_composition_finds_every_twin():
    assert (ranks("composition") == 1).all()


def test_a_constant_latent_ranks_every_twin_last():
    assert (ranks("constant-latent") == 2 * N - 1).all()


@pytest.mark.parametrize("name", ["random-latent", "nuisance-latent", "twin-by-order"])
def test_uninformative_latents_find_twins_by_chance(name):
    rank = ranks(name)
    # Uniform ranks, within three standard errors (of pairs, not stars).
    assert (rank - 1).mean() / (2 * N - 2) == pytest.approx(0.5, abs=3 * (12 * N) ** -0.5)
    assert (rank == 1).mean() < 0.01


def test_raw_flux_finds_few_twins_but_more_than_chance():
    rank = ranks("raw-flux")
    assert (rank == 1).mean() < 0.2
    assert np.median(rank) < 0.7 * N  # chance would be N


def test_random_latents_depend_on_the_seed_and_the_spectrum():
    flux = draw("test", 3)[0].reshape(6, -1)
    method = get_method("random-latent")
    first, again, other = (method(seed=seed).encode(flux, None) for seed in (0, 0, 1))
    assert np.array_equal(first, again)
    assert np.abs(first - other).min() > 0


def test_the_composition_control_needs_the_composition():
    flux = np.ones((4, 3), np.float32)
    with pytest.raises(SettingError, match="composition needs the composition, which"):
        get_method("composition")().fit(View(flux), View(flux), Silent())


def test_an_oracle_control_refuses_spectra_of_unknown_composition():
    method = get_method("composition")()
    with pytest.raises(TypeError, match="composition encodes stars of known composition"):
        method.encode(np.ones((4, 3), np.float32), None)
