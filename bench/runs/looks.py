"""How often the test split of a task was looked at, by method.

Whoever scores many settings of a method on one test split and shows the best has chosen on test.
Each scoring leaves an empty file in the cache, named after the settings, and each row says how many
other settings of its method were scored before it. Another machine, or another cache, knows nothing
of them: the count is an aid to honest authors, and a floor.
"""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from starbench.tasks.base import Task
from starbench.tasks.errors import DataError
from starbench.tasks.storage.cache import cache_folder


def look(task: Task, scale: str, method: str, settings: Mapping[str, Any]) -> int | None:
    """Note that settings of a method are scored on the test split of a task.

    Parameters
    ----------
    task : Task
    scale : str
    method : str
    settings : mapping of str to value
        All that tells settings apart, without the seed.

    Returns
    -------
    int or None
        How many other settings of the method had been scored before; None where the cache takes
        no files.
    """
    digest = hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()[:16]
    try:
        folder = _folder(task, scale) / method
        others = {file.name for file in folder.glob("*")} - {digest}
        folder.mkdir(parents=True, exist_ok=True)
        (folder / digest).touch()
    except (OSError, DataError):
        return None
    return len(others)


def _folder(task: Task, scale: str) -> Path:
    data = hashlib.sha256(task.fingerprint(scale).encode()).hexdigest()[:8]
    return cache_folder(task.cache) / "looks" / f"{task.name}-{task.version}-{scale}-{data}"
