"""Measurements on made-up spectra."""

import numpy as np
import pytest

from starbench.tasks.apogee_giants.population import COMPOSITION_NAMES
from starbench.tasks.synthesis.fidelity.measure import response_table


def test_response_table_of_a_known_difference():
    rng = np.random.default_rng(0)
    exact = rng.normal(size=(3, len(COMPOSITION_NAMES), 50))
    rows = response_table(1.1 * exact, exact)
    assert [row["abundance"] for row in rows] == list(COMPOSITION_NAMES)
    for row in rows:
        assert row["correlation"] == pytest.approx(1)
        assert row["amplitude"] == pytest.approx(1.1)
        assert row["error_rms"] == pytest.approx(0.1 * row["rms"])
