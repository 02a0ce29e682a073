"""Git as a program, without a shell; what it is given are arguments, never commands."""

import os
import subprocess
from pathlib import Path

from starbench.common.git import git_environment
from starbench.common.text import one_line
from starbench.results.text import RowError, printable

_LONGEST = 600.0  # seconds, of a clone over a slow network
# Files stay as they are, byte by byte: records hold digests of rows.
_SETTINGS = ("-c", f"core.hooksPath={os.devnull}", "-c", "core.autocrlf=false")


def git(folder: Path, *arguments: str) -> bytes:
    """Run git in a folder and return what it wrote.

    Hooks of the repository do not run, and git asks nothing.

    Raises
    ------
    RowError
        If git is missing, or fails, with its own reason.
    """
    try:
        ended = subprocess.run(
            ["git", "-C", str(folder), *_SETTINGS, *arguments],
            env={**git_environment(), "GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_LONGEST,
            check=False,
        )
    except FileNotFoundError:
        raise RowError("git: not installed; install it, and run the command again") from None
    except subprocess.TimeoutExpired:
        raise RowError(f"git {arguments[0]}: took more than {_LONGEST:.0f} s") from None
    if ended.returncode:
        reason = one_line(ended.stderr.decode(errors="replace")) or f"exit {ended.returncode}"
        raise RowError(f"git {arguments[0]}: {printable(reason)}")
    return ended.stdout
