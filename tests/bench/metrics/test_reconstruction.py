import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis.extra import numpy as arrays

from starbench.metrics import METRICS, per_star_mse, reconstruction_estimates


def test_per_star_mse_equals_float64_arithmetic_across_blocks(rng):
    flux = rng.uniform(0.2, 1, size=(200, 2, 7214)).astype(np.float32)
    reconstruction = flux + rng.normal(0, 1e-3, size=flux.shape).astype(np.float32)
    expected = ((reconstruction.astype(np.float64) - flux) ** 2).mean(axis=-1)
    mse = per_star_mse(reconstruction, flux)
    assert mse.shape == (200, 2) and mse.dtype == np.float64
    np.testing.assert_allclose(mse, expected, rtol=1e-13)


def test_per_star_mse_resolves_the_rounding_of_float32():
    """Squares of 1e-7 added in float32 would drown; here they add up."""
    flux = np.ones((1, 10_000), np.float32)
    one_ulp = np.nextafter(flux, np.float32(0))
    assert per_star_mse(one_ulp, flux)[0] == pytest.approx(2.0**-48, rel=1e-12)


@settings(deadline=None)
@given(
    arrays.arrays(
        np.float32,
        arrays.array_shapes(min_dims=1, max_dims=4),
        elements={"min_value": -2, "max_value": 2},
    )
)
def test_per_star_mse_is_zero_of_itself_and_symmetric(flux):
    other = np.flip(flux, axis=-1)
    assert (per_star_mse(flux, flux) == 0).all()
    np.testing.assert_array_equal(per_star_mse(flux, other), per_star_mse(other, flux))
    assert per_star_mse(flux, other).shape == flux.shape[:-1]


def test_per_star_mse_is_not_finite_for_broken_stars_only():
    flux = np.ones((3, 5), np.float32)
    reconstruction = flux.copy()
    reconstruction[1, 2], reconstruction[2, 0] = np.nan, np.inf
    np.testing.assert_array_equal(
        np.isfinite(per_star_mse(reconstruction, flux)), [True, False, False]
    )


def test_per_star_mse_refuses_shapes_that_do_not_match():
    with pytest.raises(ValueError, match="same shape"):
        per_star_mse(np.ones((3, 5)), np.ones((3, 4)))
    with pytest.raises(ValueError, match="same shape"):
        per_star_mse(np.ones((3, 0)), np.ones((3, 0)))


def test_estimates_equal_those_by_hand():
    plain = np.array([[1.0, 3.0], [2.0, 2.0], [0.0, 4.0]])
    swapped = np.array([[5.0, 7.0], [2.0, 4.0], [9.0, 9.0]])
    figures = reconstruction_estimates(plain, swapped, np.array([True, False, True]))
    assert figures["reconstruction_mse"].value == 2
    assert figures["swapped_reconstruction_mse"].value == 6
    assert figures["swap_gap"].value == 4
    assert figures["swapped_reconstruction_mse_large_shift"].value == 7.5
    # All pairs have the same plain mean: resampling pairs, not stars, leaves nothing to vary.
    assert figures["reconstruction_mse"].low == figures["reconstruction_mse"].high == 2
    assert figures["swap_gap"].low == pytest.approx(1) and figures[
        "swap_gap"
    ].high == pytest.approx(7)
    assert {figure.version for figure in figures.values()} == {METRICS["swap_gap"].version}


def test_the_swap_gap_is_resampled_by_pairs(rng):
    """The gap of a pair varies less than either error: its interval says so."""
    difficulty = rng.exponential(size=(400, 1))
    plain = difficulty + 0.01 * rng.random((400, 2))
    figures = reconstruction_estimates(plain, plain + 0.1, None)
    width = {name: f.high - f.low for name, f in figures.items() if f is not None}
    assert figures["swap_gap"].value == pytest.approx(0.1)
    assert width["swap_gap"] < 1e-3 * width["reconstruction_mse"]


def test_missing_or_broken_reconstructions_have_no_estimate():
    mse = np.ones((4, 2))
    broken = mse.copy()
    broken[0, 0] = np.nan
    everyone, no_one = np.ones(4, bool), np.zeros(4, bool)

    def present(*arguments):
        return [figure is not None for figure in reconstruction_estimates(*arguments).values()]

    assert present(mse, mse, everyone) == [True, True, True, True]
    assert present(mse, mse, no_one) == [True, True, True, False]
    assert present(mse, mse) == [True, True, True, False]
    assert present(mse, None, everyone) == [True, False, False, False]
    assert present(None, mse, everyone) == [False, True, False, True]
    assert present(None, None, everyone) == [False] * 4
    assert present(mse, broken, everyone) == [True, False, False, False]


def test_a_subset_so_small_that_resamples_miss_it_still_has_an_interval(rng):
    swapped = rng.random((50, 2))
    subset = np.zeros(50, bool)
    subset[3] = True
    figure = reconstruction_estimates(swapped, swapped, subset)[
        "swapped_reconstruction_mse_large_shift"
    ]
    assert figure.value == pytest.approx(swapped[3].mean())
    assert figure.low == pytest.approx(figure.value) and figure.high == pytest.approx(figure.value)


def test_shapes_are_checked():
    with pytest.raises(ValueError, match=r"\[n_pairs, 2\]"):
        reconstruction_estimates(np.ones(4), None)
    with pytest.raises(ValueError, match="the same number of pairs, not 4 and 5"):
        reconstruction_estimates(np.ones((4, 2)), np.ones((5, 2)))
    with pytest.raises(ValueError, match=r"subset must be shaped \[4\]"):
        reconstruction_estimates(np.ones((4, 2)), np.ones((4, 2)), np.ones(5, bool))
