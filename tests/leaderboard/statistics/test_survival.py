"""Which approaches survive: made methods on a made suite, of which the answer is known."""

import numpy as np
import pytest
from support.boards import ALL, SUITE, Board, ranks_of_share

from starbench.leaderboard.pages.survival_text import survival_section
from starbench.leaderboard.statistics.survival import survival
from starbench.methods.approaches import MEANINGS, approach
from starbench.methods.registry import BUILT_IN, get_method


@pytest.fixture
def board():
    """Return a board on which twins survive, the adversary breaks, and pca is weak throughout."""
    board = Board().add_bound()
    board.add_method({**ALL, "noisy": 0.8, "skewed": 0.3}, "fader")
    board.add_method({**ALL, "noisy": 0.7, "skewed": 0.2}, "dann")
    board.add_method({**ALL, "noisy": 0.9, "skewed": 0.8}, "rsca", label_access="pairs")
    board.add_method({**ALL, "noisy": 0.1, "skewed": 0.1}, "pca", label_access="none")
    return board


def test_outcomes_follow_from_the_best_method_of_an_approach(board):
    found = survival(board.scores())
    assert found.tasks == ("noisy", "skewed")
    outcomes = {name: found.outcome(name, "skewed") for name in found.best}
    assert outcomes == {"adversary": "breaks", "no labels": "weak", "twins": "survives"}
    best = found.best["adversary"]["skewed"]
    assert best.line.row.method == "fader"
    assert best.gap == pytest.approx(0.3, abs=0.002) and best.low < best.gap < best.high < 0.5


def test_a_gap_of_one_half_within_its_interval_is_undecided(board):
    board.add_method({**ALL, "noisy": 0.9, "skewed": 0.51}, "mmd")
    assert survival(board.scores()).outcome("independence penalty", "skewed") == "undecided"


def test_seeds_that_scatter_leave_an_approach_undecided(board):
    seeds = [np.roll(ranks_of_share(share), 100 * seed, axis=0) for seed, share in
             enumerate((0.9, 0.5, 0.7))]  # fmt: skip
    board.add_method({**ALL, "noisy": 0.9, "skewed": seeds}, "linear-erasure")
    assert survival(board.scores()).outcome("regression", "skewed") == "undecided"


def test_few_seeds_controls_and_submitted_rows_save_no_approach(board):
    board.add("skewed", 0.9, (0, 1), "factordis")
    board.add_method({**ALL, "skewed": 0.9}, "gandalf", level="submitted")
    board.add_method({**ALL, "skewed": 0.9}, "nuisance-latent", control=True)
    assert survival(board.scores()).outcome("adversary", "skewed") == "breaks"


def test_an_approach_without_the_unbroken_track_can_survive_but_not_break(board):
    board.add("skewed", 0.9, method="label-regression", label_access="oracle")
    board.add("skewed", 0.1, method="mmd")
    found = survival(board.scores())
    assert found.outcome("compositions", "skewed") == "survives"
    assert found.outcome("independence penalty", "skewed") is None


def test_the_text_says_who_survives_by_how_much_and_what_an_approach_is(board):
    title, items, table, how, approaches = survival_section(board.scores())
    assert title == "### Which approaches survive a broken assumption"
    (item,) = items.splitlines()
    assert item.startswith(r"- On skewed: **twins** (rsca 80.0 % \[")
    assert r"survives; **adversary** (fader 29.9 % \[" in item
    assert item.endswith("is weak with nothing broken.")
    assert "| adversary | fader 80.0 | fader 29.9 |" in table
    assert "the best on noisy, where nothing is broken" in " ".join(how.split())
    assert f"twins: {MEANINGS['twins']}" in approaches
    assert survival_section(Board().add_bound().scores()) == []
    assert SUITE.unbroken == "noisy"


def test_every_method_that_sees_the_labels_has_an_approach_of_its_own():
    for name in BUILT_IN:
        method = get_method(name)
        if method.label_access == "nuisance" and not method.control:
            assert approach(name, "nuisance") != "other use of the labels", name
        assert approach(name, method.label_access) in MEANINGS
