"""Choosing a trial with twins, and by what needs none."""

import pytest

from starbench.methods.fader import Fader
from starbench.methods.pca import PrincipalComponents
from starbench.tuning.choice import choose
from starbench.tuning.trial import Trial


def trial(share, error, leakage):
    return Trial({}, share, error, leakage, 1.0)


def test_without_twins_the_least_error_among_little_leakage_is_chosen():
    trials = [
        [trial(0.50, 3e-6, 0.10)],
        [trial(0.40, 2e-6, 0.14)],
        [trial(0.20, 1e-6, 0.90)],  # reconstructs best, as its latent keeps the nuisance
    ]
    choice = choose(Fader, trials)
    assert (choice.by_twins, choice.without_twins) == (0, 1)


def test_without_nuisance_labels_leakage_is_not_known():
    trials = [[trial(0.2, 2e-6, None)], [trial(0.1, 1e-6, None)]]
    assert choose(PrincipalComponents, trials).without_twins == 1
    assert choose(Fader, trials).without_twins is None


def test_a_trial_counts_only_with_all_its_tasks():
    failed = Trial({}, None, None, None, 1.0, "Diverged: loss became nan")
    trials = [[trial(0.9, 1e-6, 0.1), failed], [trial(0.2, 1e-5, 0.2), trial(0.4, 1e-5, 0.2)]]
    choice = choose(Fader, trials)
    assert choice.twin_shares == (None, pytest.approx(0.3))
    assert choice.by_twins == choice.without_twins == 1
    assert choose(Fader, [[failed, failed]]).by_twins is None


def test_an_error_of_zero_is_the_least():
    trials = [[trial(0.5, 1e-30, 0.1)], [trial(0.4, 0.0, 0.1)], [trial(0.3, 0.0, 0.9)]]
    assert choose(Fader, trials).without_twins == 1
    both = [[trial(0.5, 1e-6, 0.1)] * 2, [trial(0.4, 0.0, 0.1), trial(0.4, 1e-3, 0.1)]]
    assert choose(Fader, both).without_twins == 1
