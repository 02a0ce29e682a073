"""Options and lookups of several commands of `starbench leaderboard`."""

from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING

from starbench.cli.commands import UserPath, option

if TYPE_CHECKING:
    from collections.abc import Callable

    from starbench.methods.base import Method
    from starbench.tasks.base import Task

ROW = "leaderboard/rows/apogee-giants-v1__fader__seed0-63cf9547.json"

_directory = partial(
    option,
    "--directory",
    type=UserPath(path_type=Path, exists=True, file_okay=False),
    metavar="DIR",
    help="The leaderboard's folder.",
)
written_directory = _directory(show_default="leaderboard/ of the current checkout")
read_directory = _directory(
    show_default="leaderboard/ of the current checkout, or the one shipped with starbench"
)


def cached_tasks() -> "Callable[[str], Task]":
    """Return a function from a task's name to the task, which draws its labels once for all rows.

    Not cached between commands, which may be given other tasks by one name.
    """
    from starbench.leaderboard.store.task import task_of_rows

    return cache(task_of_rows)


def installed_method(name: str) -> "type[Method] | None":
    """Return the class of a method, or None if it is not installed."""
    from starbench.common.settings import SettingError
    from starbench.methods.registry import get_method

    try:
        return get_method(name)
    except SettingError:
        return None
