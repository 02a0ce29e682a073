"""Fresh test stars: same task, other draw, from streams that hold a public value."""

import numpy as np
import pytest

from starbench.tasks.errors import DataError
from starbench.tasks.fresh import FreshTest
from starbench.tasks.observation.noise import NoiseTrack
from starbench.tasks.own.hdf5 import OwnData
from starbench.tasks.registry import BUILT_IN, get_task

VALUE = "1a2b3c4d5e6f7a8b"
N = 48


def noise_of(spectra):
    """Return the noise, of unit deviation where errors are stated, 0 in masked pixels."""
    noise = spectra.flux - spectra.noiseless_flux
    if spectra.error is None:
        return noise
    return np.where(np.isinf(spectra.error), 0, noise / spectra.error)


@pytest.mark.parametrize("name", BUILT_IN)
def test_every_task_draws_other_stars_of_the_same_kind(name, tmp_path):
    task = get_task(name, cache=tmp_path)
    fresh = FreshTest(task, VALUE)
    assert fresh.cache == tmp_path
    if task.stored:  # for others, prepare is the task's own
        fresh.prepare("tiny")
    assert not list(tmp_path.rglob("*.h5"))  # stored data are not built
    drawn, standard = fresh.make("test", 0, N), task.make("test", 0, N)
    for field in ("flux", "nuisance", "composition", "unseen"):
        ours, theirs = getattr(drawn, field), getattr(standard, field)
        if theirs is None:
            assert ours is None
            continue
        assert not (ours == theirs).all(axis=-1).any(), "no star is one of the standard test"
        axes = tuple(range(theirs.ndim - 1))
        error = (theirs.std(axes) + 1e-4) * np.sqrt(2 / N)
        assert (np.abs(ours.mean(axes) - theirs.mean(axes)) < 5 * error).mean() > 0.99
    noise, other = (noise_of(each) for each in (drawn, standard))
    assert noise.std() == pytest.approx(other.std(), rel=0.01)
    if task.snr:
        assert abs(np.corrcoef(noise[0, 0], other[0, 0])[0, 1]) < 0.1
    assert np.array_equal(fresh.make("test", 5, 6).flux[0], drawn.flux[5])
    assert np.array_equal(FreshTest(task, VALUE).make("test", 0, 2).flux, drawn.flux[:2])
    another = FreshTest(task, VALUE + "0").make("test", 0, 2)
    assert not (another.nuisance == drawn.nuisance[:2]).any()


def test_only_test_is_fresh(task):
    track = NoiseTrack(task, 50)
    fresh = FreshTest(track, VALUE)
    task.prepare("tiny", progress=False)
    assert fresh.name == track.name and fresh.fingerprint("tiny") == track.fingerprint("tiny")
    assert np.array_equal(fresh.load("train", "tiny").flux, track.load("train", "tiny").flux)
    drawn = fresh.load("test", "tiny")
    assert drawn.flux.shape == track.load("test", "tiny").flux.shape
    nuisance, composition = fresh.labels_on_disk("test", "tiny")
    assert np.array_equal(nuisance, drawn.nuisance)
    assert np.array_equal(composition, drawn.composition)
    pieces = list(fresh.noiseless_flux("test", "tiny"))
    assert np.array_equal(np.concatenate([flux for _, flux in pieces]), drawn.noiseless_flux)


def test_kept_stars_are_drawn_once_and_nobody_can_change_them(task):
    fresh = FreshTest(NoiseTrack(task, 50), VALUE, keep=True)
    first, again = (list(fresh.chunks("test", "tiny")) for _ in range(2))
    assert all(one is other for (_, one), (_, other) in zip(first, again, strict=True))
    drawn = FreshTest(NoiseTrack(task, 50), VALUE).load("test", "tiny")
    assert np.array_equal(fresh.load("test", "tiny").flux, drawn.flux)
    with pytest.raises(ValueError, match="read-only"):
        first[0][1].flux[:] = 1


@pytest.mark.parametrize("value", ["", "short", "a/b" * 10, "with blanks in between", "x" * 300])
def test_a_value_that_anyone_could_guess_or_that_ends_a_name_is_refused(task, value):
    with pytest.raises(DataError, match="must have 16 to 256 characters"):
        FreshTest(task, value)


def test_tasks_without_streams_are_refused(toy_task, pairs_file):
    for own in (toy_task, OwnData(pairs_file())):
        with pytest.raises(DataError, match="has no other stars than those of its splits"):
            FreshTest(own, VALUE)


def test_a_task_that_ignores_the_name_of_the_split_is_refused(toy_task, monkeypatch):
    toy_task.draws_any_split = True
    make = toy_task.make
    monkeypatch.setattr(toy_task, "make", lambda split, *rows: make("test", *rows))
    with pytest.raises(DataError, match="put the split into the names of its random streams"):
        FreshTest(toy_task, VALUE).prepare("tiny")
