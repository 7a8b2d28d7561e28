"""A queue of names with due times.

A name stands in it once, at its earliest time; one that is being worked on is locked, and comes back afterwards if it was
added meanwhile. Knows nothing of what the names mean. Times are the event loop's (seconds).
"""

from __future__ import annotations

import asyncio
import heapq
from typing import TYPE_CHECKING, Final, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Hashable

__all__ = ["QueueClosed", "WorkQueue"]

K = TypeVar("K", bound="Hashable")

_RESOLUTION: Final = 1e-6
"""Seconds: a name that is due within so little is due. Nobody can wait for the rounding error of a sum of times."""


class QueueClosed(Exception):
    """No more names will be given out."""


class WorkQueue(Generic[K]):
    """Due-time queue for one event loop."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, K]] = []
        self._due: dict[K, float] = {}
        self._in_flight: set[K] = set()
        self._again: dict[K, float] = {}
        self._sequence = 0
        self._closed = False
        self._changed = asyncio.Event()

    def __len__(self) -> int:
        return len(self._due)

    @property
    def in_flight(self) -> int:
        """How many names are being worked on."""
        return len(self._in_flight)

    def overdue(self) -> tuple[int, float]:
        """How many names are due, and for how many seconds the oldest has been."""
        now = asyncio.get_running_loop().time()
        late = [now - at for at in self._due.values() if at <= now]
        return len(late), max(late, default=0.0)

    def add(self, key: K, delay: float = 0.0) -> None:
        """Make sure that the name is given out within `delay` seconds: an earlier time wins over a later one."""
        at = asyncio.get_running_loop().time() + max(0.0, delay)
        if key in self._in_flight:
            self._again[key] = min(at, self._again.get(key, at))
            return
        if key in self._due and self._due[key] <= at:
            return
        self._due[key] = at
        self._sequence += 1
        heapq.heappush(self._heap, (at, self._sequence, key))
        self._changed.set()

    async def get(self) -> K:
        """The next due name, locked until `done`. Raises QueueClosed once closed."""
        while not self._closed:
            now = asyncio.get_running_loop().time()
            while self._heap and self._due.get(self._heap[0][2]) != self._heap[0][0]:
                heapq.heappop(self._heap)  # superseded by an earlier time
            if self._heap and self._heap[0][0] <= now + _RESOLUTION:
                _, _, key = heapq.heappop(self._heap)
                del self._due[key]
                self._in_flight.add(key)
                return key
            self._changed.clear()
            pause = self._heap[0][0] - now if self._heap else None
            try:
                await asyncio.wait_for(self._changed.wait(), pause)
            except TimeoutError:
                continue
        raise QueueClosed

    def done(self, key: K, delay: float | None) -> None:
        """Unlock the name; give it out again after `delay` seconds, or sooner where it was added meanwhile."""
        self._in_flight.discard(key)
        again = self._again.pop(key, None)
        if delay is not None:
            self.add(key, delay)
        if again is not None:
            self.add(key, again - asyncio.get_running_loop().time())

    def close(self) -> None:
        """Give out nothing more; whoever waits gets QueueClosed."""
        self._closed = True
        self._changed.set()
