"""Names that stand for several methods or tasks."""

from collections.abc import Callable, Iterable
from typing import TypeVar

from starbench.common.plugins import each_loaded
from starbench.common.progress import say
from starbench.common.settings import SettingError
from starbench.methods.base import LABEL_ACCESS, Method
from starbench.methods.registry import get_method, method_names
from starbench.tasks.errors import DataError
from starbench.tasks.registry import get_task, task_names
from starbench.tasks.suites import SUITES

ALL = "all"
CONTROLS = "controls"

Loaded = TypeVar("Loaded")


def expand_methods(words: Iterable[str]) -> list[str]:
    """Return the methods of names and groups, each once.

    The groups are ``all``, ``controls``, and each label access, which stands for the methods of
    that access that are no controls.

    Examples
    --------
    >>> expand_methods(["pca", "pairs"])
    ['pca', 'ada-gvae', 'contrastive', 'found-twins', 'rsca', 'swap-consistency', 'vicreg']
    """
    return _expand(words, _methods_of)


def expand_tasks(words: Iterable[str]) -> list[str]:
    """Return the tasks of names and groups, each once.

    The groups are ``all``, and each suite, which stands for its tracks.

    Examples
    --------
    >>> expand_tasks(["giants-v1"])[:2]
    ['apogee-giants', 'apogee-giants-snr100']
    """

    def members(word: str) -> list[str] | None:
        if word == ALL:
            return list(_loaded(task_names(), get_task, DataError))
        return list(SUITES[word].tasks) if word in SUITES else None

    return _expand(words, members)


def _expand(words: Iterable[str], members: Callable[[str], list[str] | None]) -> list[str]:
    """Replace each word that is a group by its members; a word without members is a name."""
    names: dict[str, None] = {}
    for word in words:
        group = members(word)
        names |= dict.fromkeys([word] if group is None else group)
    return list(names)


def _methods_of(word: str) -> list[str] | None:
    if word not in (ALL, CONTROLS, *LABEL_ACCESS):
        return None

    def belongs(method: type[Method]) -> bool:
        if word in (ALL, CONTROLS):
            return word == ALL or method.control
        return method.label_access == word and not method.control

    classes = _loaded(method_names(), get_method, SettingError)
    return [name for name, method in classes.items() if belongs(method)]


def _loaded(
    names: Iterable[str], get: Callable[[str], Loaded], error: type[Exception]
) -> dict[str, Loaded]:
    """Return what can be loaded by its name, and say why the rest cannot."""
    loaded, faults = each_loaded(names, get, error)
    for name, fault in faults.items():
        say(f"{name} is left out: {fault}", error=True)
    return loaded
