"""Which settings a method is tried with: its defaults, then a design that fills its ranges.

A method states the range of a hyperparameter beside it (`starbench.methods.base.option`). All
trials are planned before the first one starts, by the quasi-random sampler of Optuna, which
optimisers of so few trials would draw at random anyway: the budget is the same for every method,
trials can be shared among processes, and no criterion steers them, so that two criteria can be
compared on the same trials.
"""

import dataclasses
import math
import warnings
from dataclasses import dataclass
from numbers import Real
from types import ModuleType
from typing import Any, get_type_hints

from starbench.common.settings import SettingError
from starbench.common.text import one_line
from starbench.methods.base import Method
from starbench.methods.registry import make_hyperparameters

_DECADE = 10.0


@dataclass(frozen=True)
class Knob:
    """A hyperparameter that is tuned.

    Attributes
    ----------
    name : str
    low, high : float
        Ends of its range, which is divided on a logarithmic scale if it spans a factor of ten.
    whole : bool
        Whether it is an integer.
    """

    name: str
    low: float
    high: float
    whole: bool

    @property
    def logarithmic(self) -> bool:
        """Whether the range is divided on a logarithmic scale."""
        return self.low > 0 and self.high >= _DECADE * self.low


def knobs(method: type[Method]) -> tuple[Knob, ...]:
    """Return the hyperparameters of a method that have a range to be tuned in.

    Raises
    ------
    SettingError
        If it has none, or a range cannot be tried.
    """
    types = get_type_hints(method.Hyperparameters)
    found = tuple(
        _knob(method, field.name, types[field.name], field.metadata["tuned"])
        for field in dataclasses.fields(method.Hyperparameters)
        if field.metadata.get("tuned") is not None
    )
    if not found:
        raise SettingError(
            f"{method.name} has nothing to tune: give option(tuned=(low, high)) in its "
            "hyperparameters."
        )
    return found


def _knob(method: type[Method], name: str, kind: Any, tuned: Any) -> Knob:
    """Return a hyperparameter with the range that its author wrote, which is checked."""
    which = f"{method.name} cannot be tuned: hyperparameter {name}"
    if kind not in (int, float):
        raise SettingError(f"{which} is not of type int or float; leave its tuned=(...) out.")
    if not (isinstance(tuned, tuple | list) and len(tuned) == 2 and all(map(_is_number, tuned))):
        raise SettingError(f"{which} has tuned={tuned!r}; give two finite numbers (low, high).")
    low, high = tuned
    if low >= high:
        raise SettingError(f"{which} has tuned={tuned!r}; give a low end below the high one.")
    if kind is int and not (low == int(low) and high == int(high)):
        raise SettingError(f"{which} is an integer with tuned={tuned!r}; give integers.")
    for end in tuned:
        try:
            make_hyperparameters(method, None, [f"{name}={kind(end)}"])
        except Exception as error:  # a dataclass of others may refuse a value by any
            raise SettingError(
                f"{which} has tuned={tuned!r}, of which {end} is refused: {one_line(error)}"
            ) from None
    return Knob(name, kind(low), kind(high), whole=kind is int)


def _is_number(value: Any) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool) and math.isfinite(value)


def planned_settings(method: type[Method], n_trials: int) -> list[dict[str, Any]]:
    """Return the settings of each trial, the first of which are the defaults.

    Raises
    ------
    SettingError
        If the method has nothing to tune, or Optuna is not installed.
    """
    optuna, ranges = _optuna(), knobs(method)
    space = {
        knob.name: optuna.distributions.IntDistribution(
            int(knob.low), int(knob.high), log=knob.logarithmic
        )
        if knob.whole
        else optuna.distributions.FloatDistribution(knob.low, knob.high, log=knob.logarithmic)
        for knob in ranges
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        sampler = optuna.samplers.QMCSampler(scramble=True, seed=0, warn_independent_sampling=False)
    verbosity = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        study = optuna.create_study(sampler=sampler)
    finally:
        optuna.logging.set_verbosity(verbosity)
    # The sampler fills the space of the trials before, so it is shown one.
    corner = {knob.name: int(knob.low) if knob.whole else knob.low for knob in ranges}
    study.add_trial(optuna.trial.create_trial(params=corner, distributions=space, value=0.0))
    drawn = [study.ask(space).params for _ in range(n_trials - 1)]
    return [{}, *({knob.name: _rounded(one[knob.name], knob) for knob in ranges} for one in drawn)]


def _rounded(value: float, knob: Knob) -> float:
    """Return a value with three digits, as it is given to ``--set``, within its range."""
    if knob.whole:
        return value
    return min(max(float(f"{value:.3g}"), knob.low), knob.high)


def _optuna() -> ModuleType:
    try:
        import optuna
    except ModuleNotFoundError as error:
        raise SettingError(
            f"`starbench tune` needs {error.name}; install it with: pip install 'starbench[tune]'."
        ) from None
    return optuna
