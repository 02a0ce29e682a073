"""Every method of starbench states how many settings were tried before its defaults were fixed."""

import pytest
from support.boards import Board

from starbench.leaderboard.pages.budget_text import budget_sentence, tried
from starbench.leaderboard.pages.suite_table import suite_section
from starbench.leaderboard.store.budgets import budgets
from starbench.methods.parts.autoencoder import Autoencoder
from starbench.methods.registry import BUILT_IN, get_method

COMPETING = sorted(name for name in BUILT_IN if not get_method(name).control)


def test_each_method_that_competes_has_a_budget():
    assert sorted(budgets()) == COMPETING


@pytest.mark.parametrize("name", COMPETING)
def test_methods_of_the_shared_autoencoder_are_like_fader(name):
    budget = budgets()[name]
    begins_with_fader = name == "found-twins"
    shares = begins_with_fader or (issubclass(get_method(name), Autoencoder) and name != "fader")
    assert (budget.like == "fader") == shares
    assert budget.like == "" or budget.like in budgets()
    assert (budget.settings == 0) == (budget.scale == "")


def test_budgets_stand_beside_the_results():
    scores = Board().add_bound().add_method({"plain": 0.4}, "fader").scores()
    page = "\n".join(suite_section(scores))
    head, _, line, *_ = (line for line in page.splitlines() if line.startswith("| "))
    place = [cell.strip() for cell in head.split("|")].index("Tried")
    assert line.split("|")[place].strip() == "100"
    row = scores.lines[0].row
    assert budget_sentence(row, budgets()) == "Defaults chosen from 100 settings at the full scale"
    like = row.model_copy(update={"method": "ivae"})
    assert budget_sentence(like, budgets()) == (
        "Defaults chosen from 1 setting at the mini scale; all else as in fader (from 100)"
    )
    strange = row.model_copy(update={"method": "strange"})
    assert tried(strange, budgets()) == budget_sentence(strange, budgets()) == ""
