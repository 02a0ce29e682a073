"""Signals by which batch systems end a program, as an exception: SIGTERM and SIGUSR1."""

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_SIGNALS = [
    getattr(signal, name) for name in ("SIGTERM", "SIGUSR1") if hasattr(signal, name)
]  # Windows lacks the second
_held: list[int] | None = None  # numbers of signals that wait for the end of `signals_held`


class Terminated(SystemExit):
    """A signal asked the process to end; uncaught, the exit code is 128 + its number.

    Attributes
    ----------
    name : str
        Such as ``"SIGTERM"``.
    """

    def __init__(self, number: int) -> None:
        super().__init__(128 + number)
        self.name = signal.Signals(number).name


@contextmanager
def signals_raised() -> Iterator[None]:
    """Raise `Terminated` in the main thread for signals that would have killed the process.

    Signals that are ignored, or that other code handles, are left to it.
    """
    if threading.current_thread() is not threading.main_thread():  # which alone gets signals
        yield
        return
    process = os.getpid()

    def end(number: int, _: FrameType | None) -> None:
        if os.getpid() != process:  # a forked worker, which ends as if there were no handler
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)
        elif _held is not None:
            _held.append(number)
        else:
            raise Terminated(number)

    taken = [number for number in _SIGNALS if signal.getsignal(number) is signal.SIG_DFL]
    for number in taken:
        signal.signal(number, end)
    try:
        yield
    finally:
        for number in taken:
            signal.signal(number, signal.SIG_DFL)


@contextmanager
def signals_held() -> Iterator[None]:
    """Let a block end before `signals_raised` raises; blocks must not be nested."""
    global _held
    waiting: list[int] = []
    _held = waiting
    try:
        yield
    finally:
        _held = None
        if waiting:
            raise Terminated(waiting[0])


def end_with_standard_input() -> None:
    """Send this process SIGTERM when its standard input ends: when the one that wrote to it has.

    A process learns so of the end of its parent, even if that was killed.
    """

    def watch() -> None:
        while os.read(0, 4096):
            pass
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, daemon=True).start()
