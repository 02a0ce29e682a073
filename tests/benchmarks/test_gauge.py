"""Coordinates and turns of the gauge, whose laws are known."""

import numpy as np
import pytest
from click.testing import CliRunner

from benchmarks import found_twins, gauge
from starbench.methods.base import View
from starbench.tasks.apogee_giants import population
from starbench.tasks.streams import uniforms

COMPOSITION = population.draw_compositions(uniforms("tests/gauge", 0, 20_000, 19))


def test_compositions_have_normal_coordinates():
    y = gauge.normal_coordinates(COMPOSITION)
    assert np.abs(y.mean(axis=0)).max() < 0.03
    # The cut at three standard deviations takes 3 % of a variance.
    assert np.abs(np.cov(y.T) - np.eye(17)).max() < 0.05
    assert np.abs((y[:, :2] ** 3).mean(axis=0)).max() < 0.1
    assert (y[:, 0] * y[:, 1] ** 2).mean() == pytest.approx(0, abs=0.05)


def test_slopes_are_those_of_the_coordinates():
    some = COMPOSITION[:5]
    slopes = gauge.coordinate_slopes(some)
    moved = some + 1e-3 * slopes[:, :, 4]
    change = (gauge.normal_coordinates(moved) - gauge.normal_coordinates(some)) / 1e-3
    assert change == pytest.approx(np.tile(np.eye(17)[4], (5, 1)), abs=0.02)


def test_turns_are_rotations_of_the_size_asked_for():
    rng = np.random.default_rng(0)
    u = rng.uniform(-np.sqrt(3), np.sqrt(3), (300, 2))
    r = gauge.random_turns(u, 0.01, rng)
    assert r @ r.transpose(0, 2, 1) == pytest.approx(np.broadcast_to(np.eye(17), r.shape))
    between = r[::2] @ r[1::2].transpose(0, 2, 1)
    angles = between[:, *np.triu_indices(17, 1)]
    assert np.sqrt((angles**2).mean()) == pytest.approx(0.01, rel=0.15)


def test_linear_maps_may_rotate_what_the_sequences_share():
    assert gauge.linear_freedom() == (15, 105)


def test_a_normal_variable_shows_no_rotation():
    x = np.linspace(-6, 6, 1001)
    assert gauge.nongaussianity(x, x, gauge.density(x)) == pytest.approx(0, abs=1e-12)
    values = dict(gauge.directions_seen())
    assert 0 < values["[Fe/H]"] < values["[alpha/Fe]"]


def test_the_command_prints_shares_that_fall_with_the_turn():
    done = CliRunner().invoke(gauge.main, ["--pairs", "60", "--queries", "20", "--draws", "1"])
    assert done.exit_code == 0, done.output
    cells = [line.split("|")[1:-1] for line in done.stdout.splitlines() if line.startswith("| 0")]
    assert len(cells) == len(gauge.TURNS)
    by_l1 = [float(line[2]) for line in cells]
    assert by_l1[0] > by_l1[-1]
    assert float(cells[0][1]) > 90


def test_training_sets_of_equal_size_have_all_twins_or_none():
    twin = np.random.default_rng(0).permutation(40).reshape(20, 2)
    row = np.empty(40, int)
    row[twin[:, 0]], row[twin[:, 1]] = twin[:, 1], twin[:, 0]
    view = View(np.zeros((40, 1), np.float32), twin=row)
    both, single = found_twins.with_all_twins(view), found_twins.without_twins(view)
    assert len(both) == len(single) == 20
    assert set(row[both]) == set(both)
    assert not set(row[single]) & set(single)
