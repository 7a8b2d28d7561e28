"""One at a time, across processes: an advisory lock on a file, given back by the kernel however its holder ends."""

from __future__ import annotations

import fcntl
import os
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

__all__ = ["exclusive"]

_POLL = 0.1  # seconds; flock(2) itself would wait without letting Ctrl-C tidy up


@contextmanager
def exclusive(path: Path, *, waiting: Callable[[str], None]) -> Iterator[None]:
    """Hold the lock at `path`, whose folder exists.

    `waiting` is called once, with the process id of the holder (empty if it has not said yet), when it is somebody
    else's. The file may be deleted by its holder while others wait for it: they start over with a new one.
    """
    told = False
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            if _taken(descriptor) and _still_there(descriptor, path):
                with suppress(OSError):  # a full disk: who holds it is a courtesy to those who wait
                    os.ftruncate(descriptor, 0)
                    os.pwrite(descriptor, str(os.getpid()).encode(), 0)
                yield
                return
            if not told:
                told = True
                waiting(os.pread(descriptor, 20, 0).decode("ascii", "replace"))
        finally:
            os.close(descriptor)
        time.sleep(_POLL)


def _taken(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _still_there(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False
