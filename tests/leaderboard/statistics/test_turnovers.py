"""Turnovers of made methods on the tracks of a suite, of which the answer is known."""

import numpy as np
import pytest
from support.boards import ALL, CONTENT, Board, ranks_of_share

from starbench.leaderboard.pages.order_text import order_section
from starbench.leaderboard.statistics.turnovers import track_orders


def orders(board):
    return {order.task: order for order in track_orders(board.scores(), "plain")}


@pytest.fixture
def board():
    """Return a board on which pairs beat labels on one track, after losing on the first."""
    board = Board().add_bound()
    board.add_method({**ALL, "skewed": 0.3}, "fader")
    board.add_method(
        {**ALL, "plain": 0.7, "noisy": 0.3, "skewed": 0.8}, "rsca", label_access="pairs"
    )
    return board


def test_a_reversed_order_turns_over_and_an_equal_one_does_not(board):
    found = orders(board)
    assert "plain" not in found
    (turnover,) = found["skewed"].turnovers
    assert (turnover.ahead.row.method, turnover.behind.row.method) == ("rsca", "fader")
    assert turnover.here.difference == pytest.approx(0.5)
    assert turnover.reference.difference == pytest.approx(-0.2)
    assert found["skewed"].ordered == 1
    assert found["noisy"].ordered == 1 and found["noisy"].turnovers == ()
    assert found["noisier"].ordered == 0, "equal shares have no order"


def test_the_best_of_each_label_access_leads_by_its_difference(board):
    board.add_method(dict.fromkeys(ALL, 0.1), "hsic")
    found = orders(board)["skewed"]
    assert [line.row.method for line in found.best.values()] == ["rsca", "fader"]
    assert found.shares == pytest.approx({"pairs": 0.8, "nuisance": 0.3})
    assert found.lead.difference == pytest.approx(0.5) and found.lead.low > 0


def test_methods_of_few_seeds_controls_and_submitted_rows_take_no_part(board):
    board.add("skewed", 0.95, (0, 1), "hsic").add("plain", 0.05, (0, 1), "hsic")
    board.add_method({**ALL, "plain": 0.01, "skewed": 0.99}, "raw-flux", control=True)
    board.add_method({**ALL, "plain": 0.01, "skewed": 0.99}, "forged", level="submitted")
    found = orders(board)["skewed"]
    assert len(found.turnovers) == 1
    assert {line.row.method for line in found.best.values()} == {"fader", "rsca"}


def test_a_difference_within_its_interval_is_no_order():
    # The same share on other stars for each seed: all of the difference is scatter.
    seeds = [np.roll(ranks_of_share(share), 100 * seed, axis=0) for seed, share in
             enumerate((0.3, 0.7, 0.5))]  # fmt: skip
    board = Board().add_bound().add_method({**ALL, "skewed": 0.45}, "fader")
    board.add_method({"plain": 0.2}, "rsca", label_access="pairs")
    board.add("skewed", seeds, method="rsca", label_access="pairs")
    found = orders(board)["skewed"]
    assert found.ordered == 0 and not found.lead.separable


def test_the_text_names_winners_differences_and_turnovers(board):
    _, items, how = order_section(board.scores())
    skewed = next(line for line in items.splitlines() if "skewed" in line)
    assert skewed.startswith(
        "- On skewed: **rsca** 80.0 % (pairs), **fader** 30.0 % (nuisance); the first is ahead by "
        "50.00 points ["
    )
    assert "1 of 1 pairs of methods turns over. rsca finds 50.00 points [" in skewed
    assert "more than fader, having found -20.00 points [" in skewed
    assert "None of 1 pairs of methods turns over." in items
    assert "No two methods can be compared with plain yet." in items
    assert "better on plain" in how
    assert order_section(Board().add_bound().scores()) == []


def test_a_track_beside_the_suite_takes_part_and_moves_no_score(board):
    before = board.scores()
    board.add("real", 0.1, method="fader").add("real", 0.4, method="rsca", label_access="pairs")
    board.add("real", 0.9, method="hsic")
    scores = board.scores()
    assert [line.row.method for line in scores.lines] == [line.row.method for line in before.lines]
    for line, alone in zip(scores.lines, before.lines, strict=True):
        assert line.score.value == alone.score.value and line.missing == alone.missing
        assert "real" not in line.tracks and line.on("real") is line.beside["real"]
    found = orders(board)
    assert list(found)[-1] == "real", "tracks beside the suite come last"
    (turnover,) = found["real"].turnovers
    assert (turnover.ahead.row.method, turnover.behind.row.method) == ("rsca", "fader")
    assert turnover.here.difference == pytest.approx(0.3)


def test_the_text_on_a_survey_gives_the_share_of_field_pairs_that_are_alike(board):
    estimate = {"value": 0.018, "low": 0.01, "high": 0.02, "version": 1}
    metrics = {**CONTENT["metrics"], "alike_field_pairs": estimate}
    board.add("real", 0.4, method="rsca", label_access="pairs", metrics=metrics)
    real = next(line for line in order_section(board.scores())[1].splitlines() if "real" in line)
    assert real.endswith(
        "Random pairs of field stars that are as alike as the median pair of siblings: 1.8 % by "
        "rsca."
    )
    others = [line for line in order_section(board.scores())[1].splitlines() if "real" not in line]
    assert not any("Random pairs" in line for line in others)
