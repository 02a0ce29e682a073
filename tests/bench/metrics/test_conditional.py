"""Conditional leakage on made latents of which the answer is known."""

import numpy as np
import pytest

from starbench.metrics import METRICS, ProbeInputs, conditional_estimates, resample_pairs
from starbench.metrics.conditional import residuals
from starbench.metrics.probes import LEAST_PAIRS_OF_NETWORK, probe_network, r2, ridge_predict

CORRELATION = 0.8
N_TRAIN, N_TEST = 4000, 3000


def stars(rng, n_pairs=N_TRAIN + N_TEST):
    """Draw one abundance [n, 1] and a nuisance [n, 2, 1] that correlates with it, both normal."""
    a = rng.normal(size=(n_pairs, 1))
    own = np.sqrt(1 - CORRELATION**2) * rng.normal(size=(n_pairs, 2, 1))
    return a, CORRELATION * a[:, None] + own


def both(a):
    return np.repeat(a[:, None], 2, axis=1)


def conditional(z, u, a, n_train=N_TRAIN, **more):
    names = [f"u{i}" for i in range(u.shape[2])]
    inputs = ProbeInputs(z[:n_train].astype(np.float32), z[n_train:].astype(np.float32))
    return conditional_estimates(
        names, inputs, (u[:n_train], u[n_train:]), (a[:n_train], a[n_train:]), **more
    )


LATENTS = {
    "the composition": (lambda a, u: both(a), 0),
    "both": (lambda a, u: np.concatenate([both(a), u], axis=2), 1),
    "the nuisance": (lambda a, u: u, 1 - CORRELATION**2),
    "what the nuisance leaves of the composition": (
        lambda a, u: both(a) - CORRELATION * u,
        CORRELATION**2,
    ),
    "what the composition leaves of the nuisance": (lambda a, u: u - CORRELATION * both(a), 1),
}


@pytest.mark.parametrize("name", LATENTS)
def test_linear_latents_leak_what_algebra_says(rng, name):
    a, u = stars(rng)
    latent, expected = LATENTS[name]
    leak = conditional(latent(a, u), u, a)["conditional_leakage.ridge.u0"]
    assert leak.value == pytest.approx(expected, abs=0.03)
    assert leak.low <= leak.value <= leak.high
    assert leak.version == METRICS["conditional_leakage.ridge"].version


def test_noise_in_the_composition_is_no_leak(rng):
    a, u = stars(rng)
    noisy = both(a) + 0.5 * rng.normal(size=u.shape)
    assert abs(conditional(noisy, u, a)["conditional_leakage.ridge.u0"].value) < 0.01
    # Without the condition the same latent seems to leak c^2 / (1 + 0.5^2) of the nuisance.
    train, test = noisy[:N_TRAIN].astype(np.float32), noisy[N_TRAIN:].astype(np.float32)
    prediction = ridge_predict(ProbeInputs(train, test), u[:N_TRAIN])
    (plain,), _ = r2(u[N_TRAIN:], prediction, resample_pairs(N_TEST, 5))
    assert plain == pytest.approx(CORRELATION**2 / 1.25, abs=0.03)


def test_residuals_equal_those_of_least_squares_on_polynomials(rng):
    a = rng.normal(size=(900, 2)) * [0.1, 30] + [0, 5]
    u = np.stack(
        [a[:, :1] * a[:, 1:] + rng.normal(size=(900, 2)), rng.normal(size=(900, 2))], axis=2
    )
    found = residuals((u[:600], u[600:]), (a[:600], a[600:]))

    x, y = a.T
    features = np.stack([x**0, x, y, x * x, x * y, y * y, x**3, y**3], axis=1)
    weights = np.linalg.lstsq(features[:600], u[:600].mean(axis=1), rcond=None)[0]
    expected = u - (features @ weights)[:, None]
    for part, at in zip(found, (slice(600), slice(600, 900)), strict=True):
        error = (part - expected[at]).std(axis=(0, 1))
        assert (error < 0.1 * expected[at].std(axis=(0, 1))).all(), "ridge shrinks a little"


def test_the_network_finds_a_bent_leak_and_no_composition(rng):
    n_train, n_test = 1250, 1000
    a, u = stars(rng, n_train + n_test)
    other = rng.normal(size=u.shape)
    composition = both(a) + 0.3 * rng.normal(size=u.shape)
    bent = np.concatenate([composition, u - 2 * other**2, other], axis=2)
    for z, low, high in ((bent, 0.8, 1), (np.concatenate([composition, other], 2), -0.05, 0.02)):
        inputs = ProbeInputs(z[:n_train].astype("f4"), z[n_train:].astype("f4"))
        networks = [probe_network(inputs, y[:n_train]) for y in (u, both(a))]
        leaks = conditional(z, u, a, n_train, networks=networks)
        assert low < leaks["conditional_leakage.mlp.u0"].value < high
        assert leaks["conditional_leakage.ridge.u0"].value < 0.2


def test_a_factor_that_the_composition_determines_has_no_estimate(rng):
    a, u = stars(rng)
    u = np.concatenate([u, both(3 * a + 4000)], axis=2)
    leaks = conditional(both(a), u, a)
    assert leaks["conditional_leakage.ridge.u1"] is None
    assert leaks["conditional_leakage.ridge.u0"] is not None


def test_no_estimate_by_the_network_without_networks_or_from_latents_that_are_not_finite(rng):
    a, u = stars(rng)
    assert conditional(u, u, a)["conditional_leakage.mlp.u0"] is None
    u_broken = u.copy()
    u_broken[5, 0, 0] = np.nan
    assert set(conditional(u_broken, u, a).values()) == {None}


def test_a_constant_latent_leaks_nothing(rng):
    n = LEAST_PAIRS_OF_NETWORK
    a, u = stars(rng, 2 * n)
    flat = np.ones((2 * n, 2, 3), np.float32)
    inputs = ProbeInputs(flat[:n], flat[n:])
    networks = [probe_network(inputs, y[:n]) for y in (u, both(a))]
    for leak in conditional(flat, u, a, n, networks=networks).values():
        assert leak.value == pytest.approx(0, abs=0.02)


def test_many_abundances_and_few_stars(rng):
    a = rng.normal(size=(60, 40))
    u = rng.normal(size=(60, 2, 1))
    leak = conditional(both(a), u, a, 40)["conditional_leakage.ridge.u0"]
    assert np.isfinite(leak.value)
