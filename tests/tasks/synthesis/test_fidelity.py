"""The fidelity report: its numbers from made-up spectra, its text from the stored measurements."""

import json

import h5py
import numpy as np
import pytest

from starbench.tasks.apogee_giants.emulator import Emulator
from starbench.tasks.apogee_giants.population import COMPOSITION_NAMES
from starbench.tasks.synthesis import fidelity
from starbench.tasks.synthesis.spectrum import LABEL_NAMES


@pytest.fixture(scope="module")
def numbers():
    return json.loads(fidelity.NUMBERS_PATH.read_text())


def test_the_report_is_what_the_measurements_say(numbers):
    comparison = (fidelity.FOLDER / "comparison.csv").read_text()
    text = fidelity.render(numbers, Emulator.load().facts, comparison)
    assert fidelity.REPORT_PATH.read_text() == text
    assert "missed" not in text


def test_the_measurements_are_of_the_shipped_emulator(numbers):
    emulator = Emulator.load()
    assert numbers["emulator_sha256"] == emulator.sha256
    for name, value in emulator.facts["held_out"].items():
        assert numbers["held_out"][name] == pytest.approx(value, rel=0.01)


def test_responses_and_published_spectra_meet_the_targets(numbers):
    for row in numbers["response"]:
        if row["rms"] > 0.0005:
            assert row["correlation"] >= 0.95, row["abundance"]
    published = numbers["published"]
    assert len(published) == 12
    assert np.mean([row["rms"] for row in published]) <= 0.033
    assert np.mean([row["correlation"] for row in published]) >= 0.88


def test_response_table_of_a_known_difference():
    rng = np.random.default_rng(0)
    exact = rng.normal(size=(3, len(COMPOSITION_NAMES), 50))
    rows = fidelity.response_table(1.1 * exact, exact)
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
    table = fidelity.read_published(path)
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
        fidelity.read_published(path)
