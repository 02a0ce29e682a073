"""Measurements on made-up spectra."""

import h5py
import numpy as np
import pytest

from starbench.tasks.apogee_giants.population import COMPOSITION_NAMES
from starbench.tasks.synthesis.fidelity.measure import read_published, response_table
from starbench.tasks.synthesis.spectrum import LABEL_NAMES


def test_response_table_of_a_known_difference():
    rng = np.random.default_rng(0)
    exact = rng.normal(size=(3, len(COMPOSITION_NAMES), 50))
    rows = response_table(1.1 * exact, exact)
    assert [row["abundance"] for row in rows] == list(COMPOSITION_NAMES)
    for row in rows:
        assert row["correlation"] == pytest.approx(1)
        assert row["amplitude"] == pytest.approx(1.1)
        assert row["error_rms"] == pytest.approx(0.1 * row["rms"])


def test_published_spectra_are_read_by_pixel_and_element(tmp_path):
    path = tmp_path / "published.h5"
    pixels = np.arange(300, 8400)
    with h5py.File(path, "w") as file:
        file["apstar_pixel"] = pixels
        file["flux"] = np.tile(pixels, (2, 1))
        file["params"] = np.array([[4100, 1.6, -0.1, 0.0, -0.09], [4900, 2.9, 0.1, 0.0, -0.05]])
        file["abundances"] = np.arange(34.0).reshape(2, 17)
    table = read_published(path)
    assert table.flux.shape == (2, 7214)
    assert table.flux[0, 0] == 322
    assert table.flux[0, -1] == 8305
    assert table.labels[1, LABEL_NAMES.index("C/Fe")] == -0.05
    assert table.labels[0, LABEL_NAMES.index("N/Fe")] == 0
    assert table.labels[0, LABEL_NAMES.index("Ni/Fe")] == 12
    with h5py.File(path, "a") as file:
        del file["apstar_pixel"]
        file["apstar_pixel"] = pixels + 100
    with pytest.raises(ValueError, match="lacks pixels"):
        read_published(path)
