"""How many settings were tried before the defaults of each of starbench's methods were fixed."""

import csv
from dataclasses import dataclass
from importlib.resources import files


@dataclass(frozen=True)
class Budget:
    """The trials from which the defaults of a method were chosen.

    Attributes
    ----------
    settings : int
        Number of settings that were tried on the method itself, as `methods/TUNING.md` lists them.
    scale : str
        Of the data on which most were tried; empty without trials.
    like : str
        Method whose defaults it took for all that was not tried; empty if none.
    """

    settings: int
    scale: str
    like: str


def budgets() -> dict[str, Budget]:
    """Return the budget of each method of starbench, by its name, as ``budgets.csv`` lists them."""
    text = files("starbench.leaderboard").joinpath("budgets.csv").read_text(encoding="utf-8")
    return {
        line["method"]: Budget(int(line["settings"]), line["scale"], line["like"])
        for line in csv.DictReader(text.splitlines())
    }
