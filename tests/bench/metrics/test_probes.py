import numpy as np
import pytest
import torch

from starbench.metrics import METRICS, ProbeInputs, probe_estimates, resample_pairs
from starbench.metrics.probes import LEAST_PAIRS_OF_NETWORK, probe_network, r2, ridge_predict


def mlp_predict(inputs, target, seed=0):
    network = probe_network(inputs, target, seed=seed)
    return network.predict(inputs.whitened[1]).reshape(inputs.n_test_pairs, 2, -1)


def value(target, prediction):
    counts = resample_pairs(len(target), 5)
    return r2(target, prediction, counts)[0]


def nonlinear(rng, n_pairs):
    """Latents [n_pairs, 2, 20] and three targets bent into them, one straight, one not there."""
    z = rng.normal(size=(n_pairs, 2, 20)).astype(np.float32)
    targets = [
        np.cos(2 * z[..., 0]),
        z[..., 1] * z[..., 2],
        np.abs(z[..., 3]) - z[..., 4] ** 2,
        3 * z[..., 5] - z[..., 6] + 4500,
        rng.normal(size=(n_pairs, 2)),
    ]
    return z, np.stack(targets, axis=-1)


@pytest.fixture(scope="module")
def nonlinear_figures():
    rng = np.random.default_rng(3)
    train, train_target = nonlinear(rng, 10_000)
    test, test_target = nonlinear(rng, 4_000)
    names = ["cosine", "product", "bent", "straight", "absent"]
    inputs = ProbeInputs(train, test)
    return probe_estimates("nuisance_leakage", names, inputs, train_target, test_target).estimates


@pytest.mark.parametrize("name", ["cosine", "product", "bent"])
def test_network_finds_what_ridge_cannot_see(nonlinear_figures, name):
    assert nonlinear_figures[f"nuisance_leakage.mlp.{name}"].value > 0.95
    assert abs(nonlinear_figures[f"nuisance_leakage.ridge.{name}"].value) < 0.02


def test_a_sine_of_one_dimension_is_found(rng):
    z = rng.normal(size=(14_000, 2, 20)).astype(np.float32)
    target = np.sin(2 * z[..., :1])
    prediction = mlp_predict(ProbeInputs(z[:10_000], z[10_000:]), target[:10_000])
    assert value(target[10_000:], prediction)[0] > 0.95


def test_both_probes_find_linear_information_and_neither_finds_noise(nonlinear_figures):
    assert nonlinear_figures["nuisance_leakage.ridge.straight"].value > 0.999999
    assert nonlinear_figures["nuisance_leakage.mlp.straight"].value > 0.995
    for probe in ("ridge", "mlp"):
        absent = nonlinear_figures[f"nuisance_leakage.{probe}.absent"]
        assert -0.05 < absent.value < 0.005
        assert absent.low <= absent.value <= absent.high
        assert absent.version == METRICS[f"nuisance_leakage.{probe}"].version


def test_r2_by_hand_and_about_the_test_mean():
    target = np.array([[[1.0], [2.0]], [[3.0], [6.0]]])  # mean 3, sum of squares 14
    assert value(target, target)[0] == 1
    assert value(target, np.full_like(target, 3))[0] == 0
    assert value(target, target + 1)[0] == pytest.approx(1 - 4 / 14)
    assert value(target, np.full_like(target, 10))[0] == pytest.approx(1 - (14 + 4 * 49) / 14)


def test_resampled_r2_equals_that_of_the_drawn_pairs(rng):
    target = 1e6 + rng.normal(size=(40, 2, 3))
    prediction = target + 0.5 * rng.normal(size=target.shape)
    counts = resample_pairs(40, 60)
    _, resampled = r2(target, prediction, counts)
    for row, estimate in zip(counts, resampled, strict=True):
        y = np.repeat(target, row, axis=0).reshape(-1, 3)
        p = np.repeat(prediction, row, axis=0).reshape(-1, 3)
        expected = 1 - ((y - p) ** 2).sum(axis=0) / ((y - y.mean(axis=0)) ** 2).sum(axis=0)
        np.testing.assert_allclose(estimate, expected, rtol=1e-9)


