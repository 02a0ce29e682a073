"""Least-squares fits of noisy spectra scatter as the information bound says, on each track."""

import pytest
from click.testing import CliRunner

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


def test_the_command_prints_a_line_for_each_track(monkeypatch):
    monkeypatch.setattr(bound, "FEWEST_FITS", 10)
    command = ["apogee-giants-branch", "--scale", "tiny", "--stars", "20"]
    done = CliRunner().invoke(bound.main, command)
    assert done.exit_code == 0, done.output
    cells = done.stdout.splitlines()[-1].split("|")
    assert cells[1].strip() == "apogee-giants-branch"
    assert float(cells[4].split()[0]) <= float(cells[3]) <= float(cells[5].split()[0])
    refused = CliRunner().invoke(bound.main, ["apogee-giants-dense"])
    assert refused.exit_code == 2
    assert "apogee-giants-dense has no noise" in refused.output
