"""Explained twin distance on made latents of which the answer is known."""

import numpy as np
import pytest

from starbench.metrics import METRICS, resample_pairs, twin_distance_estimates
from starbench.metrics.twin_distance import LEAST_PAIRS, symmetric_features, twin_distance


def explained(z, u, n_resamples=50):
    counts = resample_pairs(len(u), n_resamples)
    return twin_distance_estimates(np.asarray(z, np.float32), u, counts=counts)[
        "explained_twin_distance"
    ]


@pytest.fixture
def u(rng):
    return rng.uniform([4000, 1.5], [5000, 3.0], (2000, 2, 2))


def test_distances_equal_those_of_a_loop(rng):
    z = rng.normal(size=(2100, 2, 3)).astype(np.float32)
    expected = [sum(abs(float(p) - float(q)) for p, q in zip(*pair, strict=True)) for pair in z]
    np.testing.assert_allclose(twin_distance(z), expected, rtol=1e-12)


def test_features_do_not_depend_on_the_order_of_the_stars(rng):
    u = rng.normal(size=(50, 2, 3))
    np.testing.assert_allclose(symmetric_features(u), symmetric_features(u[:, ::-1]), atol=1e-12)


@pytest.mark.parametrize("n_latent", [1, 20])
def test_a_linear_leak_is_explained_whatever_the_composition(rng, u, n_latent):
    leak = (u / [500, 0.75]) @ rng.normal(size=(2, n_latent))
    composition = 5 * rng.normal(size=(len(u), 1, n_latent))
    assert explained(leak + composition, u).value > 0.98


def test_noise_is_not_explained(rng, u):
    found = explained(rng.normal(size=(len(u), 2, 20)), u)
    assert abs(found.value) < 0.02
    assert found.low <= found.value <= found.high
    assert found.version == METRICS["explained_twin_distance"].version


def test_a_leak_in_noise_is_explained_by_its_share_of_the_variance(rng, u):
    leak = 3 * u[..., :1] / 500
    noise = rng.normal(size=(len(u), 2, 4))
    of_leak, of_noise = twin_distance(leak), twin_distance(noise)
    expected = of_leak.var() / (of_leak.var() + of_noise.var())
    assert 0.3 < expected < 0.9
    assert explained(np.concatenate([leak, noise], axis=2), u).value == pytest.approx(
        expected, abs=0.03
    )


def test_a_leak_that_ridge_reads_from_the_latent_may_be_harmless(rng, u):
    """A tenth of the noise: averaged over 20 dimensions it leaks, but sets no distance."""
    z = rng.normal(size=(len(u), 2, 20)) + 0.1 * u[..., :1] / 290
    assert explained(z, u).value < 0.02


def test_the_estimate_does_not_depend_on_the_scale_of_latents_or_labels(rng, u):
    z = u @ rng.normal(size=(2, 3)) / 300 + rng.normal(size=(len(u), 2, 3))
    expected = explained(z, u).value
    assert explained(1e-6 * z, 1e3 * u - 7).value == pytest.approx(expected, abs=1e-5)


def test_no_estimate_where_there_is_none(rng, u):
    z = rng.normal(size=(len(u), 2, 3))
    assert explained(np.repeat(z[:, :1], 2, axis=1), u) is None  # perfect: all distances are 0
    assert explained(z[: LEAST_PAIRS - 1], u[: LEAST_PAIRS - 1]) is None
    for broken in (np.nan, np.inf):
        z[3, 0, 1] = broken
        assert explained(z, u) is None