def test_ridge_equals_normal_equations_at_the_penalty_of_least_gcv(rng):
    z = rng.normal(size=(60, 2, 4)).astype(np.float32) @ rng.normal(size=(4, 4)).astype(np.float32)
    target = z[..., :1] + 3 * rng.normal(size=(60, 2, 1))
    x = z.reshape(120, 4).astype(np.float64)
    x = (x - x.mean(axis=0)) / x.std(axis=0)
    y = target.reshape(120)
    candidates = []
    for penalty in np.logspace(-8, 1, 19):
        hat = x @ np.linalg.solve(x.T @ x + 120 * penalty * np.eye(4), x.T)
        fitted = y.mean() + hat @ (y - y.mean())
        gcv = ((y - fitted) ** 2).mean() / (1 - (1 + np.trace(hat)) / 120) ** 2
        candidates.append((gcv, fitted))
    prediction = ridge_predict(ProbeInputs(z, z), target).reshape(120)
    np.testing.assert_allclose(prediction, min(candidates, key=lambda c: c[0])[1], rtol=1e-8)


def test_ridge_with_more_dimensions_than_stars_does_not_diverge(rng):
    z = rng.normal(size=(80, 2, 120)).astype(np.float32)
    target = rng.normal(size=(80, 2, 1))
    prediction = ridge_predict(ProbeInputs(z[:40], z[40:]), target[:40])
    assert np.isfinite(prediction).all()
    assert value(target[40:], prediction)[0] > -1


@pytest.mark.parametrize("predict", [ridge_predict, mlp_predict])
def test_scale_offset_and_constant_dimensions_do_not_matter(rng, predict):
    z = rng.normal(size=(3_000, 2, 5)).astype(np.float32)
    target = z[..., :2] @ np.array([[1.0], [2.0]]) * 1e-6 + 4500
    moved = np.concatenate([z * 1e-4 + 7, np.full((3_000, 2, 1), 0.1)], axis=2).astype(np.float32)
    prediction = predict(ProbeInputs(moved[:2_000], moved[2_000:]), target[:2_000])
    assert value(target[2_000:], prediction)[0] > 0.99


def test_network_is_insensitive_to_a_shear_of_the_latent_space(rng):
    """A direction of a thousandth of the variance hides nothing."""
    z = rng.normal(size=(6_000, 2, 4))
    target = (z[..., :1] * z[..., 1:2]) * 2
    z[..., 0] = 30 * z[..., 2] + z[..., 0]
    z[..., 1] = 30 * z[..., 3] + z[..., 1]
    z = z.astype(np.float32)
    prediction = mlp_predict(ProbeInputs(z[:4_000], z[4_000:]), target[:4_000])
    assert value(target[4_000:], prediction)[0] > 0.95


def test_network_repeats_with_its_seed_and_leaves_torch_as_it_was(rng):
    z, target = nonlinear(rng, 300)
    torch.manual_seed(11)
    state, threads = torch.get_rng_state(), torch.get_num_threads()
    first = mlp_predict(ProbeInputs(z, z), target, seed=5)
    assert torch.equal(torch.get_rng_state(), state) and torch.get_num_threads() == threads
    np.testing.assert_array_equal(mlp_predict(ProbeInputs(z, z), target, seed=5), first)
    assert (mlp_predict(ProbeInputs(z, z), target, seed=6) != first).any()


def test_a_star_s_prediction_does_not_depend_on_the_others(rng):
    z, target = nonlinear(rng, 200)
    np.testing.assert_allclose(
        ridge_predict(ProbeInputs(z, z[5:6]), target),
        ridge_predict(ProbeInputs(z, z), target)[5:6],
        rtol=1e-9,
    )


@pytest.mark.parametrize("broken", [np.nan, np.inf])
def test_no_estimate_from_latents_that_are_not_finite(rng, broken):
    z, target = nonlinear(rng, 30)
    bad = z.copy()
    bad[3, 1, 2] = broken
    names = list("abcde")
    for train, test in ((bad, z), (z, bad)):
        figures = probe_estimates(
            "nuisance_leakage", names, ProbeInputs(train, test), target, target
        ).estimates
        assert len(figures) == 10 and set(figures.values()) == {None}
        for predict in (ridge_predict, mlp_predict):
            with pytest.raises(ValueError, match="not finite"):
                predict(ProbeInputs(train, test), target)


def test_no_estimate_if_the_network_s_prediction_overflows(rng):
    z, target = nonlinear(rng, LEAST_PAIRS_OF_NETWORK)
    far = z.copy()
    far[0] = 3e38
    figures = probe_estimates(
        "nuisance_leakage", list("abcde"), ProbeInputs(z * 1e-10, far), target, target
    ).estimates
    assert all(figures[f"nuisance_leakage.mlp.{name}"] is None for name in "abcde")
    assert all(figures[f"nuisance_leakage.ridge.{name}"].value < -1e9 for name in "abcde")


def test_a_constant_latent_leaks_nothing(rng):
    z, target = nonlinear(rng, 500)
    flat = np.full_like(z, 0.1)
    figures = probe_estimates(
        "nuisance_leakage", list("abcde"), ProbeInputs(flat, flat), target, target
    ).estimates
    for figure in figures.values():
        assert figure.value == pytest.approx(0, abs=1e-9)


