"""The bound holds for fits to noisy spectra, and falls with the noise."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from support.emulated_stars import N_PAIRS, stars

from starbench.methods.base import SettingError, Silent, View
from starbench.methods.controls.information_bound import (
    InformationBound,
    Settings,
    fisher_information,
    marginal,
)
from starbench.tasks.apogee_giants import population
from starbench.tasks.apogee_giants.generator import generator


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
        # gain of the next step in chi^2, where 1 is one standard error
        gain = np.einsum("ni,ni->n", step, score)
        moving = moving[~better | (gain > 0.01)]
        if len(moving) == 0:
            return labels
    raise AssertionError(f"{len(moving)} of {len(labels)} fits have not converged")


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
    estimate = fit_compositions(observed, truth, noise)

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
