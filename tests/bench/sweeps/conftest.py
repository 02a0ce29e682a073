"""Commands that stand for runs: small Python programs that lock a folder and write a row."""

import json
import sys
from pathlib import Path

import pytest
from support.rows import draw_ranks, row_content

from starbench.sweeps.process import Command

# Starts in a tenth of a second; what a run does to its folder, and nothing else.
PROGRAM = """
import fcntl, os, pathlib, sys, time
folder = pathlib.Path(sys.argv[1])
lock = (folder / ".lock").open("a+")
try:
    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
except BlockingIOError:
    sys.exit(75)
if (folder / "row.json").exists() and "--force" not in sys.argv:
    sys.exit()
(folder / "starts.txt").open("a").write("started\\n")
exec(sys.argv[2])
pathlib.Path(sys.argv[3]).rename(folder / "row.json")
"""


@pytest.fixture
def make_command(tmp_path):
    """Return a function that makes the command of a stand-in that executes `body`."""

    def make(name: str, body: str = "", status: str = "ok") -> Command:
        content = row_content(*draw_ranks([0], 0.5))
        if status != "ok":
            content |= {"status": status, "message": "its loss became nan", "metrics": {},
                        "ranks_sha256": None}  # fmt: skip
        row = tmp_path / f"{name}.json"
        row.write_text(json.dumps(content))
        folder = tmp_path / "runs" / "task" / "method" / name
        arguments = (sys.executable, "-c", PROGRAM, str(folder), body, str(row))
        return Command(name, arguments, folder, Path.cwd())

    return make


@pytest.fixture
def starts(tmp_path):
    """Return a function that counts how often each stand-in has begun."""

    def count() -> dict[str, int]:
        files = sorted(tmp_path.glob("runs/*/*/*/starts.txt"))
        return {file.parent.name: len(file.read_text().splitlines()) for file in files}

    return count
