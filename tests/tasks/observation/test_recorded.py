"""Derivatives of recorded spectra equal finite differences, and so does their information."""

import numpy as np
import pytest

from starbench.tasks.apogee_giants.tracks import hidden

STEPS = {0: 20.0, 1: 0.02, 2: -30.0, 3: 0.02, 4: 0.02, 5: 1e-3, 10: 1e-3}
"""Of Teff, log g, then from R on: each within its range from the middle."""
SCALES = np.array([100, 0.1, *[0.05] * 17, 1000, 1, 0.4, *[0.003] * 6])


@pytest.fixture(scope="module")
def model():
    return hidden().forward_model().model


@pytest.fixture(scope="module")
def parameters():
    pairs = hidden().make("test", 0, 3)
    parts = (pairs.nuisance, np.repeat(pairs.composition[:, None], 2, axis=1), pairs.unseen)
    return np.concatenate(parts, axis=2).reshape(6, -1).astype(float)


def differences(model, parameters):
    """Return the derivatives [n, n_pixels, p] in units of SCALES, by differences of spectra."""
    columns = []
    for step in 0.05 * np.diag(SCALES):
        # Widths stay above those of the unrecorded spectra.
        up, down = parameters + step, parameters - step
        up[:, 19] = np.minimum(up[:, 19], 22_500)
        down[:, 20] = np.maximum(down[:, 20], 3)
        width = (up - down).sum(axis=1) / SCALES[step > 0]
        difference = model.spectra(up).astype(float) - model.spectra(down)
        columns.append(difference / width[:, None])
    return np.stack(columns, axis=2)


def test_derivatives_by_the_instrument_are_those_of_unshifted_spectra(model, parameters):
    parameters = parameters.copy()
    parameters[:, 21:] = 0
    _, tangents = model.tangents(parameters, np.diag(SCALES))
    expected = differences(model, parameters)
    for column in range(parameters.shape[1]):
        scale = np.linalg.norm(expected[..., column], axis=1)
        error = np.linalg.norm(tangents[..., column] - expected[..., column], axis=1)
        assert (error < 0.03 * scale).all(), column


def test_information_allows_for_shift_and_continuum_to_a_per_cent(model, parameters):
    _, tangents = model.tangents(parameters, np.diag(SCALES))
    expected = differences(model, parameters)
    found, exact = (
        np.linalg.inv(x.transpose(0, 2, 1) @ x + 100 * np.diag([0, 0, *[0] * 17, *[1] * 9]))
        for x in (tangents.astype(float), expected)
    )
    errors = np.diagonal(found, axis1=1, axis2=2) / np.diagonal(exact, axis1=1, axis2=2)
    assert (np.abs(errors[:, 2:19] - 1) < 0.03).all(), errors


def test_recorded_spectra_are_their_own_coordinates(model, parameters):
    flux = model.spectra(parameters)
    coordinates, _ = model.tangents(parameters, np.eye(model.n_parameters)[:1])
    assert np.abs(coordinates - flux).max() < 1e-5
    assert np.array_equal(model.coordinates(parameters), coordinates)
    assert model.project(flux) is flux
