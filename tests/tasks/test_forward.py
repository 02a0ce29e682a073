"""Constraints are Gaussian densities; models pick their parameters from longer ones."""

import numpy as np
from numpy.testing import assert_allclose

from starbench.tasks.forward import Constraint, ForwardModel, Rearranged, parameters_of

RNG = np.random.default_rng(0)
CONSTRAINT = Constraint(
    RNG.normal(size=(2, 4)), np.array([0.5, -1.0]), np.array([[2.0, 0.6], [0.6, 1.0]])
)
PARAMETERS = RNG.normal(size=(5, 4))


class Quadratic:
    """Spectra of two pixels, x and x y, of two parameters."""

    n_parameters = n_pixels = n_coordinates = 2

    def coordinates(self, parameters):
        return np.column_stack([parameters[:, 0], parameters[:, 0] * parameters[:, 1]])

    def spectra(self, parameters):
        return self.coordinates(parameters).astype(np.float32)

    def project(self, flux):
        return flux

    def tangents(self, parameters, directions):
        x, y = parameters.T[:, :, None]
        dx, dy = directions.T[:, None]
        return self.coordinates(parameters), np.stack([dx + 0 * x, y * dx + x * dy], axis=1)


def test_score_and_information_are_derivatives_of_the_density():
    step, along = 1e-4, np.eye(4)
    up, down = (
        np.stack([CONSTRAINT.misfit(PARAMETERS + sign * step * each) for each in along], axis=1)
        for sign in (1, -1)
    )
    assert_allclose(CONSTRAINT.score(PARAMETERS, along), -(up - down) / (4 * step), atol=1e-6)
    slope = (
        CONSTRAINT.score(PARAMETERS - step * along[1], along)
        - CONSTRAINT.score(PARAMETERS + step * along[1], along)
    ) / (2 * step)
    expected = np.broadcast_to(CONSTRAINT.information(along)[1], slope.shape)
    assert_allclose(slope, expected, atol=1e-6)


def test_joined_constraints_add_their_information_wherever_their_parameters_stand():
    columns = np.array([5, 0, 3, 1])
    longer = RNG.normal(size=(5, 6))
    moved = CONSTRAINT.rearranged(columns, 6)
    assert_allclose(moved.misfit(longer), CONSTRAINT.misfit(longer[:, columns]))
    other = Constraint(np.eye(6)[[2]], np.zeros(1), np.array([[4.0]]))
    both = moved.joined(other)
    assert_allclose(both.misfit(longer), moved.misfit(longer) + longer[:, 2] ** 2 / 4)
    along = np.eye(6)
    assert_allclose(
        both.information(along), moved.information(along) + other.information(along), atol=1e-12
    )


def test_a_rearranged_model_takes_its_parameters_from_their_columns():
    model = Rearranged(Quadratic(), np.array([2, 0]), 3)
    parameters = parameters_of(np.full((1, 1), 3.0), np.full((1, 1), 7.0), np.full((1, 1), 2.0))
    coordinates, tangents = model.tangents(parameters, np.eye(3))
    assert_allclose(coordinates, [[2, 6]])
    assert_allclose(model.spectra(parameters), coordinates)
    assert_allclose(tangents[0], [[0, 0, 1], [2, 0, 3]])


def test_an_extended_model_keeps_the_constraint_of_its_base():
    base = ForwardModel(Quadratic(), Constraint(np.eye(2)[[1]], np.zeros(1), np.eye(1)))
    columns = np.array([2, 0])
    model = Rearranged(base.model, columns, 3)
    new = Constraint(np.eye(3)[[2]], np.zeros(1), 9 * np.eye(1))
    extended = base.extended(model, columns, new)
    assert extended.model is model
    assert_allclose(extended.constraint.misfit(np.array([[3.0, 7.0, 2.0]])), [9 + 4 / 9])
