"""Shares of a plan, for jobs that know nothing of each other."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from starbench.common.settings import SettingError, bounded_int
from starbench.results.text import shorten

AUTO = "auto"
_TASK, _COUNT = "SLURM_ARRAY_TASK_ID", "SLURM_ARRAY_TASK_COUNT"
_FIRST, _STEP = "SLURM_ARRAY_TASK_MIN", "SLURM_ARRAY_TASK_STEP"

T = TypeVar("T")


@dataclass(frozen=True)
class Shard:
    """The share `number`, counted from 1, of `count` shares."""

    number: int
    count: int

    def of(self, items: Sequence[T]) -> list[T]:
        """Return the items of this share: every `count`-th, so that shares are equally mixed.

        Examples
        --------
        >>> [Shard(number, 2).of("abcde") for number in (1, 2)]
        [['a', 'c', 'e'], ['b', 'd']]
        """
        return list(items[self.number - 1 :: self.count])


def parse_shard(text: str, environment: Mapping[str, str] = os.environ) -> Shard:
    """Return the shard of ``i/n``, or the one of this task of a SLURM job array for ``auto``.

    Raises
    ------
    SettingError
        If `text` is neither, or the environment is that of no job array whose indices count in
        even steps.

    Examples
    --------
    >>> parse_shard("2/8")
    Shard(number=2, count=8)
    >>> array = {"SLURM_ARRAY_TASK_ID": "6", "SLURM_ARRAY_TASK_COUNT": "4",
    ...          "SLURM_ARRAY_TASK_MIN": "5", "SLURM_ARRAY_TASK_STEP": "1"}
    >>> parse_shard("auto", array)
    Shard(number=2, count=4)
    """
    if text == AUTO:
        return _of_job_array(environment)
    parts = [bounded_int(part) if part.isdecimal() else None for part in text.split("/")]
    match parts:
        case [int(number), int(count)] if 1 <= number <= count:
            return Shard(number, count)
    raise SettingError(
        f"--shard must be i/n with i from 1 to n, or auto, but got '{shorten(text)}'."
    )


def _of_job_array(environment: Mapping[str, str]) -> Shard:
    if _TASK not in environment:
        raise SettingError(f"--shard auto needs {_TASK}, which a SLURM job array sets; give i/n.")
    try:
        task, count = int(environment[_TASK]), int(environment[_COUNT])
        first, step = int(environment[_FIRST]), int(environment.get(_STEP, "1"))
        place, remainder = divmod(task - first, step)
    except (KeyError, ValueError, ZeroDivisionError):
        raise SettingError(
            f"--shard auto needs whole numbers in {_TASK}, {_COUNT} and {_FIRST}; give i/n."
        ) from None
    if remainder or not 0 <= place < count:
        raise SettingError(
            f"--shard auto needs an array in even steps, such as --array=0-15, but task {task} is "
            f"none of {count} from {first} in steps of {step}; give i/n."
        )
    return Shard(place + 1, count)
