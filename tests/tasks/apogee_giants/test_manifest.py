import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from starbench.tasks.apogee_giants.make_manifest import make_manifest
from starbench.tasks.apogee_giants.manifest import (
    GROUP_PAIRS,
    PATH,
    TOLERANCE,
    Manifest,
    labels_sha256,
    project,
)
from starbench.tasks.apogee_giants.task import SCALES, ApogeeGiants
from starbench.tasks.base import SPLITS
from starbench.tasks.storage.chunks import Damaged

N_PIXELS = 7214


@given(
    st.integers(0, GROUP_PAIRS - 1),
    st.integers(0, 1),
    st.integers(0, N_PIXELS - 1),
    st.sampled_from([-0.1, -0.00054, 0.00054, 0.01]),
)
@settings(max_examples=30, deadline=None)
def test_any_single_wrong_pixel_is_noticed(pair, half, pixel, error):
    flux = np.zeros((GROUP_PAIRS, 2, N_PIXELS), np.float32)
    flux[pair, half, pixel] = error
    assert abs(project(flux)[0]) > TOLERANCE


def test_swapped_spectra_and_shifted_pixels_are_noticed(emulator):
    flux = ApogeeGiants(emulator=type(emulator)(n_pixels=N_PIXELS)).make("train", 0, 25).flux
    twins, pairs, pixels = flux[:, ::-1], flux[::-1], np.roll(flux, 1, axis=2)
    for wrong in (twins, pairs, pixels):
        assert abs(project(wrong) - project(flux))[0] > TOLERANCE


def test_rounding_errors_of_another_machine_are_not_noticed(emulator):
    flux = ApogeeGiants(emulator=type(emulator)(n_pixels=N_PIXELS)).make("train", 0, 250).flux
    other = (flux * (1 + np.random.default_rng(3).normal(0, 1e-7, flux.shape))).astype(np.float32)
    assert np.abs(project(other) - project(flux)).max() < TOLERANCE


def test_projections_of_a_part_equal_those_of_the_whole():
    flux = np.random.default_rng(0).random((60, 2, 40), dtype=np.float32)
    whole = project(flux)
    assert len(whole) == 3
    assert project(flux[25:50]) == pytest.approx(whole[1:2], abs=1e-12)
    assert project(flux[50:]) == pytest.approx(whole[2:], abs=1e-12)


def test_labels_are_hashed_alike_in_float64_and_float32():
    nuisance, composition = ApogeeGiants().labels("train", 0, 5000)
    wanted = labels_sha256(nuisance, composition)
    assert labels_sha256(nuisance.astype(np.float32), composition.astype(np.float32)) == wanted
    nuisance[17, 1, 0] += 0.01
    assert labels_sha256(nuisance, composition) != wanted


def test_smaller_scales_are_checked_by_the_first_projections_of_the_largest(task, manifest):
    for scale in ("mini", "tiny"):
        for split, n in SCALES[scale].items():
            flux = task.make(split, 0, n).flux
            manifest.check_flux(scale, split, 0, flux, n)
            flux[-1, 1, 77] += 0.01
            with pytest.raises(Damaged, match=rf"the flux of {split} pairs \d+-{n - 1} is not"):
                manifest.check_flux(scale, split, 0, flux, n)
            flux[-1, 1, 77] = np.nan
            with pytest.raises(Damaged):
                manifest.check_flux(scale, split, 0, flux, n)


def test_a_manifest_is_written_and_read_unchanged(manifest, tmp_path):
    path = tmp_path / "manifest.json"
    manifest.write(path)
    assert Manifest.read(path) == manifest
    assert [file.name for file in tmp_path.iterdir()] == ["manifest.json"]
    assert path.stat().st_size < 200_000


def test_making_a_manifest_again_gives_the_same(manifest, emulator):
    again = make_manifest(ApogeeGiants(emulator=emulator))
    assert again == manifest


def test_the_committed_manifest_has_the_labels_that_this_machine_draws():
    committed = Manifest.read()
    task = ApogeeGiants()
    for scale, sizes in SCALES.items():
        for split, n in sizes.items():
            committed.check_labels(scale, split, *task.labels(split, 0, n))


def test_the_committed_manifest_has_the_spectra_of_the_shipped_emulator():
    committed, task = Manifest.read(), ApogeeGiants()
    assert committed.emulator_sha256 == task.emulator.sha256
    for split in SPLITS:
        flux = task.make(split, 0, 150).flux
        committed.check_flux("full", split, 0, flux, SCALES["full"][split])
    assert len(json.dumps(committed.flux)) < 200_000 and PATH.stat().st_size < 200_000
