"""The table of what was chosen for each method."""

from collections.abc import Sequence

from tabulate import tabulate

from starbench.methods.base import Method
from starbench.tuning.choice import Choice
from starbench.tuning.design import planned_settings


def choices_table(choices: Sequence[tuple[type[Method], Choice]], n_trials: int) -> str:
    """Return a table with, for each method, both choices and the share of twins of each."""
    lines = []
    for method, choice in choices:
        planned = planned_settings(method, n_trials)

        def words(number: int | None, planned: list[dict[str, float]] = planned) -> str:
            if number is None:
                return "none"
            return (
                " ".join(f"{key}={value}" for key, value in planned[number].items()) or "defaults"
            )

        def share(number: int | None, choice: Choice = choice) -> str:
            value = None if number is None else choice.twin_shares[number]
            return "" if value is None else f"{value:.1%}"

        lines.append(
            {
                "method": method.name,
                "defaults": share(0),
                "by twins": words(choice.by_twins),
                "nearest": share(choice.by_twins),
                "without twins": words(choice.without_twins),
                "nearest ": share(choice.without_twins),
                "failed": sum(value is None for value in choice.twin_shares),
            }
        )
    return tabulate(lines, headers="keys", disable_numparse=True, maxcolwidths=40)
