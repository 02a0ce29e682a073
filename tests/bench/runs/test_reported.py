"""What a method reports and no row can hold is refused at its first epoch, not after the fit."""

import numpy as np
import pytest

from starbench.methods.base import Diagnostic, SettingError
from starbench.methods.registry import get_method
from starbench.metrics import network
from starbench.runs import runner


class Altered:
    """A monitor that passes on what a method reports, altered."""

    def __init__(self, monitor, epochs, epoch, values):
        self.monitor, self.change, self.values = monitor, (epochs, epoch), values

    def start(self, method, epochs):
        self.monitor.start(method, self.change[0](epochs))

    def epoch(self, method, epoch, values):
        method.seen = epoch
        self.monitor.epoch(method, self.change[1](epoch), {**values, **self.values})


@pytest.fixture
def altered(linear):
    """A factory of methods that report otherwise."""

    def make(epochs=int, epoch=int, values=None, parameters=None, watched=()):
        class Reporting(linear):
            name = "reporting"
            diagnostics = (*linear.diagnostics, *watched)
            seen = 0

            def fit(self, train, validation, monitor):
                try:
                    super().fit(train, validation, Altered(monitor, epochs, epoch, values or {}))
                finally:
                    type(self).seen = self.seen

            @property
            def n_parameters(self):
                assert self._components.size  # not known before the fit
                return super().n_parameters if parameters is None else parameters

        return Reporting

    return make


@pytest.fixture
def run(toy_task, tmp_path, monkeypatch):
    monkeypatch.setattr(network, "_MIN_STEPS", 20)
    monkeypatch.setattr(network, "_EPOCHS", 2)

    def run(method):
        options = {"scale": "tiny", "device": "cpu", "out": tmp_path, "quiet": True, "force": True}
        return runner.run(toy_task, method, **options).row

    return run


def test_integers_of_numpy_are_counts(run, altered):
    row = run(altered(np.int32, np.int64, {"loss": np.float32(1)}, np.int64(7)))
    assert (row.status, row.n_parameters, row.epochs) == ("ok", 7, 12)


@pytest.mark.parametrize(
    ("changes", "seen", "message"),
    [
        ({"epochs": float}, 0, "the number of epochs that fit starts with is 12.0; give an"),
        ({"epoch": float}, 1, "the epoch that fit reports is 1.0; give an integer of at least 1."),
        ({"epoch": lambda epoch: epoch - 1}, 1, "the epoch that fit reports is 0; give an integer"),
        ({"epoch": lambda _: 1}, 2, "the epoch that fit reports is 1; give an integer of at leas"),
        ({"parameters": 7.0}, 1, "n_parameters is 7.0; give an integer of at least 0."),
        ({"parameters": -1}, 1, "n_parameters is -1; give an integer of at least 0."),
        ({"parameters": np.array([3])}, 1, "n_parameters is [3]; give an integer of at least 0."),
        ({"values": {"epoch": 3}}, 1, "fit reports a value named epoch, as starbench's own;"),
        ({"values": {"validation_doppelganger_free": 1}}, 1, "named validation_doppelganger_free,"),
        ({"values": {7: 1}}, 1, "fit reports a value of the name 7; give it a text."),
        ({"values": {"loss": "low"}}, 1, "fit reports loss as str; give a single number."),
        ({"values": {"loss": np.ones(2)}}, 1, "fit reports loss as ndarray; give a single number."),
        ({"values": {"loss": 1e200}}, 1, "loss became 1e+200 in epoch 1"),
    ],
)
def test_what_no_row_can_hold_ends_a_fit_when_it_is_reported(run, altered, changes, seen, message):
    method = altered(**changes)
    row = run(method)
    assert row.status != "ok" and message in row.message
    assert method.seen == seen


def test_diagnostics_that_no_row_can_hold_are_refused_before_the_fit(run, altered):
    method = altered(watched=(Diagnostic("x" * 101, "long"),))
    with pytest.raises(SettingError, match="field `diagnostics"):
        run(method)
    assert method.seen == 0
    method.diagnostics = ("loss",)
    with pytest.raises(SettingError, match=r"'diagnostics' of .* must be a tuple of starbench"):
        get_method(method)


def test_a_remark_of_any_text_fits_into_a_row(run, altered):
    long = Diagnostic("loss", "loss\n", high=0.0, above="too much\n" * 500)
    row = run(altered(values={"loss": 1.0}, watched=(long,)))
    assert row.status == "ok" and row.message.startswith("the loss ends at 1: too much too much")
