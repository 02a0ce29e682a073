"""Tracks beside a suite have a column of their own, and no part in the scores."""

import pytest
from support.boards import Board

from starbench.leaderboard.pages.readme import readme_part
from starbench.leaderboard.pages.suite_table import suite_section, suite_text


@pytest.fixture
def board():
    return Board().add_bound().add_method({"plain": 0.4}, "fader")


def cells(page, method):
    (line,) = (line for line in page.splitlines() if line.startswith(f"| {method} |"))
    return [cell.strip() for cell in line.split("|")[1:-1]]


def test_a_track_beside_the_suite_is_the_last_column(board):
    without = readme_part(board.scores())
    assert "counts in no score" not in without
    board.add("real", 0.1, method="fader").add("real", 0.9, method="information-bound")
    scores = board.scores()
    page = readme_part(scores)
    assert cells(page, "Method") == [*cells(without, "Method"), "real"]
    assert cells(page, "fader") == [*cells(without, "fader"), "10.0"]
    assert "real shows the share of nearest siblings, and counts in no score." in " ".join(
        page.split()
    )
    assert any("and counts in no score." in block for block in suite_section(scores))
    assert "and counts in no score." in " ".join(suite_text(scores).split())
