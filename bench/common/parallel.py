"""Work shared among the threads of a process.

It stands apart from `starbench.common.threads`, which every ``import starbench`` loads.
"""

import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

from starbench.common.threads import default_threads

T = TypeVar("T")
R = TypeVar("R")


@contextmanager
def one_thread() -> Iterator[None]:
    """Limit linear algebra and torch to one thread, where several threads of one's own use them.

    The threads must be started inside the block.
    """
    import threadpoolctl

    torch = sys.modules.get("torch")  # importing it takes seconds
    before = None if torch is None else torch.get_num_threads()
    with threadpoolctl.threadpool_limits(1, user_api="blas"):
        if torch is not None:
            torch.set_num_threads(1)
        try:
            yield
        finally:
            if torch is not None:
                torch.set_num_threads(before)


def map_ahead(function: Callable[[T], R], items: Iterable[T], workers: int = 1) -> Iterator[R]:
    """Yield the results of a function in the order of the items, computed ahead by threads.

    While one result is used, each thread computes one more, so that memory stays bounded. An error
    is raised when it is the turn of its result.

    Parameters
    ----------
    function : callable
        Takes an item; runs in parallel as far as it releases the interpreter's lock.
    items : iterable
    workers : int
        Number of threads.

    Examples
    --------
    >>> list(map_ahead(abs, [-3, 1, -2]))
    [3, 1, 2]
    """
    waiting: deque[Future[R]] = deque()
    with ThreadPoolExecutor(workers) as pool:
        try:
            for item in items:
                waiting.append(pool.submit(function, item))
                if len(waiting) > workers:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:  # after an error, or where the caller stops early
                future.cancel()


def in_parts(function: Callable[[range], None], n: int, least: int) -> None:
    """Call a function for consecutive parts of ``range(n)`` at once, one for each thread.

    Parameters
    ----------
    function : callable
    n : int
    least : int
        Length of a part that is worth a thread.
    """
    workers = max(1, min(default_threads(), n // least))
    parts = [range(n * i // workers, n * (i + 1) // workers) for i in range(workers)]
    if workers == 1:
        function(parts[0])
        return
    with ThreadPoolExecutor(workers) as pool:
        list(pool.map(function, parts))
