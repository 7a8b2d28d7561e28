"""The operator as `keywright run` starts it, and with fail points: one process for each life, forked from this one.

Reads one JSON order a line: id, folder, log, options; tells on standard output of each life's pid and of its end. A fork saves
the second that the imports take, and a life is a process of its own all the same: killed, frozen, limited by itself. Ends
with its standard input, and all lives with it.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

from tests.chaos import failpoints

from keywright.bootstrap import Operator, Options
from keywright.cli.run import LogFormat, LogLevel, _set_up_logging
from keywright.errors import KeywrightError
from keywright.wiring import running

_living: set[int] = set()


def main() -> None:
    """Take orders until there are no more."""
    failpoints.install()
    signal.signal(signal.SIGCHLD, _reap)
    for line in sys.stdin:
        order = json.loads(line)
        pid = os.fork()
        if pid == 0:
            _live(order)
        _living.add(pid)
        _tell(id=order["id"], pid=pid)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    for pid in _living:
        with suppress(ProcessLookupError):  # one that ended at once, before it was known here
            os.kill(pid, signal.SIGKILL)


def _reap(*_: object) -> None:
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if pid == 0:
            return
        _living.discard(pid)
        _tell(pid=pid, ended=os.waitstatus_to_exitcode(status))


def _tell(**said: int) -> None:
    # One write: a signal's handler may come in between two.
    os.write(1, json.dumps(said).encode() + b"\n")


def _live(order: dict[str, Any]) -> None:
    """Never returns."""
    status = 1
    try:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        random.seed()
        log = os.open(order["log"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        nothing = os.open(os.devnull, os.O_RDONLY)
        for here, there in ((nothing, 0), (log, 1), (log, 2)):
            os.dup2(here, there)
        failpoints.watch(Path(order["folder"]))
        _set_up_logging(LogFormat.TEXT, LogLevel.DEBUG)
        if order["grace"] is not None:
            _be_given(order["grace"])
        options = Options(**order["options"] | {"namespaces": tuple(order["options"]["namespaces"])})
        asyncio.run(running.run(options, running.Addresses("127.0.0.1:0", "127.0.0.1:0")))
        status = 0
    except KeywrightError as error:
        os.write(2, f"error: {error}\n".encode())
    finally:
        os._exit(status)


def _be_given(grace: float) -> None:
    """Less than the pod's half minute for what is in flight at a SIGTERM."""

    class Hasty(Operator):
        async def finish(self) -> bool:
            return await super().finish(grace)

    running.Operator = Hasty


if __name__ == "__main__":
    main()
