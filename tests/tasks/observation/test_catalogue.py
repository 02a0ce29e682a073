import numpy as np
import pytest

from starbench.tasks.observation.catalogue import LabelErrors
from starbench.tasks.registry import get_task

ERRORS = LabelErrors(deviation=(80.0, 0.12), correlation=0.5, trend=(-40.0, -0.05))


@pytest.fixture(scope="module")
def track():
    return get_task("apogee-giants-labels")


def test_covariance_of_two_labels_by_hand():
    assert ERRORS.covariance == pytest.approx(np.array([[6400, 4.8], [4.8, 0.0144]]))


def test_the_bias_grows_with_metallicity():
    stated = ERRORS.applied(np.array([[4500.0, 2.0]]), np.array([0.5]), np.zeros((1, 2)))
    assert stated == pytest.approx(np.array([[4480.0, 1.975]]))


def test_errors_have_the_stated_covariance_and_trend(track):
    nuisance, composition = track.labels_on_disk("stars", "full")
    true, _ = track.base.base.labels_on_disk("stars", "full")
    error = (nuisance - true)[:, 0].astype(np.float64)
    feh = composition[:, 0].astype(np.float64)
    for column, trend in enumerate((-40.0, -0.05)):
        fitted = np.polyfit(feh, error[:, column], 1)
        deviation = (80.0, 0.12)[column]
        assert fitted[0] == pytest.approx(trend, abs=5 * deviation / feh.std() / np.sqrt(len(feh)))
        assert fitted[1] == pytest.approx(0, abs=5 * deviation / np.sqrt(len(feh)))
        error[:, column] -= trend * feh
    assert np.cov(error.T) == pytest.approx(ERRORS.covariance, rel=0.04)


def test_methods_are_told_the_covariance_and_only_the_bound_the_truth(track):
    assert np.array(track.card.nuisance_covariance) == pytest.approx(ERRORS.covariance)
    pairs, true = track.make("test", 0, 5), track.base.base.make("test", 0, 5)
    assert np.array_equal(pairs.unseen, true.nuisance)
    assert np.array_equal(pairs.flux, true.flux)
    assert abs(pairs.nuisance - true.nuisance)[..., 0].max() > 20
