"""The shipped emulator: its contract, and real PySME spectra of held-out stars."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from starbench.tasks.apogee_giants.emulator import PATH, Emulator
from starbench.tasks.apogee_giants.population import UNIFORMS_PER_PAIR, draw_compositions
from starbench.tasks.streams import uniforms
from starbench.tasks.synthesis.spectrum import LABEL_NAMES
from starbench.tasks.synthesis.wavelengths import aspcap_wavelengths

# Five stars of the held-out set as PySME synthesised them: labels [5, 19], flux [5, 7214] float32.
SPECTRA = Path(__file__).with_name("pysme_spectra.npz")


@pytest.fixture(scope="module")
def emulator():
    return Emulator.load()


@pytest.fixture(scope="module")
def stars():
    with np.load(SPECTRA) as file:
        return file["labels"], file["flux"].astype(float)


def test_flux_is_float32_on_the_aspcap_pixels(emulator, stars):
    labels, _ = stars
    flux = emulator.flux(labels)
    assert flux.shape == (len(labels), 7214)
    assert flux.dtype == np.float32
    assert (flux > 0).all()
    assert (flux < 1.01).all()
    # Powers of ten differ by rounding between processors.
    assert emulator.wavelength == pytest.approx(aspcap_wavelengths(), rel=1e-14)
    assert emulator.label_names == LABEL_NAMES


def test_flux_is_the_same_each_time_and_in_any_batch(emulator, stars):
    labels, _ = stars
    flux = emulator.flux(labels)
    assert np.array_equal(flux, Emulator.load().flux(labels))
    assert np.abs(flux - emulator.flux(labels, batch=2)).max() < 1e-6
    assert np.abs(flux[::-1] - emulator.flux(labels[::-1])).max() < 1e-6


def test_the_emulator_reproduces_synthesised_held_out_stars(emulator, stars):
    labels, flux = stars
    error = emulator.flux(labels) - flux
    worst = emulator.facts["held_out"]["worst_star_rms"]
    assert np.sqrt((error**2).mean(axis=1)).max() <= worst * 1.01  # the JSON rounds to 3 digits
    assert np.abs(error).max() < 0.02


def test_the_gradient_equals_finite_differences(stars):
    emulator = Emulator.load().double()
    labels = torch.from_numpy(stars[0][:1]).requires_grad_(True)
    emulator(labels).sum().backward()
    for index, step in ((0, 1.0), (1, 1e-3), (2, 1e-3), (3, 1e-3), (5, 1e-3)):
        change = torch.zeros_like(labels)
        change[0, index] = step
        with torch.no_grad():
            difference = (emulator(labels + change) - emulator(labels - change)).sum() / (2 * step)
        assert labels.grad[0, index].item() == pytest.approx(difference.item(), rel=1e-3)


@pytest.mark.parametrize(
    ("name", "value"),
    [("Teff", 6000.0), ("logg", 0.0), ("Mg/Fe", 2.0), ("Fe/H", np.nan), ("Ni/Fe", -np.inf)],
)
def test_a_label_out_of_range_is_named(emulator, stars, name, value):
    labels = stars[0].copy()
    labels[1, LABEL_NAMES.index(name)] = value
    with pytest.raises(ValueError, match=f"^{name} = .* of star 1 is outside .*range") as error:
        emulator.flux(labels)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("shape", [(19,), (2, 18), (2, 19, 1)])
def test_a_wrong_shape_is_named(emulator, shape):
    with pytest.raises(ValueError, match=r"labels have shape .* instead of \[n, 19\]"):
        emulator.flux(np.zeros(shape))


def test_the_stated_errors_meet_the_targets():
    facts = json.loads(PATH.with_suffix(".json").read_text())
    assert not facts["provisional"]
    assert facts["held_out"]["stars"] >= 200
    assert facts["held_out"]["rms"] <= 0.0006
    assert facts["held_out"]["p99"] <= 0.0025


def test_the_tasks_population_lies_within_the_ranges(emulator):
    draws = uniforms("apogee-giants/1/tests", 0, 100_000, UNIFORMS_PER_PAIR)
    composition = draw_compositions(draws[:, 4:23])
    low, high = emulator.label_ranges[2:].T
    assert (composition.min(axis=0) >= low).all()
    assert (composition.max(axis=0) <= high).all()


def test_the_json_describes_the_weights(emulator):
    import hashlib

    from starbench.tasks.synthesis import lines

    table = hashlib.sha256(lines.PATH.read_bytes()).hexdigest()
    assert emulator.facts["line_table_sha256"] == table
    assert len(emulator.stars) == emulator.facts["training_stars"]


@pytest.mark.parametrize(
    ("element", "vacuum", "air"),
    [("Mg/Fe", 15745.02, 15740.72), ("Mg/Fe", 15770.15, 15765.84), ("Al/Fe", 16755.14, 16750.56)],
)
def test_wavelengths_are_in_vacuum(emulator, stars, element, vacuum, air):
    """The flux falls with the abundance at the line's wavelength in vacuum (NIST), not in air."""
    less, more = stars[0][:1].copy(), stars[0][:1].copy()
    less[:, LABEL_NAMES.index(element)] -= 0.1
    more[:, LABEL_NAMES.index(element)] += 0.1
    change = (emulator.flux(more) - emulator.flux(less))[0]
    near = np.abs(emulator.wavelength - (vacuum + air) / 2) < 3.5
    deepest = emulator.wavelength[near][change[near].argmin()]
    assert deepest == pytest.approx(vacuum, abs=0.6)
