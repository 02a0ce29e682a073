"""Diagnostics that a method declares: remarks, the values of a row, the progress bar."""

import pytest

from starbench.methods.base import Diagnostic
from starbench.methods.registry import get_method
from starbench.runs.diagnostics import (
    declared_diagnostics,
    recorded_diagnostics,
    remark,
    summary,
)

FADER = get_method("fader").diagnostics


def epoch(value, chance=4.605):
    return {"epoch": 30, "adversary_cross_entropy": value, "chance_cross_entropy": chance}


@pytest.mark.parametrize(
    "reported", [{}, {"epoch": 3}, epoch(4.605), epoch(4.6), epoch(4.2), epoch(4.6, chance=0.0)]
)
def test_within_its_bounds_there_is_no_remark(reported):
    assert remark(reported, FADER) is None


def test_above_its_bounds_the_remark_says_what_that_means():
    assert remark(epoch(4.64), FADER) == (
        "the adversary's cross-entropy ends at 4.64 (chance cross entropy: 4.605): the adversary "
        "is fooled, so it does not show what the latent leaks"
    )


def test_below_its_bounds_the_remark_says_what_that_means():
    assert remark(epoch(3.0), FADER).endswith(
        "the adversary still reads the nuisance from the latent"
    )


def test_bounds_without_a_reference_are_those_of_the_quantity():
    collapsed = Diagnostic("spread", "spread of the latent", low=0.1, below="it has collapsed")
    assert remark({"spread": 0.5}, [collapsed]) is None
    expected = "the spread of the latent ends at 0.05: it has collapsed"
    assert remark({"spread": 0.05}, [collapsed]) == expected
    both = remark({"spread": 0.05, **epoch(4.64)}, [*FADER, collapsed])
    assert both.count("ends at") == 2


def test_a_row_holds_diagnostics_with_their_references_and_nothing_else():
    reported = {"loss": 0.2, **epoch(4.6)}
    assert recorded_diagnostics(reported, FADER) == {
        "adversary_cross_entropy": 4.6,
        "chance_cross_entropy": 4.605,
    }
    assert recorded_diagnostics({"loss": 0.2}, FADER) == {}


def test_the_progress_bar_shows_a_diagnostic_beside_its_reference():
    reported = {**epoch(4.6), "reconstruction_mse": 1e-4, "validation_doppelganger_free": 0.25}
    assert summary(reported, FADER) == (
        "adversary's cross-entropy 4.6 of 4.605, reconstruction mse 0.0001, twins nearest 25.0%"
    )


def test_a_method_that_is_not_installed_has_no_diagnostics():
    assert declared_diagnostics("fader") == FADER
    assert declared_diagnostics("nobodys-method") == ()
