"""Least-squares fits of noisy spectra scatter as the information bound says, on each track."""

import pytest

from benchmarks import bound
from starbench.tasks.registry import get_task

TRACKS = ("dense-snr200", "branch", "labels", "hidden", "metallicity")


@pytest.mark.parametrize("track", TRACKS)
def test_fits_attain_the_bound_of_each_track(track):
    done = bound.fits(get_task(f"apogee-giants-{track}"), "tiny", 40)
    assert done.used.sum() > 500
    assert 0.9 < done.ratio() < 1.2


def test_tracks_with_noise_are_checked_by_default():
    names = bound.tracks()
    assert {f"apogee-giants-{track}" for track in TRACKS} <= set(names)
    assert "apogee-giants" not in names
