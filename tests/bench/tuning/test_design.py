"""The design of trials: defaults first, then settings that fill the ranges of a method."""

import dataclasses

import pytest

from starbench.common.settings import SettingError
from starbench.methods.base import option
from starbench.methods.registry import get_method, make_hyperparameters, method_names
from starbench.tuning.design import Knob, knobs, planned_settings


@dataclasses.dataclass(frozen=True)
class Settings:
    weight: float = option(0.3, "a weight", low=0.0, tuned=(0.01, 10.0))
    degree: int = option(2, "an order", tuned=(1, 4))
    depth: int = option(2, "not tuned")


class Tuned:
    name, Hyperparameters = "tuned", Settings


def test_defaults_come_first_and_the_rest_fills_the_ranges():
    planned = planned_settings(Tuned, 33)
    assert len(planned) == 33 and planned[0] == {}
    weights = sorted(each["weight"] for each in planned[1:])
    assert all(0.01 <= weight <= 10 for weight in weights)
    # On a logarithmic scale: a third of them in each decade.
    assert [sum(low <= w < 10 * low for w in weights) for low in (0.01, 0.1, 1.0)] == (
        pytest.approx([32 / 3] * 3, abs=1.5)
    )
    assert {each["degree"] for each in planned[1:]} == {1, 2, 3, 4}
    assert planned_settings(Tuned, 33) == planned
    assert planned_settings(Tuned, 9) == planned[:9]  # a larger budget keeps the trials


def test_a_method_without_ranges_is_refused():
    with pytest.raises(SettingError, match="twin-by-order has nothing to tune"):
        knobs(get_method("twin-by-order"))


def method_with(kind, tuned, default=2, **bounds):
    field = option(default, "a knob", tuned=tuned, **bounds)
    settings = dataclasses.make_dataclass("Settings", [("knob", kind, field)], frozen=True)
    return type("Tuned", (), {"name": "tuned", "Hyperparameters": settings})


@pytest.mark.parametrize(
    ("kind", "tuned", "fault"),
    [
        (float, (3.0, 1.0), "give a low end below the high one"),
        (float, (1.0, 1.0), "give a low end below the high one"),
        (float, ("0.1", "1"), "give two finite numbers"),
        (float, (0.1, float("inf")), "give two finite numbers"),
        (float, (float("nan"), 1.0), "give two finite numbers"),
        (float, (0.1,), "give two finite numbers"),
        (float, 0.1, "give two finite numbers"),
        (int, (False, True), "give two finite numbers"),
        (int, (0.5, 3), "is an integer with tuned=(0.5, 3); give integers"),
        (str, (1, 2), "is not of type int or float"),
        (tuple[int, ...], (1, 2), "is not of type int or float"),
    ],
)
def test_a_range_that_cannot_be_tried_is_refused(kind, tuned, fault):
    with pytest.raises(SettingError) as refused:
        knobs(method_with(kind, tuned))
    message = str(refused.value)
    assert message.startswith("tuned cannot be tuned: hyperparameter knob ") and fault in message
    assert "\n" not in message


def test_a_range_beyond_what_is_allowed_is_refused():
    outside = method_with(float, (0, 9.0), default=2.0, low=1.0)
    with pytest.raises(SettingError, match=r"\(0, 9\.0\), of which 0 is refused: .* 1\.0"):
        knobs(outside)


def test_a_range_from_zero_is_divided_evenly():
    drawn = [one["knob"] for one in planned_settings(method_with(float, (0, 8.0)), 9)[1:]]
    assert sorted(int(value) for value in drawn) == list(range(8))


def test_rounding_keeps_a_value_in_its_range():
    low, high = 1.2344, 1.2346
    planned = planned_settings(method_with(float, (low, high), default=1.2345, low=low), 5)
    assert all(low <= each["knob"] <= high for each in planned[1:])


def test_a_range_is_logarithmic_where_it_spans_a_factor_of_ten():
    spans = {(0.1, 1.0): True, (0.0, 2.0): False, (14, 30): False}
    assert all(
        Knob("a", low, high, whole=False).logarithmic == log for (low, high), log in spans.items()
    )


@pytest.mark.parametrize("name", [n for n in method_names() if not get_method(n).control])
def test_ranges_lie_within_what_is_allowed(name):
    method = get_method(name)
    for knob in knobs(method):
        for value in (knob.low, knob.high):
            make_hyperparameters(method, None, [f"{knob.name}={value}"])
