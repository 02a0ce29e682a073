"""The bound holds for fits to noisy spectra, and falls with the noise."""

from collections.abc import Callable
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from numpy.testing import assert_allclose
from support.emulated_stars import N_PAIRS, stars

from benchmarks.bound import fitted_parameters
from starbench.evaluation.views import view_split
from starbench.methods.base import SettingError, Silent, View
from starbench.methods.controls.information_bound import (
    InformationBound,
    Settings,
    fisher_information,
    marginal,
)
from starbench.tasks.apogee_giants import population, tracks
from starbench.tasks.apogee_giants.generator import generator
from starbench.tasks.base import Task
from starbench.tasks.forward import Constraint, ForwardModel


def view(noise: float | None) -> View:
    flux, nuisance, composition = stars()
    if noise:
        draws = np.random.default_rng(1).standard_normal(flux.shape, dtype=np.float32)
        flux = flux + np.float32(noise) * draws
    return View(flux, nuisance, None, composition, noise)


def fitted(train: View, **settings) -> InformationBound:
    method = InformationBound(Settings(**settings))
    method.fit(train, train, Silent())
    return method


def ranks(method: InformationBound, spectra: View) -> np.ndarray | None:
    latent = method.encode_stars(spectra.flux, spectra.nuisance, spectra.composition)
    own = method.rank_twins(
        latent.reshape(N_PAIRS, 2, -1),
        spectra.nuisance.reshape(N_PAIRS, 2, -1),
        spectra.composition[::2],
    )
    return None if own is None else own[0]


@pytest.mark.slow  # benchmarks/test_bound.py does the same on each track
def test_least_squares_fits_attain_the_cramer_rao_bound():
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
    model = ForwardModel(generator())
    errors = np.full_like(observed, noise)
    estimate = fitted_parameters(model, observed, truth, np.arange(2, 19), errors)

    constrained = sigma < 0.1  # dex; beyond, spectra are not linear over an error
    assert (constrained.mean(axis=0) > 0.5).sum() >= 15
    deviation = (estimate - truth)[:, 2:] / sigma
    for element, name in enumerate(population.COMPOSITION_NAMES):
        fits = deviation[constrained[:, element], element]
        if len(fits) >= 800:  # the ratio's own scatter is 5 % or less
            assert 0.9 < fits.var() < 1.2, f"{name}: {fits.var():.3f} of {len(fits)} fits"


def test_estimates_scatter_as_their_posterior_covariance():
    spectra = view(1 / 50)
    method = fitted(spectra)
    latent = method.encode_stars(spectra.flux, spectra.nuisance, spectra.composition)
    information, _ = method.information(spectra.nuisance, spectra.composition)
    error = np.linalg.solve(method.axes, (latent - spectra.composition).T.astype(float)).T
    square = np.einsum("ni,nij,nj->n", error, information + np.eye(17), error)
    assert 0.93 < square.mean() / 17 < 1.07  # the mean over 300 stars scatters by 2 %


def test_the_bound_on_found_twins_falls_with_noise():
    shares = [
        (ranks(fitted(spectra), spectra) == 1).mean() for spectra in map(view, (0.01, 0.04, 0.16))
    ]
    assert shares[0] >= 0.99
    assert shares[0] - 0.02 > shares[1] > shares[2] + 0.1


def test_without_noise_the_latent_is_the_composition():
    spectra = view(None)
    method = fitted(spectra)
    assert np.array_equal(
        method.encode_stars(spectra.flux, spectra.nuisance, spectra.composition),
        spectra.composition,
    )
    assert ranks(method, spectra) is None  # equal latents have the L1 distance 0 and rank first


def test_fitting_the_nuisance_never_raises_the_bound():
    spectra = view(0.02)
    known, unknown = fitted(spectra), fitted(spectra, nuisance_known=False)
    unknown.axes = known.axes
    labels = spectra.nuisance[:50], spectra.composition[:50]
    less, more = (np.linalg.inv(method.information(*labels)[0]) for method in (known, unknown))
    growth = np.linalg.eigvalsh(more - less)
    assert growth.min() > -1e-6 * np.abs(more).max()
    assert growth.max(axis=1).min() > 0  # each star loses something
    assert ranks(known, spectra).mean() <= ranks(unknown, spectra).mean()


def test_fitting_a_second_parameter_reduces_the_information_of_the_first():
    # F = [[2, 1], [1, 4]] has the inverse [[4, -1], [-1, 2]] / 7, so of 2 remains 7 / 4
    information, score = marginal(np.array([[[2.0, 1.0], [1.0, 4.0]]]), np.array([[3.0, 4.0]]), 1)
    assert_allclose(information, [[[7 / 4]]])
    assert_allclose(score, [[2.0]])  # 3 - 4 / 4


