"""A part of a view holds whole pairs, and nothing else of them changes."""

import numpy as np
import pytest

from starbench.evaluation.views import view_split
from starbench.tasks.streams import inverse
from starbench.tuning.part import first_pairs


@pytest.mark.parametrize("access", ["none", "nuisance", "pairs", "oracle"])
def test_a_part_is_the_view_of_the_first_pairs(toy_task, access):
    whole = view_split(toy_task, "train", "full", access, seed=0)
    part = first_pairs(whole, 10)
    assert len(part.view) == len(part.order) == 20
    assert sorted(part.order) == list(range(20))
    places = [np.flatnonzero(whole.order == spectrum)[0] for spectrum in part.order]
    assert places == sorted(places)
    assert np.array_equal(part.view.flux, whole.view.flux[places])
    assert np.array_equal(part.labels.nuisance, whole.labels.nuisance[:10])
    if access in ("pairs", "oracle"):
        assert np.array_equal(part.order[part.view.twin], part.order ^ 1)
    if access == "oracle":
        rows = inverse(part.order).reshape(10, 2)
        assert np.array_equal(part.view.composition[rows[:, 0]], whole.labels.composition[:10])
    assert (part.view.nuisance is None) == (access == "none")
