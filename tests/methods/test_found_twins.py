"""Found twins: Fader, then training on mates that are found without being told."""

import dataclasses

import numpy as np
from support.small_settings import TINY, Record, fit_small, hyperparameters
from support.spectra import draw, view

from starbench.methods.fader import Fader
from starbench.methods.found_twins import FoundTwins

N_PAIRS = 100
FLUX, U, _ = draw("test", 20)
SPECTRA = FLUX.reshape(40, -1), U.reshape(40, -1)


def fitted(train, monitor=None, **settings):
    small = hyperparameters(FoundTwins, TINY)
    values = {field.name: getattr(small, field.name) for field in dataclasses.fields(small)}
    return fit_small(FoundTwins, train, monitor=monitor, **{**values, **settings})


def test_twins_that_are_told_are_not_read():
    told = view("train", N_PAIRS, "pairs")
    wrong = dataclasses.replace(told, twin=np.roll(told.twin, 7))
    one, other = (fitted(train).encode(*SPECTRA) for train in (told, wrong))
    assert np.array_equal(one, other)


def test_without_rounds_it_is_fader():
    small = hyperparameters(Fader, TINY)
    values = {field.name: getattr(small, field.name) for field in dataclasses.fields(small)}
    fader = fit_small(Fader, view("train", N_PAIRS, "nuisance"), **values)
    found = fitted(view("train", N_PAIRS, "pairs"), rounds=0)
    assert np.array_equal(found.encode(*SPECTRA), fader.encode(*SPECTRA))


def test_mates_are_each_others_and_rounds_are_counted_as_epochs():
    record = Record()
    method = fitted(view("train", N_PAIRS, "pairs"), record, epochs=4, round_epochs=0.5)
    assert len(record.values) == 4 + 2 * 2
    mates = method.mates.numpy()
    assert np.array_equal(mates[mates], np.arange(2 * N_PAIRS))
    assert (mates != np.arange(2 * N_PAIRS)).any()