def test_the_interval_of_a_constant_latent_holds_its_value(rng):
    # The train mean is the test mean, as in a designed grid: R^2 is 0, and below 0 in resamples.
    target = rng.normal(size=(400, 2, 2))
    flat = np.ones((400, 2, 3), np.float32)
    estimates = probe_estimates(
        "nuisance_leakage", ["Teff", "logg"], ProbeInputs(flat, flat), target, target
    ).estimates
    for estimate in estimates.values():
        assert estimate.low < estimate.value <= estimate.high
        assert estimate.value == pytest.approx(0, abs=1e-12)


def test_no_estimate_for_a_target_that_does_not_vary(rng):
    z, target = nonlinear(rng, LEAST_PAIRS_OF_NETWORK)
    target[..., 1] = 2.5
    figures = probe_estimates(
        "nuisance_leakage", list("abcde"), ProbeInputs(z, z), target, target
    ).estimates
    assert [name for name, figure in figures.items() if figure is None] == [
        "nuisance_leakage.ridge.b",
        "nuisance_leakage.mlp.b",
    ]


def test_few_stars_have_no_estimate_by_the_network(rng):
    z, target = nonlinear(rng, LEAST_PAIRS_OF_NETWORK)
    enough, few = (
        probe_estimates(
            "nuisance_leakage", list("abcde"), ProbeInputs(z[:n], z), target[:n], target
        ).estimates
        for n in (LEAST_PAIRS_OF_NETWORK, LEAST_PAIRS_OF_NETWORK - 1)
    )
    assert set(enough) == set(few) and None not in enough.values()
    assert {name for name, figure in few.items() if figure is None} == {
        f"nuisance_leakage.mlp.{name}" for name in "abcde"
    }


def test_the_estimates_of_few_stars_do_not_follow_the_scale_of_the_latents(rng):
    """Rounding once gave leaks of 0.78, 0.65 and 0.08 for one file and two scaled copies."""
    z, target = nonlinear(rng, 60)
    values = []
    for scale in (1, 1.1, 0.7, 3):
        scaled = (scale * z.astype(np.float64)).astype(np.float32)
        figures = probe_estimates(
            "nuisance_leakage", list("abcde"), ProbeInputs(scaled[:40], scaled[40:]),
            target[:40], target[40:],
        ).estimates  # fmt: skip
        values.append([figure.value for figure in figures.values() if figure is not None])
    np.testing.assert_allclose(values, np.tile(values[0], (4, 1)), rtol=1e-4, atol=1e-4)


def test_composition_is_given_once_a_pair(rng):
    composition = rng.normal(size=(500, 2))
    z = np.repeat(composition[:, None], 2, axis=1).astype(np.float32)
    names = ["Fe/H", "Mg/Fe"]
    figures = probe_estimates(
        "composition_recovery", names, ProbeInputs(z, z), composition, composition
    ).estimates
    assert set(figures) == {
        f"composition_recovery.{probe}.{name}" for probe in ("ridge", "mlp") for name in names
    }
    assert figures["composition_recovery.ridge.Mg/Fe"].value > 0.999


def test_shapes_and_targets_are_checked(rng):
    z, target = nonlinear(rng, 20)
    with pytest.raises(ValueError, match=r"\[20, 2\] or \[20, 2, 2\]"):
        probe_estimates("nuisance_leakage", ["a", "b"], ProbeInputs(z, z), target, target)
    with pytest.raises(ValueError, match="targets must be finite"):
        probe_estimates(
            "nuisance_leakage", list("abcde"), ProbeInputs(z, z), target * np.nan, target
        )
    with pytest.raises(ValueError, match=r"\[n_pairs, 2, d\]"):
        ProbeInputs(z[:, 0], z)


def test_reused_inputs_give_the_estimates_of_new_ones(rng):
    z, target = nonlinear(rng, LEAST_PAIRS_OF_NETWORK + 50)
    shared, names = ProbeInputs(z[:-50], z[-50:]), list("abcde")
    split = target[:-50], target[-50:]
    first = probe_estimates("nuisance_leakage", names, shared, *split).estimates
    assert probe_estimates("nuisance_leakage", names, shared, *split).estimates == first
    assert (
        probe_estimates("nuisance_leakage", names, ProbeInputs(z[:-50], z[-50:]), *split).estimates
        == first
    )


def test_train_and_test_must_have_the_same_dimensions(rng):
    z, _ = nonlinear(rng, 20)
    with pytest.raises(ValueError, match="as in train, 20, not 19"):
        ProbeInputs(z, z[..., :19])
