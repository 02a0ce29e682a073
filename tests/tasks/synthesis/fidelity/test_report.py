"""The committed report is what the stored measurements say, and they meet the targets."""

import hashlib
import json

import numpy as np
import pytest

from starbench.tasks.apogee_giants.emulator import Emulator
from starbench.tasks.synthesis import fidelity
from starbench.tasks.synthesis.fidelity.report import render
from starbench.tasks.synthesis.fidelity.second import load_second
from starbench.tasks.synthesis.moog import lines


@pytest.fixture(scope="module")
def numbers():
    return json.loads(fidelity.NUMBERS_PATH.read_text())


@pytest.fixture(scope="module")
def second():
    return json.loads(fidelity.SECOND_NUMBERS_PATH.read_text())


def test_the_committed_report_follows_from_the_measurements(numbers, second):
    comparison = (fidelity.FOLDER / "comparison.csv").read_text()
    facts = Emulator.load().facts, load_second().facts
    text = render(numbers, facts[0], comparison, second, facts[1])
    assert fidelity.REPORT_PATH.read_text() == text
    assert "missed" not in text


def test_the_measurements_are_of_the_shipped_emulator(numbers):
    emulator = Emulator.load()
    assert numbers["emulator_sha256"] == emulator.sha256
    for name, value in emulator.facts["held_out"].items():
        assert numbers["held_out"][name] == pytest.approx(value, rel=0.01)


def test_the_measurements_of_the_second_are_of_its_emulator_and_lines(second):
    emulator = load_second()
    assert second["emulator_sha256"] == emulator.sha256
    for name, value in emulator.facts["held_out"].items():
        assert second["held_out"][name] == pytest.approx(value, rel=0.01)
    digest = hashlib.sha256(lines.PATH.read_bytes()).hexdigest()
    assert emulator.facts["line_table_sha256"] == digest


def test_the_second_generator_meets_its_targets(second):
    assert second["held_out"]["stars"] >= 200
    assert second["held_out"]["rms"] <= 0.0004
    assert second["arcturus"]["after"]["rms"] <= 0.008
    assert second["arcturus"]["before"]["rms"] > 0.02
    for row in second["fit"]:
        if row["rms"] > 0.0005:
            assert row["correlation"] >= 0.8, row["abundance"]


def test_responses_and_published_spectra_meet_the_targets(numbers):
    for row in numbers["response"]:
        if row["rms"] > 0.0005:
            assert row["correlation"] >= 0.95, row["abundance"]
    published = numbers["published"]
    assert len(published) == 12
    assert np.mean([row["rms"] for row in published]) <= 0.033
    assert np.mean([row["correlation"] for row in published]) >= 0.88


def test_differences_of_the_published_abundances_are_found(numbers):
    rows = {row["abundance"]: row for row in numbers["differences"]["abundances"]}
    assert numbers["differences"]["correlation_of_abundances"] > 0.95
    for name in ("N/Fe", "O/Fe", "Mg/Fe", "Al/Fe", "S/Fe", "Cr/Fe"):
        row = rows[name]
        assert row["fitted"] == pytest.approx(row["published"], abs=0.04), name
        assert row["fitted"] * row["published"] > 0, name
    # The parameter `cm` of the published spectra is not their [C/Fe].
    carbon = rows["C/Fe"]
    assert abs(carbon["fitted"] - numbers["differences"]["cm"]) > 10 * carbon["error"]
    assert numbers["with_cm"]["rms"] > np.mean([row["rms"] for row in numbers["published"]])
