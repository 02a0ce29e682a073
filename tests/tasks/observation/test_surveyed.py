import numpy as np
import pytest

from starbench.tasks.observation.surveyed import SurveyedSpectra
from starbench.tasks.registry import get_task
from starbench.tasks.survey.continuum import pseudo_continuum


@pytest.fixture(scope="module")
def track():
    return get_task("apogee-giants-survey").base.survey.base  # below labels, pairs and manifest


@pytest.fixture(scope="module")
def stars(track):
    assert isinstance(track, SurveyedSpectra)
    return track.make("test", 0, 40)


def unseen(track, stars):
    return dict(zip(track.card.unseen_names, stars.unseen[:, 0].T, strict=True))


def test_masked_pixels_hold_the_continuum_and_all_others_their_noise(stars):
    masked = np.isinf(stars.error)
    assert (stars.flux[masked] == 1).all()
    noise = ((stars.flux - stars.noiseless_flux) / stars.error)[~masked]
    assert noise.mean() == pytest.approx(0, abs=4.5 / np.sqrt(noise.size))
    assert noise.std() == pytest.approx(1, abs=4.5 / np.sqrt(2 * noise.size))


def test_each_spectrum_is_divided_by_the_pseudo_continuum_of_what_was_observed(track, stars):
    again = pseudo_continuum(track.wavelength, stars.flux[:, 0], stars.error[:, 0])
    assert abs(again - 1).max() < 0.02
    assert np.sqrt(np.mean((again - 1) ** 2)) < 0.002


def test_the_pseudo_continuum_lies_below_the_true_one_in_crowded_spectra(track):
    """It is pulled by lines, so it tells of the star, and by noise, so it tells of the exposure."""
    clean = track.base.make("test", 0, 40)
    stars = track.make("test", 0, 40)
    coefficients = np.array([v for k, v in unseen(track, stars).items() if k.startswith("cont")])
    level = coefficients[5]  # of the middle detector
    metallicity = clean.composition[:, 0]
    assert level.mean() < 1
    assert np.corrcoef(level, metallicity)[0, 1] < -0.3


def test_unseen_parameters_give_the_spectra_again(track, stars):
    from starbench.tasks.forward import parameters_of

    model = track.forward_model().model
    parameters = parameters_of(stars.nuisance[:, 0], stars.composition, stars.unseen[:, 0])
    made = model.spectra(parameters[:8])
    assert abs(made - stars.noiseless_flux[:8, 0]).max() < 2e-6


def test_derivatives_are_those_of_finite_differences(track, stars):
    from starbench.tasks.forward import parameters_of

    model = track.forward_model().model
    persistent = np.flatnonzero(unseen(track, stars)["persistence"])[0]
    parameters = parameters_of(stars.nuisance[:, 0], stars.composition, stars.unseen[:, 0])
    parameters = parameters[persistent : persistent + 1]
    own = np.arange(model.n_parameters - 17, model.n_parameters)
    steps = np.eye(model.n_parameters)[[2, *own]]
    at, tangents = model.tangents(parameters, steps)
    for step, tangent in zip(steps, tangents[0].T, strict=True):
        h = 1e-3
        difference = (model.coordinates(parameters + h * step) - at)[0] / h
        assert abs(tangent - difference).max() < 0.02 * abs(tangent).max() + 1e-4


def test_spectra_of_a_model_have_no_persistence(track):
    model = get_task("apogee-giants-survey").base.model.base
    pairs = model.make("pairs", 0, 20)
    columns = [name.startswith("persistence") for name in model.card.unseen_names]
    assert not pairs.unseen[..., columns].any()
    assert track.make("train", 0, 40).unseen[..., columns].any()
    assert np.isinf(pairs.error).mean() == pytest.approx(0.06, abs=0.01)


def test_no_bit_depends_on_what_is_made_beside(track, stars):
    part = track.make("test", 7, 19)
    for field in ("flux", "noiseless_flux", "error", "unseen", "group"):
        assert np.array_equal(getattr(part, field), getattr(stars, field)[7:19])
