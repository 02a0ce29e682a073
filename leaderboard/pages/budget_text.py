"""How many settings were tried before a method's defaults were fixed, beside its results."""

from collections.abc import Mapping

from starbench.leaderboard.store.budgets import Budget
from starbench.results.schema import Row

HOW = """\
Tried: the number of settings from which the defaults of a method were chosen, on validation pairs
of the ideal track and at SNR 50, with a star where all else was taken from another method: the
autoencoders have the networks, learning rate, whitening and refinement of `fader`, and
`conditional-flow` the components of `conditional-whitening`. Most trials were at the mini scale;
those of `fader` and `conditional-autoencoder`, and some of `contrastive`, had all pairs. None was
made on a track that breaks an assumption. methods/TUNING.md lists them; `starbench tune` tries
every method with the same number."""


def tried(row: Row, budgets: Mapping[str, Budget]) -> str:
    """Return the number for a table, as Markdown; empty for methods without a budget."""
    budget = _budget(row, budgets)
    return "" if budget is None else f"{budget.settings}" + (r"\*" if budget.like else "")


def budget_sentence(row: Row, budgets: Mapping[str, Budget]) -> str:
    """Return the budget of a row's method in words; empty for methods without one."""
    budget = _budget(row, budgets)
    if budget is None:
        return ""
    if budget.settings:
        settings = "1 setting" if budget.settings == 1 else f"{budget.settings} settings"
        text = f"Defaults chosen from {settings} at the {budget.scale} scale"
    else:
        text = "No settings were tried"
    if budget.like:
        text += f"; all else as in {budget.like} (from {budgets[budget.like].settings})"
    return text


def _budget(row: Row, budgets: Mapping[str, Budget]) -> Budget | None:
    """Return the budget of a row's method; none for a stranger's method of the same name."""
    return None if row.code else budgets.get(row.method)
