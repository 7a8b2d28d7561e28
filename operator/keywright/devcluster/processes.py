"""Processes that outlive the command that started them: begun apart, known again later, ended for good.

A process id alone is recycled; together with the moment its process started it names one process, so that `down` days
later never ends somebody else's.
"""

from __future__ import annotations

import atexit
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = ["Process", "is_alive", "send", "spawn", "stop"]

_POLL = 0.02  # seconds
_KILL_DEADLINE = 10.0  # seconds; the kernel needs a moment for a process in the middle of a write
_UMASK = 0o077  # sockets and files of the control plane are its owner's alone

# Children of this very process: they have to be reaped, or they stay as zombies for as long as it runs.
_children: dict[int, subprocess.Popen[bytes]] = {}


@atexit.register
def _let_go() -> None:
    """They outlive this process on purpose: Python would warn of each as forgotten."""
    for child in _children.values():
        child.returncode = 0


@dataclass(frozen=True, slots=True)
class Process:
    """One process for all time; `pid` is its process group as well."""

    pid: int
    started: str


def spawn(argv: list[str], *, log: Path, directory: Path, environ: Mapping[str, str]) -> Process:
    """Start it in a session of its own, which a Ctrl-C in the terminal does not reach; output is appended to `log`."""
    log.parent.mkdir(mode=0o700, exist_ok=True)
    with log.open("ab") as output:
        child = subprocess.Popen(  # noqa: S603 - our own command lines
            argv,
            cwd=directory,
            env=environ,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            umask=_UMASK,
        )
    _children[child.pid] = child
    return Process(child.pid, _started(child.pid) or "")


def is_alive(process: Process) -> bool:
    """Whether that very process runs; a zombie does not."""
    child = _children.get(process.pid)
    if child is not None and child.poll() is not None:
        del _children[process.pid]
    started = _started(process.pid)
    return started is not None and started == process.started


def send(process: Process, number: signal.Signals) -> None:
    """Signal its group, if it still runs."""
    if is_alive(process):
        with suppress(ProcessLookupError):
            os.killpg(process.pid, number)


def stop(processes: Iterable[Process], *, grace: float) -> None:
    """SIGTERM to all, SIGKILL after `grace` seconds to those left, and return when all are gone.

    Raises TimeoutError when one survives even that.
    """
    left = signalled = [process for process in processes if is_alive(process)]
    if grace > 0:
        for process in left:
            send(process, signal.SIGTERM)
            send(process, signal.SIGCONT)  # a paused one cannot end
        left = _wait_gone(left, grace)
    for process in left:
        send(process, signal.SIGKILL)
    left = _wait_gone(left, _KILL_DEADLINE)
    for process in signalled:  # what a component started itself, such as Vault's plugins, ends with it
        with suppress(ProcessLookupError, PermissionError):  # macOS answers EPERM for a group of ended processes
            os.killpg(process.pid, signal.SIGKILL)
    if left:
        raise TimeoutError(f"process {left[0].pid} does not end, even when killed")


def _wait_gone(processes: list[Process], seconds: float) -> list[Process]:
    deadline = time.monotonic() + seconds
    while left := [process for process in processes if is_alive(process)]:
        if time.monotonic() > deadline:
            break
        time.sleep(_POLL)
    return left


def _started(pid: int) -> str | None:
    """The moment process `pid` started, in words that only compare equal for the same process; None: it is gone."""
    if sys.platform == "linux":
        try:
            stat = Path(f"/proc/{pid}/stat").read_text("utf-8", "replace")
        except (FileNotFoundError, ProcessLookupError):
            return None
        # The program's name, in parentheses, may hold anything; the fields after it are numbered from 3 in proc(5).
        fields = stat.rpartition(")")[2].split()
        state, threads, ticks = fields[3 - 3], int(fields[20 - 3]), fields[22 - 3]
        # The first thread is a zombie already while others still hold the process's files and ports.
        if state in {"Z", "X"} and threads <= 1:
            return None
        boot = Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()  # ticks count from the boot
        return f"{boot}/{ticks}"
    said = subprocess.run(  # noqa: S603 - fixed arguments
        ["/bin/ps", "-o", "stat=,lstart=", "-p", str(pid)],
        env={"LC_ALL": "C"},
        capture_output=True,
        text=True,
        check=False,
    )
    state, _, started = said.stdout.strip().partition(" ")
    return None if not state or state.startswith("Z") else started.strip()
