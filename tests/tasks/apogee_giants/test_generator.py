"""The generator's coordinates preserve distances, and its tangents are derivatives."""

import numpy as np
from numpy.testing import assert_allclose
from support.emulated_stars import stars

from starbench.tasks.apogee_giants.generator import generator


def test_coordinates_preserve_distances_and_tangents_equal_finite_differences():
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
