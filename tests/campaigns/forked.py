"""Commands of starbench in forked children of one process, which has imported everything once."""

import os
import resource
import signal
import sys
import time
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple, NoReturn

import numpy as np
import torch._dynamo  # noqa: F401 - optimizers import it

import starbench.api
import starbench.leaderboard.pages.terminal
import starbench.leaderboard.store.board
import starbench.runs.predictions_scoring
import starbench.tasks.own.hugging_face  # noqa: F401 - imported once for all children
from starbench.cli.main import main
from starbench.metrics.ranking import twin_ranks

twin_ranks(np.eye(4, dtype=np.float32).reshape(2, 2, 4))  # compiled once for all children


class Ended(NamedTuple):
    """How a command ended: its exit code, what it printed, memory [MB] and processor time [s].

    The code is negative after a signal, and None where the command took longer than its limit.
    """

    code: int | None
    output: str
    memory: float
    seconds: float


def start(
    arguments: list[object],
    output: Path,
    *,
    cwd: Path,
    environment: Mapping[str, str],
    prepare: Callable[[], None] = lambda: None,
) -> int:
    """Start a command in a process of its own, with its output in a file; return its id."""
    process = os.fork()
    if not process:
        _run([str(x) for x in arguments], output, cwd, environment, prepare)
    return process


def call(arguments: list[object], output: Path, *, limit: float, **options) -> Ended:
    """Run a command to its end, or kill it after `limit` seconds."""
    process, late = start(arguments, output, **options), False
    began = time.monotonic()
    while True:
        done, status, usage = os.wait4(process, os.WNOHANG)
        if done:
            break
        if not late and time.monotonic() - began > limit:
            late = True
            os.kill(process, signal.SIGKILL)
        time.sleep(0.005)
    return Ended(
        None if late else os.waitstatus_to_exitcode(status),
        output.read_text(errors="replace"),
        usage.ru_maxrss / 1e3,
        usage.ru_utime + usage.ru_stime,
    )


def _run(arguments, output, cwd, environment, prepare) -> NoReturn:
    code = 99
    try:
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        file = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        for stream in (1, 2):
            os.dup2(file, stream)
        sys.stdout, sys.stderr = (os.fdopen(stream, "w", closefd=False) for stream in (1, 2))
        os.chdir(cwd)
        os.environ.update(environment)
        sys.argv = ["starbench", *arguments]
        prepare()
        main(prog_name="starbench")
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
