"""The tests' side of operator_main.py: lives of operators as processes that are started, signalled and waited for."""

from __future__ import annotations

import json
import os
import re
import resource
import signal
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any

from tests.conftest import ROOT
from tests.running import PATIENCE, Operator, environment

__all__ = ["ChaosOperator", "Life", "Nursery"]


class Life:
    """One process of the operator; what of subprocess.Popen is needed."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self._over = threading.Event()

    def end(self, returncode: int) -> None:
        """It was seen to end."""
        self.returncode = returncode
        self._over.set()

    def poll(self) -> int | None:
        """The exit status, negative for a signal; None while it lives."""
        return self.returncode

    def wait(self, seconds: float = PATIENCE) -> int:
        """As `poll`, once it has ended. Raises TimeoutExpired."""
        if not self._over.wait(seconds):
            raise subprocess.TimeoutExpired(f"process {self.pid}", seconds)
        assert self.returncode is not None
        return self.returncode

    def send_signal(self, number: int) -> None:
        """Send a signal, if it lives."""
        if self.returncode is None:
            with suppress(ProcessLookupError):  # it has ended, and nobody has told yet
                os.kill(self.pid, number)

    def kill(self) -> None:
        """SIGKILL; returns when it is gone."""
        self.send_signal(signal.SIGKILL)

    def is_stopped(self) -> bool:
        """Whether it is frozen."""
        return self._read("stat").rpartition(")")[2].split()[0] == "T"

    def peak(self) -> int:
        """The most bytes of memory that it has held at once since `forget_peak`."""
        return int(re.findall(r"VmHWM:\s+(\d+) kB", self._read("status"))[0]) * 1024

    def forget_peak(self) -> None:
        """From now on anew."""
        (self._proc / "clear_refs").write_text("5")

    def files(self) -> int:
        """How many it has open."""
        return len(list((self._proc / "fd").iterdir()))

    def limit_files(self, most: int | None) -> None:
        """How many it may open from now on; None: as many as ever."""
        _, ever = resource.prlimit(self.pid, resource.RLIMIT_NOFILE)
        resource.prlimit(self.pid, resource.RLIMIT_NOFILE, (ever if most is None else most, ever))

    @property
    def _proc(self) -> Path:
        return Path("/proc") / str(self.pid)

    def _read(self, name: str) -> str:
        return (self._proc / name).read_text(encoding="ascii", errors="replace")


class Nursery:
    """One process with the operator's modules in it, from which lives are forked."""

    def __init__(self, log: Path) -> None:
        self._said = log.open("ab")
        environ = environment() | {"PYTHONPATH": os.pathsep.join((str(ROOT / "operator"), str(ROOT)))}
        self._process = subprocess.Popen(
            (sys.executable, "-m", "tests.chaos.operator_main"),
            cwd=ROOT,
            env=environ,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._said,
        )
        self._lock = threading.Condition()
        self._orders = 0
        self._born: dict[int, Life] = {}
        self._lives: dict[int, Life] = {}
        self._ended_early: dict[int, int] = {}
        self._reader = threading.Thread(target=self._listen, name="nursery")
        self._reader.start()

    def begin(self, **order: Any) -> Life:
        """A new life; returns when it is forked."""
        with self._lock:
            self._orders += 1
            number = self._orders
            assert self._process.stdin is not None
            self._process.stdin.write(json.dumps({"id": number, **order}).encode() + b"\n")
            self._process.stdin.flush()
            assert self._lock.wait_for(lambda: number in self._born, PATIENCE), "no life begins"
            return self._born.pop(number)

    def close(self) -> None:
        """End it, and all lives."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(PATIENCE)
        self._reader.join(PATIENCE)
        self._said.close()
        assert self._process.stdout is not None
        self._process.stdout.close()

    def _listen(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            said = json.loads(line)
            with self._lock:
                pid = said["pid"]
                if "ended" not in said:
                    life = self._lives[pid] = self._born[said["id"]] = Life(pid)
                    if pid in self._ended_early:
                        life.end(self._ended_early.pop(pid))
                elif pid in self._lives:
                    self._lives.pop(pid).end(said["ended"])
                else:
                    self._ended_early[pid] = said["ended"]
                self._lock.notify_all()


class ChaosOperator(Operator):
    """The operator for one namespace, with fail points; options as bootstrap.Options has them."""

    def __init__(self, nursery: Nursery, folder: Path, **options: Any) -> None:
        """`folder` holds its log and its orders."""
        super().__init__(folder, folder)
        self.command = ("run",)
        self.folder = folder
        self.options = options
        self.grace: float | None = None
        """Seconds that a SIGTERM leaves to what is in flight; None: as always."""
        self.says_to: Path | None = None
        """Where its log goes, if not to its folder."""
        self.process: Life | None = None
        self._nursery = nursery

    def begin(self) -> None:
        """Start without waiting: it may not live to be ready."""
        self.process = self.spawn()

    def spawn(self) -> Life:
        """Fork."""
        log = self.says_to or self.log
        return self._nursery.begin(folder=str(self.folder), log=str(log), grace=self.grace, options=self.options)
