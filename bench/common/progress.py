"""Progress bars and messages: on a terminal, as lines in a log, or as widgets in a notebook.

`bar` draws the progress of a command's main steps and stays on the screen. `stage` draws what takes
time within or between them, such as an import, a decomposition or the steps of an epoch; it appears
only if the work takes longer than a moment, and disappears at its end. Stages appear only inside
`shown`, in which the clock of the newest bar runs even while nothing advances it. Where standard
error is no terminal, each bar is a line now and then.
"""

import sys
import time
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from threading import Event, Thread
from typing import TYPE_CHECKING, Any, TextIO, TypeVar, overload

from tqdm import TqdmWarning

if TYPE_CHECKING:
    from tqdm import tqdm

    _Base = tqdm[Any]
else:
    with warnings.catch_warnings():
        # A notebook without ipywidgets shows text bars; tqdm need not warn about that.
        warnings.simplefilter("ignore", TqdmWarning)
        from tqdm.autonotebook import tqdm

    _Base = tqdm

T = TypeVar("T")

_IN_NOTEBOOK = _Base.__name__ == "tqdm_notebook"
_DELAY = 1.0  # seconds that a stage takes at least if it is drawn
_TICK = 1.0  # seconds after which the clock of a bar is drawn again
_BETWEEN_LINES = 30.0  # seconds between lines of one bar in a log
_NUMBERS = "{desc}: {percentage:3.0f}%{bar} {n_fmt}/{total_fmt} [{elapsed}<{remaining}{postfix}]"
_CLOCK = "{desc} [{elapsed}]"

_stages_shown: ContextVar[bool] = ContextVar("stages_shown", default=False)


class _Lines:
    """A stream for one bar that turns its redrawing into lines of a log.

    Parameters
    ----------
    stream : text file
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._text = ""
        self._written_at = time.monotonic()

    def write(self, text: str) -> None:
        """Write what a bar draws as a line, unless the last one was written a moment ago.

        The end of a bar that stays, a newline alone, writes the bar's last state.
        """
        drawn = text.strip()
        self._text = drawn or self._text
        due = time.monotonic() - self._written_at >= _BETWEEN_LINES if drawn else text == "\n"
        if due and self._text:
            self._stream.write(f"{self._text}\n")
            self._stream.flush()
            self._text, self._written_at = "", time.monotonic()

    def flush(self) -> None:
        """Do nothing: lines are flushed as they are written."""


class _Bar(_Base):
    """A text bar, drawn from `delay` seconds after its beginning whoever redraws it."""

    def __init__(self, *args: Any, delay: float, **options: Any) -> None:
        self._delay, self._began_at = delay, time.monotonic()
        super().__init__(*args, **options)
        if not self.disable:
            _open.append(self)

    @property
    def due(self) -> bool:
        """Whether the bar has lasted long enough to be drawn."""
        return time.monotonic() - self._began_at >= self._delay

    # tqdm returns whether it drew, which its stubs do not know.
    def display(self, msg: str | None = None, pos: int | None = None) -> Any:
        """Draw the bar; see `tqdm.tqdm`."""
        return super().display(msg, pos) if self.due else False

    def close(self) -> None:
        """End the bar; see `tqdm.tqdm`."""
        if not self.disable and _open:  # empty, too, when Python ends
            _open[:] = [each for each in _open if each is not self]  # == compares positions
            self.leave = self.leave and self.due
        super().close()


_open: list[_Bar] = []  # the newest last


@overload
def bar(items: Iterable[T], *, label: str, quiet: bool, **options: Any) -> "tqdm[T]": ...
@overload
def bar(*, label: str, quiet: bool, **options: Any) -> "tqdm[None]": ...
def bar(
    items: Iterable[Any] | None = None,
    *,
    label: str,
    quiet: bool,
    total: int | None = None,
    delay: float = 0.0,
    **options: Any,
) -> "tqdm[Any]":
    """Return a progress bar on standard error, or one that draws nothing.

    Parameters
    ----------
    items : iterable, optional
        Items to iterate over; without it the caller advances the bar.
    label : str
        Name of the work, drawn before the bar.
    quiet : bool
        Draw nothing.
    total : int, optional
        Number of items; without it and without `items` only a clock is drawn.
    delay : float
        Seconds before the bar appears.
    **options
        Further arguments of `tqdm.tqdm`.
    """
    options |= {"desc": label, "total": total, "disable": quiet, "delay": delay}
    if _IN_NOTEBOOK:
        return _Base(items, dynamic_ncols=True, **options)
    in_log = not quiet and not sys.stderr.isatty()
    if items is None and total is None:
        options["bar_format"] = _CLOCK
    else:
        options["bar_format"] = _NUMBERS.replace("{bar}", "" if in_log else "|{bar:10}|")
    if in_log:
        options |= {"file": _Lines(sys.stderr), "position": 0}
    else:
        options |= {"file": sys.stderr, "dynamic_ncols": True}
    return _Bar(items, **options)


@overload
def stage(label: str, *, total: int | None = None, **options: Any) -> "tqdm[None]": ...
@overload
def stage(label: str, items: Iterable[T], **options: Any) -> "tqdm[T]": ...
def stage(label: str, items: Iterable[Any] | None = None, **options: Any) -> "tqdm[Any]":
    """Return a bar that appears if the work takes longer than a moment, and disappears at its end.

    It draws nothing outside `shown`.

    Parameters
    ----------
    label, items, **options
        As for `bar`.

    Examples
    --------
    >>> with stage("decompose"):  # a clock
    ...     work = sum(range(10))
    >>> sum(stage("steps", range(10), unit="step"))
    45
    """
    options = {"delay": _DELAY, "leave": False, **options, "quiet": not _stages_shown.get()}
    return bar(label=label, **options) if items is None else bar(items, label=label, **options)


def awaited(items: Iterable[T], label: str) -> Iterator[T]:
    """Yield items that take long to come, with a clock while each is awaited.

    Parameters
    ----------
    items : iterable
    label : str
    """
    iterator = iter(items)
    while True:
        with stage(label):
            try:
                item = next(iterator)
            except StopIteration:
                return
        yield item


@contextmanager
def shown(*, quiet: bool) -> Iterator[None]:
    """Draw the stages of a block, and keep the clock of the newest bar running.

    Parameters
    ----------
    quiet : bool
        Draw no stages, even inside a block that draws them.
    """
    outer = _stages_shown.get()
    token = _stages_shown.set(not quiet)
    clock = None if quiet or outer or _IN_NOTEBOOK else _Clock()
    if clock is not None:
        clock.start()
    try:
        yield
    finally:
        if clock is not None:
            clock.end()
        _stages_shown.reset(token)


class _Clock(Thread):
    """Draws the newest bar again and again, so that its clock runs while nothing advances it."""

    def __init__(self) -> None:
        super().__init__(name="clock of the progress bar", daemon=True)
        self._ended = Event()

    def run(self) -> None:
        """Draw until `end` is called."""
        while not self._ended.wait(_TICK):
            for newest in [each for each in _open if each.due][-1:]:
                newest.refresh()

    def end(self) -> None:
        """Stop drawing."""
        self._ended.set()
        self.join()


def say(message: str, *, quiet: bool = False, error: bool = False) -> None:
    """Print a line, on standard error if it is an `error`, without breaking a progress bar."""
    if not quiet:
        tqdm.write(message, file=sys.stderr if error else None)