def test_spectra_that_the_emulator_did_not_make_are_refused():
    flux, nuisance, composition = stars()
    for spectra, complaint in (
        (View(flux, nuisance), "does not hold|do not hold"),
        (View(flux[:, :50], nuisance, None, composition, 0.01), "other pixels or labels"),
        (View(flux, nuisance, None, composition, 0.01), "0.00 times their noise"),
        (View(flux, nuisance + 3000, None, composition, 0.01), "outside the emulator's range"),
    ):
        with pytest.raises(SettingError, match=complaint):
            fitted(spectra)


@cache
def known(track: Callable[[], Task]) -> tuple[ForwardModel, View]:
    """Return the forward model of a track, and its test split."""
    return track().forward_model(), view_split(track(), "test", "tiny", "oracle", 0).view


def informed(track: Callable[[], Task]) -> tuple[InformationBound, View]:
    """Return the bound of a track, with the prior of its test split, and that split."""
    method = InformationBound()
    method.forward, spectra = known(track)
    method.fit(spectra, spectra, Silent())
    return method, spectra


def information(method: InformationBound, spectra: View) -> np.ndarray:
    stars = slice(10)
    unseen = None if spectra.unseen is None else spectra.unseen[stars]
    found, _ = method.information(spectra.nuisance[stars], spectra.composition[stars], unseen)
    return found


def is_less(first: np.ndarray, second: np.ndarray) -> bool:
    """Return whether each matrix of the first is below that of the second."""
    growth = np.linalg.eigvalsh(second - first)
    return (growth > -1e-9 * np.abs(second).max()).all() and (growth.max(axis=1) > 0).all()


def with_covariance(forward: ForwardModel, factor: float) -> ForwardModel:
    constraint = forward.constraint
    scaled = Constraint(constraint.slopes, constraint.offset, factor * constraint.covariance)
    return replace(forward, constraint=scaled)


@pytest.mark.parametrize("track", [tracks.labels, tracks.hidden])
def test_what_is_unseen_costs_information_by_how_little_is_known_of_it(track):
    method, spectra = informed(track)
    forward = method.forward
    found = {}
    for factor in (1e-9, 1, 1e9):
        method.forward = with_covariance(forward, factor)
        found[factor] = information(method, spectra)
    assert is_less(found[1], found[1e-9])
    assert is_less(found[1e9], found[1])


def test_labels_without_errors_are_a_known_nuisance():
    method, spectra = informed(tracks.labels)
    method.forward = with_covariance(method.forward, 1e-9)
    constraint = method.forward.constraint
    slopes = constraint.slopes.copy()
    slopes[:, 2] = 0  # no trend with [Fe/H], of which exact labels would tell
    method.forward = replace(
        method.forward, constraint=Constraint(slopes, constraint.offset, constraint.covariance)
    )
    exact = InformationBound()
    exact.axes, exact._mean, exact._noise = method.axes, method._mean, method._noise
    exact._scale = method._scale[:2]
    known, _ = exact.information(spectra.unseen[:10], spectra.composition[:10])
    assert_allclose(information(method, spectra), known, rtol=1e-4, atol=1e-4 * known.max())


def test_a_nuisance_that_depends_on_the_metallicity_tells_of_it():
    method, spectra = informed(tracks.branch)
    found = information(method, spectra)
    method.forward = replace(method.forward, constraint=None)
    feh = method.axes[0]  # change of [Fe/H] with y
    told = (260 / 60) ** 2 * np.outer(feh, feh)
    assert_allclose(found - information(method, spectra), np.broadcast_to(told, found.shape),
                    atol=1e-6 * found.max())  # fmt: skip


def test_estimates_with_hidden_parameters_scatter_as_their_posterior_covariance():
    method, spectra = informed(tracks.hidden)
    labels = [x[:64] for x in (spectra.nuisance, spectra.composition, spectra.unseen)]
    latent = method.encode_stars(spectra.flux[:64], *labels)
    found, _ = method.information(*labels)
    error = np.linalg.solve(method.axes, (latent - labels[1]).T.astype(float)).T
    square = np.einsum("ni,nij,nj->n", error, found + np.eye(17), error)
    assert 0.87 < square.mean() / 17 < 1.13  # the mean over 64 stars scatters by 4 %


def test_a_track_needs_its_forward_model():
    method, spectra = informed(tracks.labels)
    method.forward = None  # the shipped emulator takes no unseen parameters
    with pytest.raises(SettingError, match="these have other pixels or labels"):
        method.fit(spectra, spectra, Silent())


def test_masked_pixels_tell_nothing_and_equal_errors_are_noise():
    slopes = np.random.default_rng(3).standard_normal((2, 30, 4)).astype(np.float32)
    error = np.full((2, 30), 0.1, np.float32)
    assert_allclose(fisher_information(slopes, error), fisher_information(slopes, 0.1), rtol=1e-6)
    error[:, 20:] = np.inf
    assert_allclose(
        fisher_information(slopes, error), fisher_information(slopes[:, :20], 0.1), rtol=1e-6
    )
