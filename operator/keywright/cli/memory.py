"""What is in memory stays there: no core dump, and no other process of the same user reads it.

Every command may come to hold an admin key or a plaintext. Called once, before anything is read. Whether the node itself keeps pages
(swap, hibernation) is beyond a process.
"""

from __future__ import annotations

import ctypes
import resource
import sys
from typing import Final

__all__ = ["keep_to_itself"]

_PR_SET_DUMPABLE: Final = 4
"""Of prctl(2): with 0, the kernel writes no core and lets nobody but root attach, or read /proc/PID/mem and environ."""


def keep_to_itself() -> None:
    """From now on, and for what is started from here: no core file; on Linux the process is not dumpable either."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform == "linux":  # a core pattern that pipes into a program heeds no limit, but this
        ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
