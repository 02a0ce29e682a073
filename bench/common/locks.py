"""Locks on files, which the operating system releases however a process ends."""

import errno
import logging
import sys
from pathlib import Path
from typing import IO

log = logging.getLogger(__name__)

BUSY = (errno.EAGAIN, errno.EACCES, errno.EWOULDBLOCK)  # another process has the lock
_warned: set[int] = set()  # disks


def try_lock(file: IO[str]) -> bool:
    """Lock an open file until it is closed; return False if another process has locked it.

    On a disk without locks, such as some network disks of clusters, nothing is locked and one
    warning names the path.
    """
    try:
        if sys.platform == "win32":
            import msvcrt

            file.seek(0)
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in BUSY:
            return False
        warn_of_no_locks(file.name)
    return True


def warn_of_no_locks(path: str) -> None:
    """Warn once for each disk that it has no locks."""
    disk = Path(path).stat().st_dev
    if disk not in _warned:
        _warned.add(disk)
        log.warning(
            "%s: this disk has no file locks; do not start the same command twice at a time", path
        )
