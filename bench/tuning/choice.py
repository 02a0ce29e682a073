"""Which of the trials is chosen: by validation twins, and by what needs no twins.

Twins are information about pairs, to which methods of label access `none` and `nuisance` have no
right. What they could choose by is a pair of numbers: of the trials that leak little of the
nuisance, the one that reconstructs best.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from starbench.methods.base import Method
from starbench.tuning.trial import Trial

# Of R^2, above the least leakage of a trial.
LEAKAGE_ALLOWED = 0.05


@dataclass(frozen=True)
class Choice:
    """The chosen trials, counted from 0; each is one setting on all tasks.

    Attributes
    ----------
    by_twins : int or None
        The trial with the highest mean share of nearest twins; None if all failed.
    without_twins : int or None
        The trial with the least error of those with little leakage; None if no trial has both.
    twin_shares : tuple of float or None
        The mean share over the tasks of each trial; None where it failed on one.
    """

    by_twins: int | None
    without_twins: int | None
    twin_shares: tuple[float | None, ...]


def choose(method: type[Method], trials: Sequence[Sequence[Trial]]) -> Choice:
    """Choose among trials, each of which was made on some tasks.

    Parameters
    ----------
    method : type of Method
    trials : sequence of sequence of Trial
        For each setting its trials on the tasks, in one order.
    """
    shares = tuple(_mean([each.twin_share for each in one]) for one in trials)
    known = [(share, number) for number, share in enumerate(shares) if share is not None]
    by_twins = None if not known else max(known, key=lambda each: (each[0], -each[1]))[1]
    errors = [_mean([_logarithm(x.squared_error) for x in one]) for one in trials]
    leaks = [
        0.0 if method.label_access == "none" else _mean([x.leakage for x in one]) for one in trials
    ]
    both = [
        (error, leak, number)
        for number, (error, leak) in enumerate(zip(errors, leaks, strict=True))
        if error is not None and leak is not None and shares[number] is not None
    ]
    if not both:
        return Choice(by_twins, None, shares)
    least = min(leak for _, leak, _ in both)
    allowed = [each for each in both if each[1] <= least + LEAKAGE_ALLOWED]
    return Choice(by_twins, min(allowed)[2], shares)


def _logarithm(error: float | None) -> float | None:
    """Return the logarithm of an error; that of a perfect reconstruction is below all others."""
    if error is None:
        return None
    return math.log(error) if error > 0 else -math.inf


def _mean(values: Sequence[float | None]) -> float | None:
    """Return the mean; None if a value is missing."""
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if len(known) == len(values) and known else None
