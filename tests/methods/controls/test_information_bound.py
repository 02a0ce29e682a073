"""The bound holds for fits to noisy spectra, the matched distance is a likelihood ratio."""

from functools import cache

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.stats import multivariate_normal

from starbench.methods.base import SettingError, Silent, View
from starbench.methods.controls.generator import generator
from starbench.methods.controls.information_bound import (
    InformationBound,
    Settings,
    fisher_information,
    marginal,
)
from starbench.methods.controls.matched_ranks import matched_ranks
from starbench.tasks import streams
from starbench.tasks.apogee_giants import population

N_PAIRS = 150


@cache
def stars() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return noiseless flux, nuisance and composition of N_PAIRS pairs, pair by pair."""
    uniform = streams.uniforms("tests/bound", 0, N_PAIRS, population.UNIFORMS_PER_PAIR)
    nuisance, composition = population.draw_pairs(uniform)
    nuisance, composition = nuisance.reshape(-1, 2), np.repeat(composition, 2, axis=0)
    flux = generator().spectra(np.concatenate([nuisance, composition], axis=1))
    return flux, nuisance.astype(np.float32), composition.astype(np.float32)


def view(noise: float | None) -> View:
    flux, nuisance, composition = stars()
    if noise:
        draws = np.random.default_rng(1).standard_normal(flux.shape, dtype=np.float32)
        flux = flux + np.float32(noise) * draws
    return View(flux, nuisance, None, composition, noise)


def fitted(shown: View, **settings) -> InformationBound:
    method = InformationBound(Settings(**settings))
    method.fit(shown, shown, Silent())
    return method


def ranks(method: InformationBound, shown: View) -> np.ndarray | None:
    latent = method.encode(shown.flux, shown.nuisance, shown.composition)
    own = method.rank_twins(
        latent.reshape(N_PAIRS, 2, -1),
        shown.nuisance.reshape(N_PAIRS, 2, -1),
        shown.composition[::2],
    )
    return None if own is None else own[0]


def fit_compositions(observed: np.ndarray, start: np.ndarray, noise: float) -> np.ndarray:
    """Fit the composition of labels [n, 19] to coordinates [n, k], by Levenberg and Marquardt."""
    along = np.eye(19)[2:]  # the nuisance is known
    labels, damping = start.copy(), np.full(len(start), 1e-3)
    moving = np.arange(len(start))
    for _ in range(60):
        at, slopes = generator().tangents(labels[moving], along)
        residual, information = observed[moving] - at, fisher_information(slopes, noise)
        score = np.einsum("nki,nk->ni", slopes, residual) / noise**2
        diagonal = np.diagonal(information, axis1=1, axis2=2)
        damped = information + (damping[moving, None] * diagonal)[:, None] * np.eye(17)
        step = np.linalg.solve(damped, score[..., None])[..., 0]
        trial = labels[moving]
        trial[:, 2:] += step
        left = observed[moving] - generator().coordinates(trial)
        better = (left**2).sum(axis=1) <= (residual**2).sum(axis=1)
        labels[moving[better]] = trial[better]
        damping[moving] *= np.where(better, 0.1, 10)
        # what the next step would still gain in chi^2, in units of which an error counts 1
        gain = np.einsum("ni,ni->n", step, score)
        moving = moving[~better | (gain > 0.01)]
        if len(moving) == 0:
            return labels
    raise AssertionError(f"{len(moving)} of {len(labels)} fits have not converged")


def test_least_squares_fits_scatter_as_the_bound_says():
    n_stars, n_noises, noise = 200, 8, 1 / 100
    _, nuisance, composition = stars()
    truth = np.concatenate([nuisance, composition], axis=1)[:n_stars].astype(float)
    coordinates, slopes = generator().tangents(truth, np.eye(19)[2:])
    bound = np.linalg.inv(fisher_information(slopes, noise))
    sigma = np.sqrt(np.diagonal(bound, axis1=1, axis2=2))
    truth, sigma, coordinates = (
        np.repeat(array, n_noises, axis=0) for array in (truth, sigma, coordinates)
    )
    # The coordinates keep distances, so white noise of the pixels is white there.
    rng = np.random.default_rng(2)
    observed = coordinates + noise * rng.standard_normal(coordinates.shape)
    estimate = fit_compositions(observed, truth, noise)

    constrained = sigma < 0.1  # dex; beyond, spectra are not linear over an error
    assert (constrained.mean(axis=0) > 0.5).sum() >= 15
    deviation = (estimate - truth)[:, 2:] / sigma
    for element, name in enumerate(population.COMPOSITION_NAMES):
        these = deviation[constrained[:, element], element]
        if len(these) >= 800:  # the ratio's own scatter is 5 % or less
            assert 0.9 < these.var() < 1.2, f"{name}: {these.var():.3f} of {len(these)} fits"


def test_coordinates_keep_distances_and_tangents_are_differences():
    flux, nuisance, composition = stars()
    labels = np.concatenate([nuisance, composition], axis=1)[:6].astype(float)
    step = np.zeros(19)
    step[7] = 1e-4
    coordinates, tangents = generator().tangents(labels, np.eye(19)[[7]])
    assert_allclose(
        np.linalg.norm(coordinates[0] - coordinates[1:], axis=1),
        np.linalg.norm(flux[0].astype(float) - flux[1:6], axis=1), rtol=1e-4,
    )  # fmt: skip
    assert_allclose(generator().project(flux[:6]), coordinates, atol=1e-4)
    difference = generator().coordinates(labels + step) - generator().coordinates(labels - step)
    assert_allclose(tangents[..., 0], difference / 2e-4, atol=1e-4 * np.abs(tangents).max())


def test_estimates_are_as_sure_as_they_say():
    shown = view(1 / 50)
    method = fitted(shown)
    latent = method.encode(shown.flux, shown.nuisance, shown.composition)
    information, _ = method._information(shown.nuisance, shown.composition)
    error = np.linalg.solve(method._axes, (latent - shown.composition).T.astype(float)).T
    square = np.einsum("ni,nij,nj->n", error, information + np.eye(17), error)
    assert 0.93 < square.mean() / 17 < 1.07  # the mean over 300 stars scatters by 2 %


def test_the_ceiling_falls_with_noise():
    shares = [(ranks(fitted(shown), shown) == 1).mean() for shown in map(view, (0.01, 0.04, 0.16))]
    assert shares[0] >= 0.99
    assert shares[0] - 0.02 > shares[1] > shares[2] + 0.1


def test_without_noise_the_latent_is_the_truth():
    shown = view(None)
    method = fitted(shown)
    assert np.array_equal(
        method.encode(shown.flux, shown.nuisance, shown.composition), shown.composition
    )
    assert ranks(method, shown) is None  # equal latents have the L1 distance 0 and rank first


def test_an_unknown_nuisance_never_helps():
    shown = view(0.02)
    known, unknown = fitted(shown), fitted(shown, nuisance_known=False)
    unknown._axes = known._axes
    some = shown.nuisance[:50], shown.composition[:50]
    less, more = (np.linalg.inv(method._information(*some)[0]) for method in (known, unknown))
    growth = np.linalg.eigvalsh(more - less)
    assert growth.min() > -1e-6 * np.abs(more).max()
    assert growth.max(axis=1).min() > 0  # each star loses something
    assert ranks(known, shown).mean() <= ranks(unknown, shown).mean()


def test_what_is_left_when_a_second_parameter_is_fitted():
    # F = [[2, 1], [1, 4]] has the inverse [[4, -1], [-1, 2]] / 7, so 7 / 4 are left of 2
    information, score = marginal(np.array([[[2.0, 1.0], [1.0, 4.0]]]), np.array([[3.0, 4.0]]), 1)
    assert_allclose(information, [[[7 / 4]]])
    assert_allclose(score, [[2.0]])  # 3 - 4 / 4


def test_ranks_of_one_element_worked_by_hand():
    # Information 1, so C = 1, V = 1/2, m = x / 2 and, up to a constant,
    # D = (x_j - x_q / 2)^2 / 1.5 - x_j^2 / 2. Pairs x = (2, 2) and (1, 3). From 2: to the twin
    # -1.33, to 1 -0.5, to 3 -1.83, as a star so rare is a likelier match. From 1: to the twin
    # -0.33, to 2 -0.5 twice. From 3: to the twin -0.33, to 2 -1.83 twice.
    m = np.array([[1.0], [1.0], [0.5], [1.5]])
    rank, tied = matched_ranks(m, np.ones((4, 1, 1)))
    assert rank.tolist() == [[2, 2], [3, 3]]
    assert tied.tolist() == [[0, 0], [0, 0]]


def draw_measurements(n: int, d: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return x, information and posterior mean of pairs from N(0, I), some hardly measured."""
    rng = np.random.default_rng(d)
    y = np.repeat(rng.standard_normal((n // 2, d)), 2, axis=0)
    factors = rng.standard_normal((n, d, d)) * 10 ** rng.uniform(-0.5, 0.8, (n, 1, 1))
    information = factors.transpose(0, 2, 1) @ factors + 0.01 * np.eye(d)
    error = np.linalg.inv(information)
    x = y + np.einsum("nij,nj->ni", np.linalg.cholesky(error), rng.standard_normal((n, d)))
    mean = np.linalg.solve(information + np.eye(d), information @ x[..., None])[..., 0]
    return x, information, mean


@pytest.mark.parametrize(("n", "d"), [(300, 4), (60, 17)])
def test_ranks_are_those_of_the_likelihood_ratio(n, d):
    x, information, mean = draw_measurements(n, d)
    error, unit = np.linalg.inv(information), np.eye(d)
    joint = np.empty((n, n))
    for q in range(n):
        for j in range(n):
            both = np.block([[unit + error[q], unit], [unit, unit + error[j]]])
            _, logdet = np.linalg.slogdet(both)
            pair = np.concatenate([x[q], x[j]])
            joint[q, j] = -0.5 * (pair @ np.linalg.solve(both, pair) + logdet)
    alone = np.array(
        [multivariate_normal.logpdf(x[i], np.zeros(d), unit + error[i]) for i in range(n)]
    )
    ratio = joint - alone[:, None] - alone
    others = ~np.eye(n, dtype=bool)
    expected = []
    for q in range(n):
        strangers = others[q].copy()
        strangers[q ^ 1] = False
        expected.append(1 + (ratio[q, strangers] > ratio[q, q ^ 1]).sum())
    rank, tied = matched_ranks(mean, information)
    assert rank.ravel().tolist() == expected
    assert not tied.any()
    assert 1 < rank.mean() < n / 4  # hard enough to tell


def test_a_stranger_equal_to_the_twin_is_tied_with_it():
    _, information, mean = draw_measurements(40, 5)
    mean[9], information[9] = mean[1], information[1]
    rank, tied = matched_ranks(mean, information)
    assert tied[0, 0] == 1
    before = matched_ranks(*draw_measurements(40, 5)[:0:-1])[0]
    assert rank[0, 0] >= before[0, 0]


def test_what_is_not_finite_ranks_last():
    _, information, mean = draw_measurements(40, 5)
    mean[4, 2] = np.nan
    rank, _ = matched_ranks(mean, information)
    assert rank[2].tolist() == [39, 39]
    clean = matched_ranks(*draw_measurements(40, 5)[:0:-1])[0]
    others = np.arange(20) != 2
    assert (rank[others] <= clean[others]).all()


def test_data_it_cannot_judge_are_refused():
    flux, nuisance, composition = stars()
    for shown, complaint in (
        (View(flux, nuisance), "does not hold|do not hold"),
        (View(flux[:, :50], nuisance, None, composition, 0.01), "other pixels or labels"),
        (View(flux, nuisance, None, composition, 0.01), "0.00 times their noise"),
        (View(flux, nuisance + 3000, None, composition, 0.01), "outside the emulator's range"),
    ):
        with pytest.raises(SettingError, match=complaint):
            fitted(shown)
