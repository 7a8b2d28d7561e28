"""The request budget of one issuer: so many requests a second, and whose turn it is.

Owns the order in which requests wait, and how fast they go. Must not know what a request is.
"""

from __future__ import annotations

import asyncio
import heapq
from collections import deque
from enum import Enum
from itertools import count
from typing import Final

from keywright.ports.issuer import AHEAD

__all__ = ["Budget"]

_TICK: Final = 0.001
"""Seconds: a turn that comes so soon has come, since a timer may end a moment before its time."""


class _Line(Enum):
    PLAIN = 0
    RANKED = 1


class Budget:
    """First come, first served; but who has a rank gives its place to whoever of that kind is more urgent, and AHEAD waits for nobody.

    So a request without a rank is overtaken by those alone that are ahead of all, and neither line starves the other.
    """

    def __init__(self, per_second: float, burst: int) -> None:
        """`burst`: requests that may go at once after a quiet time."""
        self._apart = 1 / per_second
        self._saved = (burst - 1) / per_second
        self._filled_at = float("-inf")
        """When all that has gone would have gone at the even rate: a burst runs ahead of it by `_saved` seconds at most."""
        self._turns: deque[_Line] = deque()
        self._plain: deque[asyncio.Future[None]] = deque()
        self._ranked: list[tuple[float, int, asyncio.Future[None]]] = []
        self._numbers = count()
        self._alarm: asyncio.TimerHandle | None = None

    async def acquire(self, rank: float | None = None) -> None:
        """Wait until a request may go. `rank`: lowest first, among those that have one."""
        called = asyncio.get_running_loop().create_future()
        if rank is None:
            self._plain.append(called)
            self._turns.append(_Line.PLAIN)
        else:
            heapq.heappush(self._ranked, (rank, next(self._numbers), called))
            if rank == AHEAD:
                self._turns.appendleft(_Line.RANKED)
            else:
                self._turns.append(_Line.RANKED)
        if self._alarm is None:
            self._serve()
        await called

    def _serve(self) -> None:
        """Call whoever may go now, and come back for the next."""
        self._alarm = None
        loop = asyncio.get_running_loop()
        while self._turns:
            now = loop.time()
            self._filled_at = max(self._filled_at, now)
            if self._filled_at - self._saved > now + _TICK:
                self._alarm = loop.call_at(self._filled_at - self._saved, self._serve)
                return
            line = self._turns.popleft()
            called = self._plain.popleft() if line is _Line.PLAIN else heapq.heappop(self._ranked)[2]
            if not called.done():  # it may have given up
                called.set_result(None)
                self._filled_at += self._apart
