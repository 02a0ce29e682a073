from dataclasses import replace

import numpy as np
import pytest

from starbench.tasks.apogee_giants.track_manifest import StandardTrack, TrackDigests, read_manifest
from starbench.tasks.apogee_giants.variants import IDEAL_POPULATION, GiantsVariant
from starbench.tasks.errors import DataError
from starbench.tasks.observation.noise import NoiseTrack
from starbench.tasks.registry import get_task, task_names


@pytest.fixture(scope="module")
def track():
    return get_task("apogee-giants-labels")


def with_digests(track, **changes):
    return StandardTrack(track.base, digests=replace(track.digests, **changes))


def test_every_standard_track_is_in_the_manifest_with_its_version():
    tracks = [task for task in map(get_task, task_names()) if isinstance(task, StandardTrack)]
    assert {task.name: task.version for task in tracks} == {
        name: digests.version for name, digests in read_manifest().items()
    }


def test_the_digests_are_those_of_this_machine(track):
    made = TrackDigests.of(track.base)
    assert made.labels_sha256 == track.digests.labels_sha256
    assert made.flux == pytest.approx(track.digests.flux, abs=3e-4)
    assert list(track.problems("tiny", progress=False)) == []


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"flux": dict.fromkeys(("train", "validation", "test", "stars"), 1.0)}, "the flux of"),
        ({"noise": dict.fromkeys(("train", "validation", "test", "stars"), 1e3)}, "the noise of"),
        ({"labels_sha256": {"tiny": dict.fromkeys(("train", "validation", "test", "stars"), "")}},
         "labels of"),
    ],
)  # fmt: skip
def test_data_that_differ_are_named_before_a_run(track, changes, fault):
    other = with_digests(track, **changes)
    problems = [text for text, _ in other.problems("tiny", progress=False)]
    assert [text.startswith(fault) for text in problems] == [True] * 4
    with pytest.raises(DataError, match=f"makes other data of apogee-giants-labels.*{fault}"):
        other.prepare("tiny")


def test_a_manifest_of_another_version_is_refused(track):
    old = StandardTrack(track.base)
    old.card = track.card.model_copy(update={"version": 2})
    with pytest.raises(DataError, match="does not hold version 2 of apogee-giants-labels"):
        old.prepare("tiny")


def test_an_emulator_of_another_digest_is_named(track):
    other = with_digests(track, source={"emulator_sha256": "0" * 64})
    with pytest.raises(DataError, match="the emulator is not that of the manifest"):
        other.prepare("tiny")


def test_a_missing_emulator_is_named(tmp_path):
    stars = GiantsVariant(IDEAL_POPULATION, "stars", family="own", weights=tmp_path / "none.st")
    with pytest.raises(DataError, match=r"The emulator of stars is missing \(.*none"):
        stars.prepare("tiny")
        stars.make("test", 0, 1)


@pytest.mark.parametrize("name", ["branch", "labels", "hidden"])
def test_no_noise_is_drawn_for_the_noiseless_flux(name, monkeypatch):
    """Once each run drew the noise of validation and test twice."""
    track = get_task(f"apogee-giants-{name}")
    truth = track.load("validation", "tiny").noiseless_flux
    monkeypatch.setattr(NoiseTrack, "noise", None)
    pieces = [flux for _, flux in track.noiseless_flux("validation", "tiny")]
    assert np.array_equal(np.concatenate(pieces), truth)
