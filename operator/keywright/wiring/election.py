"""Who works: one process of several, for as long as its lease lasts.

Owns how a process ends that has lost its lease: at once, and without cleaning up, since nothing that it holds may be
used any more. Neighbours: adapters/kube_lease.py, which reckons; running.py, which works.
"""

from __future__ import annotations

import asyncio
import logging
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from keywright.adapters.kube_lease import KubeLease

__all__ = ["Election"]

_log = logging.getLogger(__name__)


class Election:
    """The part of this process in it, in the background."""

    def __init__(self, lease: KubeLease) -> None:
        self.won = asyncio.Event()
        """Set while this process leads."""
        self._lease = lease
        self._task: asyncio.Task[str] | None = None

    def stand(self) -> None:
        """Compete for the lease from now on, and keep it."""
        self._task = asyncio.create_task(self._lead(), name="election")
        self._task.add_done_callback(self._ended)

    async def leave(self) -> None:
        """Give the lease back; nothing may be in flight any more."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait((self._task,))
            await self._lease.release()

    async def _lead(self) -> str:
        await self._lease.acquire()
        self.won.set()
        return await self._lease.hold()

    def _ended(self, task: asyncio.Task[str]) -> None:
        """Whatever else may still be under way in this process, or was when it was frozen: another one works now.

        The adapters refuse already; the end makes sure of it, and has the kubelet start a fresh one.
        """
        if task.cancelled():
            return
        error = task.exception()
        why = f"unexpected {type(error).__name__}" if error else task.result()
        _log.error("the lease %s is lost (%s): ending at once", self._lease.place, why, exc_info=error)
        os._exit(1)
