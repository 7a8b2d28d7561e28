"""The demo's folder: a new temporary one or the user's, and the promise that nothing of it is left.

Every process started is written down before the next one starts, so that even what a killed demo left behind is found
and ended by the next one. Whether a demo still runs tells a lock, which the kernel gives back however it ends.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import signal
import tempfile
import threading
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

from keywright.devcluster import Cluster
from keywright.devcluster.layout import write_private
from keywright.devcluster.processes import Process, spawn, stop
from keywright.errors import Terminal

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType, TracebackType

__all__ = ["Folder"]

_PREFIX: Final = "keywright-demo-"
_GRACE: Final = 2.0
"""Seconds to end by itself: what the operator has in flight is thrown away with its cluster anyway."""


class Folder:
    """One demo's files and processes; leaving the block ends and removes all of them."""

    def __init__(self, path: Path) -> None:
        """For `claim`."""
        self.path = path
        self.plane = path / "plane"
        self.sandbox = path / "sandbox"
        self.logs = path / "logs"
        self.scratch = path / "tmp"
        self.kubeconfig = path / "kubeconfig"
        self.operator_kubeconfig = path / "operator.kubeconfig"
        self.keeps_logs = False
        self._memory = path / "demo.json"
        self._lock_file = path / "demo.lock"
        self._lock: int | None = None

    @classmethod
    def claim(cls, directory: Path | None) -> Self:
        """A new temporary folder, or this one. Raises Terminal where it is not ours to use."""
        for orphan in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
            cls(orphan).clear_if_orphaned()
        if directory is None:
            folder = cls(Path(tempfile.mkdtemp(prefix=_PREFIX)))
        else:
            folder = cls(directory.absolute())
            try:
                folder.path.mkdir(mode=0o700, parents=True, exist_ok=True)
            except OSError as error:
                raise Terminal(
                    f"The folder {folder.path} cannot be made: choose another one ({error.strerror}).",
                    reason="DirectoryInUse",
                ) from error
            folder._refuse_strangers()
        if not folder._take_lock():
            raise Terminal(f"Another demo runs in {folder.path}: end it, or choose another folder.", reason="AlreadyUp")
        folder._end_and_remove(logs=True)
        folder._remember([])
        for made in (folder.sandbox, folder.logs, folder.scratch):
            made.mkdir(mode=0o700)
        return folder

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end_and_remove(logs=not self.keeps_logs)
        self._give_back()

    def log(self, component: str) -> Path:
        """What a process of ours has said."""
        return self.logs / f"{component}.log"

    def start(self, component: str, argv: list[str], environ: dict[str, str]) -> Process:
        """Start a process that ends with this folder; its output goes to `log`."""
        with _uninterrupted():  # A signal in between would leave a process that nobody knows.
            process = spawn(argv, log=self.log(component), directory=self.path, environ=environ)
            self._remember([*self._remembered(), process])
        return process

    def _end_and_remove(self, *, logs: bool) -> None:
        """Everything that is there; the control plane last, as the others would only see it go."""
        stop(self._remembered(), grace=_GRACE)
        Cluster.take_down(self.plane)
        for path in (self.sandbox, self.scratch, *((self.logs,) if logs else ())):
            shutil.rmtree(path, ignore_errors=True)
        for file in (self.kubeconfig, self.operator_kubeconfig):
            file.unlink(missing_ok=True)
        if logs:
            self._memory.unlink(missing_ok=True)
        else:
            self._remember([])  # The file says that the logs are ours: the next demo may remove them.

    def _give_back(self) -> None:
        self._lock_file.unlink(missing_ok=True)
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None
        with suppress(OSError):
            self.path.rmdir()  # Not where somebody else's files are in it.

    def clear_if_orphaned(self) -> None:
        """End and remove what a killed demo left here."""
        with suppress(OSError):
            if self._memory.exists() and self.path.stat().st_uid == os.getuid() and self._take_lock():
                self._end_and_remove(logs=True)
                self._give_back()

    def _refuse_strangers(self) -> None:
        if self._memory.exists():
            return
        for path in (self.plane, self.sandbox, self.logs, self.scratch, self.kubeconfig, self.operator_kubeconfig):
            if path.exists() or path.is_symlink():
                raise Terminal(
                    f"{path} is there already and is not of a demo: choose another folder.", reason="DirectoryInUse"
                )

    def _take_lock(self) -> bool:
        descriptor = os.open(self._lock_file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return False
        self._lock = descriptor
        return True

    def _remember(self, processes: list[Process]) -> None:
        write_private(self._memory, json.dumps([asdict(process) for process in processes]))

    def _remembered(self) -> list[Process]:
        try:
            return [Process(**process) for process in json.loads(self._memory.read_text("utf-8"))]
        except (FileNotFoundError, ValueError, TypeError):
            return []


@contextmanager
def _uninterrupted() -> Iterator[None]:
    """Signals that come during the block are delivered after it; blocked ones would be so in what is started, too."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    came: list[int] = []

    def keep(number: int, _: FrameType | None) -> None:
        came.append(number)

    numbers = [n for n in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP) if signal.getsignal(n) is not signal.SIG_IGN]
    before = {number: signal.signal(number, keep) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        for late in came:
            os.kill(os.getpid(), late)
