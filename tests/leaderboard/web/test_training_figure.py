"""The training figure: declared diagnostics, or else what the histories hold."""

import pytest

from starbench.leaderboard.store.traces import Trace
from starbench.leaderboard.web.method_figures import method_training
from starbench.methods.base import Diagnostic

HISTORY = tuple(
    {"epoch": float(epoch), "loss": 1 / epoch, "critic": 0.5, "by_chance": 0.7, "extra": 1.0}
    for epoch in range(1, 4)
)
RUNS = {"apogee-giants": [Trace(HISTORY), Trace(HISTORY)]}
CRITIC = Diagnostic("critic", "critic's loss", reference="by_chance")


@pytest.mark.parametrize(
    ("diagnostics", "panels"),
    [
        ((CRITIC,), ["critic's loss", "loss"]),
        ((CRITIC, Diagnostic("absent", "not reported")), ["critic's loss", "loss"]),
        ((), ["loss"]),  # of one panel with all four
    ],
)
def test_panels_show_the_declared_diagnostics_or_else_all_quantities(diagnostics, panels):
    drawn = method_training("fader", RUNS, diagnostics)
    start = "Line chart over epochs of 2 fits of fader: "
    assert [panel.alt for panel in drawn.panels] == [f"{start}{panel}." for panel in panels]
    assert ("dashed line" in drawn.caption) == bool(diagnostics)


def test_without_histories_there_is_no_figure():
    assert method_training("fader", {"apogee-giants": [Trace()]}, (CRITIC,)) is None
