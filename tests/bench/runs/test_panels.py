"""The panels of a history that figures of runs and of the leaderboard share."""

from matplotlib.figure import Figure

from starbench.methods.base import Diagnostic
from starbench.results.history import MEASURE
from starbench.runs.panels import history_panels, series

ENTROPY = Diagnostic("adversary_cross_entropy", "adversary's cross-entropy", reference="chance")
HISTORY = [
    {"epoch": 1, "reconstruction_mse": 0.1, "kl": 2.0, "adversary_cross_entropy": 4.0},
    {"epoch": 2, "reconstruction_mse": 0.01, "kl": -1.0, "chance": 4.6, MEASURE: 0.5},
]
NAMES = ["epoch", "reconstruction_mse", "kl", "adversary_cross_entropy", "chance", MEASURE]


def test_each_quantity_is_in_one_panel():
    panels = history_panels(NAMES, [ENTROPY])
    assert [panel.quantities for panel in panels] == [
        (MEASURE,),
        ("reconstruction_mse",),
        ("adversary_cross_entropy",),
        ("kl",),
    ]
    assert panels[2].references == ("chance",)
    assert panels[2].label == "adversary's\ncross-entropy"


def test_undeclared_quantities_are_losses():
    panels = history_panels(NAMES, [])
    assert panels[-1].quantities == ("kl", "adversary_cross_entropy", "chance")


def test_a_reference_that_was_not_reported_is_left_out():
    names = [name for name in NAMES if name != "chance"]
    assert history_panels(names, [ENTROPY])[2].references == ()


def test_a_history_without_quantities_has_no_panels():
    assert history_panels(["epoch"], [ENTROPY]) == []


def test_a_series_holds_the_epochs_that_reported_the_quantity():
    assert series(HISTORY, "kl") == ([1, 2], [2.0, -1.0])
    assert series(HISTORY, MEASURE) == ([2], [0.5])


def test_an_axis_is_logarithmic_only_if_all_values_are_positive():
    axes = Figure().subplots()
    panel = history_panels(["kl"], [])[0]
    assert not panel.scale(axes, [2.0, -1.0])
    assert axes.get_yscale() == "linear" and axes.get_ylabel() == "loss"
    assert panel.scale(axes, [2.0, 1.0])
    assert axes.get_yscale() == "log"
