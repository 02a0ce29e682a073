import numpy as np
import pytest
from scipy import stats

from starbench.common import threads
from starbench.tasks.apogee_giants.manifest import Manifest
from starbench.tasks.apogee_giants.tracks import SNRS
from starbench.tasks.errors import DataError
from starbench.tasks.observation.noise import NoiseTrack


@pytest.fixture
def track(task):
    return NoiseTrack(task, 50)


def noise_of(split, snr):
    return (split.flux - split.noiseless_flux).astype(np.float64) * snr


def test_each_track_has_its_own_name_and_fingerprint(task):
    tracks = [NoiseTrack(task, snr) for snr in SNRS]
    assert [track.name for track in tracks] == [f"apogee-giants-snr{x}" for x in (100, 50, 30)]
    assert len({x.fingerprint("tiny") for x in (task, *tracks)}) == 4


@pytest.mark.parametrize("snr", SNRS)
def test_noise_is_gaussian_with_the_stated_deviation_in_every_pixel(task, snr):
    noise = noise_of(NoiseTrack(task, snr).load("validation", "mini"), snr)
    n = noise[..., 0].size
    assert abs(noise.mean()) < 4.5 / np.sqrt(noise.size)
    assert noise.std() == pytest.approx(1, abs=4.5 / np.sqrt(2 * noise.size))
    assert noise.std(axis=(0, 1)) == pytest.approx(np.ones(noise.shape[2]), abs=5 / np.sqrt(2 * n))
    assert stats.kstest(noise[:, :, ::10].ravel(), "norm").pvalue > 1e-4


def test_noiseless_flux_is_that_of_the_base_task(task, track, monkeypatch):
    truth = task.load("test", "tiny").flux
    assert np.array_equal(track.load("test", "tiny").noiseless_flux, truth)
    monkeypatch.setattr(track, "noise", None)  # none is drawn for it
    pieces = [flux for _, flux in track.noiseless_flux("test", "tiny")]
    assert np.array_equal(np.concatenate(pieces), truth)


def test_threads_draw_the_same_noise(track, monkeypatch):
    monkeypatch.setattr(threads, "_chosen", 1)
    alone = track.noise("test", 3, 500)
    monkeypatch.setattr(threads, "_chosen", 3)
    assert np.array_equal(track.noise("test", 3, 500), alone)


def test_noise_does_not_depend_on_reading_scale_or_range(track):
    tiny, again, mini = (track.load("test", scale) for scale in ("tiny", "tiny", "mini"))
    assert np.array_equal(tiny.flux, again.flux)
    assert np.array_equal(tiny.flux, mini.flux[:64])
    assert np.array_equal(track.noise("test", 40, 50), track.noise("test", 0, 64)[40:50])


def test_noise_is_uncorrelated_between_twins_pairs_splits_and_tracks(task, track):
    sets = [
        *np.moveaxis(track.noise("train", 0, 100), 1, 0),
        track.noise("train", 100, 200)[:, 0],
        track.noise("validation", 0, 100)[:, 0],
        NoiseTrack(task, 30).noise("train", 0, 100)[:, 0],
    ]
    drawn = np.stack([x.ravel() for x in sets])
    correlation = np.corrcoef(drawn) - np.eye(len(drawn))
    assert np.abs(correlation).max() < 4.5 / np.sqrt(drawn.shape[1])


def test_noise_takes_no_disk(task, track):
    track.prepare("tiny", progress=False)
    files = {path.name for path in track.cached("tiny").path.parent.iterdir()}
    assert files <= {"apogee-giants-1-tiny.h5", "apogee-giants-1-tiny.h5.lock"}


def test_noise_that_differs_from_the_manifest_names_numpy(task, manifest, monkeypatch):
    other = Manifest(**{**vars(manifest), "noise": {"apogee-giants-snr50": {"train": 0.0}}})
    task.manifest = other
    with pytest.raises(DataError, match=r"With numpy .* the noise of train in apogee-giants-snr50"):
        NoiseTrack(task, 50, check=task.check_noise).prepare("tiny", progress=False)
