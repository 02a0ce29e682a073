"""Siblings in groups of any size: all pairs of a fit, those held out, and random draws."""

import numpy as np
import pytest
import torch

from starbench.methods.base import SettingError, View
from starbench.methods.parts.siblings import SiblingPairs, Siblings, groups, pairs


def stars(group=None, twin=None):
    n = len(group if twin is None else twin)
    return View(np.ones((n, 3), np.float32), group=group, twin=twin)


def test_pairs_of_twins_are_each_given_once():
    assert pairs(groups(stars(twin=np.array([2, 3, 0, 1])), "m")).tolist() == [[0, 2], [1, 3]]


def test_stars_of_a_group_are_paired_in_a_ring():
    assert sorted(pairs(np.array([5, 5, 1, 5, 9, 9])).tolist()) == [[0, 1], [1, 3], [3, 0], [4, 5]]


def test_a_training_set_without_siblings_is_refused():
    for view in (stars(group=np.arange(6)), stars(twin=None, group=np.arange(2)), View(np.ones(3))):
        with pytest.raises(SettingError, match="no two stars of the training set share a group"):
            groups(view, "contrastive")


def test_no_group_is_both_held_out_and_learned_from():
    group = np.random.default_rng(0).integers(0, 90, 400)
    both = SiblingPairs.of(stars(group=group), "m")
    held_out, learned = (set(group[each.numpy().ravel()]) for each in (both.held_out, both.learned))
    assert len(held_out) > 3
    assert not held_out & learned
    assert set(both.rows.tolist()) == set(range(400)) - set(both.held_out.flatten().tolist())


def test_siblings_are_drawn_evenly_from_the_fitted_members_of_a_group():
    group = np.array([7, 1, 7, 7, 2, 1, 7])
    siblings = Siblings(group, None, 6)  # the last star is held out
    generator = torch.Generator().manual_seed(0)
    drawn = siblings.draw(torch.arange(6).repeat(3000), generator).reshape(3000, 6)
    assert drawn[:, 4].unique().tolist() == [4]  # without siblings
    assert drawn[:, 1].unique().tolist() == [5]
    assert drawn[:, 0].unique().tolist() == [2, 3]
    assert (drawn[:, 0] == 2).float().mean().item() == pytest.approx(0.5, abs=0.04)


def test_too_few_pairs_to_hold_any_out_are_refused_in_one_sentence():
    with pytest.raises(SettingError, match="the training set has 7; give at least 8"):
        SiblingPairs.of(stars(twin=np.arange(14) ^ 1), "vicreg")
