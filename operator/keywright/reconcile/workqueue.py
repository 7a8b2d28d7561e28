"""A queue of names with due times, and with an urgency where more are due than are taken.

A name stands in it once, at its earliest time; one that is being worked on is locked, and comes back afterwards if it was
added meanwhile. Knows nothing of what the names mean. Times are the event loop's (seconds).
"""

from __future__ import annotations

import asyncio
import heapq
from collections import deque
from typing import TYPE_CHECKING, Final, Generic, NamedTuple, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

__all__ = ["QueueClosed", "WorkQueue"]

K = TypeVar("K", bound="Hashable")

_TICK: Final = 0.001
"""Seconds: what is due so soon is due, since a timer this short may end before the clock has moved."""
_LONG: Final = 30.0
"""Seconds after which a due name has waited long: from then on its age counts, too."""
_TURNS: Final = 8
"""One in so many names that are given out is the one that has waited longest, where that is long: the less urgent are not starved."""


class QueueClosed(Exception):
    """No more names will be given out."""


class _Ready(NamedTuple):
    """A name that is due. The most urgent comes first; among equals, the one that was due first."""

    rank: float
    sequence: int


class WorkQueue(Generic[K]):
    """Due-time queue for one event loop."""

    def __init__(self, rank: Callable[[K], float] | None = None) -> None:
        """`rank`: how urgent a name is now, lowest first; asked only while several are due. None: all are equal."""
        self._rank = rank
        self._heap: list[tuple[float, int, K]] = []
        self._due: dict[K, float] = {}
        self._ready: dict[K, _Ready] = {}
        """Names that are due and compete: each stands in `_urgent` as it does here, and in `_waiting`."""
        self._urgent: list[tuple[_Ready, K]] = []
        self._waiting: deque[tuple[int, K]] = deque()
        """By sequence: in the order in which they were due."""
        self._given = 0
        self._in_flight: set[K] = set()
        self._again: dict[K, float] = {}
        self._sequence = 0
        self._closed = False
        self._idle: deque[asyncio.Future[None]] = deque()
        """Who waits for a name: one is woken for each, not all."""
        self._alarm: asyncio.TimerHandle | None = None
        """Rings when the first name is due."""

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
            if key in self._ready:
                self._rank_anew(key)
            return
        self._due[key] = at
        self._sequence += 1
        heapq.heappush(self._heap, (at, self._sequence, key))
        self._set_alarm()

    async def get(self) -> K:
        """The next due name, locked until `done`. Raises QueueClosed once closed."""
        loop = asyncio.get_running_loop()
        while not self._closed:
            if self._first() <= (now := loop.time()) + _TICK:
                key = self._take(now)
                self._in_flight.add(key)
                self._set_alarm()
                return key
            woken = loop.create_future()
            self._idle.append(woken)
            self._set_alarm()
            try:
                await woken
            except asyncio.CancelledError:
                if woken in self._idle:
                    self._idle.remove(woken)
                self._set_alarm()  # it may have been woken for a name that another one has to take now
                raise
        raise QueueClosed

    def _take(self, now: float) -> K:
        """The name whose turn it is, of those that are due; there is one."""
        if not self._ready:
            _, _, key = heapq.heappop(self._heap)
            if self._rank is None or self._next_time() > now + _TICK:
                del self._due[key]
                return key  # nothing to choose from
            self._compete(key)
        while self._next_time() <= now + _TICK:
            _, _, key = heapq.heappop(self._heap)
            self._compete(key)
        self._given += 1
        while (oldest := self._ready.get(self._waiting[0][1])) is None or oldest.sequence != self._waiting[0][0]:
            self._waiting.popleft()
        key = self._waiting[0][1]
        if self._given % _TURNS or now - self._due[key] < _LONG:
            while True:
                ready, key = heapq.heappop(self._urgent)
                if self._ready.get(key) == ready:
                    break
        del self._due[key], self._ready[key]
        if not self._ready:
            self._urgent.clear()
            self._waiting.clear()
        return key

    def _compete(self, key: K) -> None:
        """A name is due, and so are others."""
        self._sequence += 1
        self._waiting.append((self._sequence, key))
        self._place(key, self._sequence)

    def _rank_anew(self, key: K) -> None:
        """Something was heard of a name that is due: it may be more urgent now."""
        self._place(key, self._ready[key].sequence)

    def _place(self, key: K, sequence: int) -> None:
        ready = _Ready(self._rank(key) if self._rank else 0.0, sequence)
        if self._ready.get(key) != ready:
            self._ready[key] = ready
            heapq.heappush(self._urgent, (ready, key))

    def _first(self) -> float:
        """When the first name is due."""
        return float("-inf") if self._ready else self._next_time()

    def _next_time(self) -> float:
        """When the first name is due that is not known to be; names that an earlier time has superseded are dropped."""
        while self._heap and self._due.get(self._heap[0][2]) != self._heap[0][0]:
            heapq.heappop(self._heap)
        return self._heap[0][0] if self._heap else float("inf")

    def _set_alarm(self) -> None:
        """One timer for all who wait: it wakes one of them when the first name is due."""
        at = max(self._first(), 0.0)
        if self._alarm is not None:
            if self._alarm.when() <= at:
                return  # it rings soon enough, and is set anew then
            self._alarm.cancel()
            self._alarm = None
        if self._idle and at < float("inf"):
            self._alarm = asyncio.get_running_loop().call_at(at, self._ring)

    def _ring(self) -> None:
        self._alarm = None
        if self._idle and self._first() <= asyncio.get_running_loop().time() + _TICK:
            self._wake_one()
        else:
            self._set_alarm()

    def _wake_one(self) -> None:
        woken = self._idle.popleft()
        if not woken.done():
            woken.set_result(None)

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
        if self._alarm is not None:
            self._alarm.cancel()
        while self._idle:
            self._wake_one()
