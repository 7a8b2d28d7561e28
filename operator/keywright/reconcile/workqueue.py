"""A queue of names with due times, and with an urgency and an owner where more are due than are taken.

A name stands in it once, at its earliest time; one that is being worked on is locked, and comes back afterwards if it was
added meanwhile. Knows nothing of what the names mean. Times are the event loop's (seconds).

Owners share: of equally urgent names they take turns, and however urgent an owner's names are, it leaves places to others. How many
it may have depends on how many are free, as switches share their buffers (Choudhury and Hahne, dynamic queue length thresholds,
1998): alone nearly all; as many as others, where they want as much; and some stay free for who comes next.
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
_MOST: Final = 4
"""An owner may have so many times the free places: four fifths of all where it is alone, four ninths each of two."""
_TURNS: Final = 8
"""One in so many names that are given out is the one that has waited longest, where that is long: the less urgent are not starved."""


class QueueClosed(Exception):
    """No more names will be given out."""


class _Ready(NamedTuple):
    """A name that is due. The most urgent comes first; among equals, the one that was due first."""

    rank: float
    sequence: int


class _Head(NamedTuple):
    """An owner's first name, against those of the others. Of equally urgent ones the owner comes first that was served longest ago."""

    rank: float
    turn: int
    sequence: int
    owner: Hashable


class _Owner(Generic[K]):
    """One owner's names that are due, and how many of its names are being worked on."""

    __slots__ = ("head", "in_flight", "names", "turn")

    def __init__(self, turn: int) -> None:
        self.names: list[tuple[_Ready, K]] = []
        """A heap; names that have gone or have another rank by now still stand in it as they did."""
        self.head: _Head | None = None
        """As it stands among the others' now."""
        self.turn = turn
        self.in_flight = 0


class WorkQueue(Generic[K]):
    """Due-time queue for one event loop."""

    def __init__(
        self,
        rank: Callable[[K], float] | None = None,
        *,
        owner: Callable[[K], Hashable] | None = None,
        places: float = float("inf"),
    ) -> None:
        """Wants a running event loop. `rank`: how urgent a name is now, lowest first, asked while several are due; None: all are equal.

        `owner`: whose a name is, None: all are of one; `places`: how many names are worked on at once, for owners to share.
        """
        self._loop = asyncio.get_running_loop()
        self._rank = rank
        self._owner = owner or (lambda _: None)
        self._places = places
        self._heap: list[tuple[float, int, K]] = []
        self._due: dict[K, float] = {}
        self._ready: dict[K, _Ready] = {}
        """Names that are due and compete: each stands with its owner as it does here, and in `_waiting`."""
        self._owners: dict[Hashable, _Owner[K]] = {}
        """Who has names that are due, or being worked on."""
        self._heads: list[_Head] = []
        """A heap of all owners' heads; those that are not their owner's any more are dropped when they come up."""
        self._turn = 0
        """Of the owner that was served last: who comes anew is as if it had been served just before."""
        self._held_back = False
        """All owners of names that are due have as many places as they may."""
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
        now = self._loop.time()
        late = [now - at for at in self._due.values() if at <= now]
        return len(late), max(late, default=0.0)

    def add(self, key: K, delay: float = 0.0) -> None:
        """Make sure that the name is given out within `delay` seconds: an earlier time wins over a later one."""
        at = self._loop.time() + max(0.0, delay)
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
        while not self._closed:
            if self._first() <= (now := self._loop.time()) + _TICK and (found := self._take(now)):
                (key,) = found
                self._in_flight.add(key)
                self._set_alarm()
                return key
            woken = self._loop.create_future()
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

    def _take(self, now: float) -> tuple[K] | None:
        """The name whose turn it is, of those that are due; None where all their owners have what they may."""
        if not self._ready:
            _, _, key = heapq.heappop(self._heap)
            if self._next_time() > now + _TICK and self._may_have(mine := self._of(key)):
                del self._due[key]
                mine.in_flight += 1
                return (key,)  # nothing to choose from
            self._compete(key)
        while self._next_time() <= now + _TICK:
            _, _, key = heapq.heappop(self._heap)
            self._compete(key)
        owner = self._first_owner()
        self._held_back = owner is None
        if owner is None:
            return None
        self._given += 1
        key = self._oldest()
        if self._given % _TURNS or now - self._due[key] < _LONG or not self._may_have(self._of(key)):
            _, key = owner.names[0]
        mine = self._of(key)
        mine.in_flight += 1
        self._turn = max(self._turn, mine.turn)
        mine.turn = self._turn + 1
        del self._due[key], self._ready[key]
        self._stand(self._owner(key), mine)
        if not self._ready:
            self._rest()
        return (key,)

    def _first_owner(self) -> _Owner[K] | None:
        """Whose turn it is, of those that may have one more: its first name is given out next."""
        passed: list[_Head] = []
        found = None
        while self._heads and found is None:
            owner = self._owners.get(self._heads[0].owner)
            if owner is None or owner.head is not self._heads[0]:
                heapq.heappop(self._heads)
            elif self._may_have(owner):
                found = owner
            else:
                passed.append(heapq.heappop(self._heads))
        for head in passed:
            heapq.heappush(self._heads, head)
        return found

    def _may_have(self, owner: _Owner[K]) -> bool:
        """Whether it may have one more place."""
        return owner.in_flight < _MOST * (self._places - len(self._in_flight))

    def _of(self, key: K) -> _Owner[K]:
        name = self._owner(key)
        if (owner := self._owners.get(name)) is None:
            owner = self._owners[name] = _Owner(self._turn)
        return owner

    def _oldest(self) -> K:
        """The name that has been due for longest."""
        while (ready := self._ready.get(self._waiting[0][1])) is None or ready.sequence != self._waiting[0][0]:
            self._waiting.popleft()
        return self._waiting[0][1]

    def _rest(self) -> None:
        """Nobody competes: what was kept for that is forgotten, but for who is being worked for."""
        self._waiting.clear()
        self._heads.clear()
        self._owners = {name: owner for name, owner in self._owners.items() if owner.in_flight}
        for owner in self._owners.values():
            owner.head = None
            owner.names.clear()

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
            owner = self._of(key)
            heapq.heappush(owner.names, (ready, key))
            self._stand(self._owner(key), owner)

    def _stand(self, name: Hashable, owner: _Owner[K]) -> None:
        """An owner's names or turn have changed: its head stands among the others' as it is now."""
        while owner.names and self._ready.get(owner.names[0][1]) != owner.names[0][0]:
            heapq.heappop(owner.names)
        if not owner.names:
            owner.head = None
            return
        ready = owner.names[0][0]
        head = _Head(ready.rank, owner.turn, ready.sequence, name)
        if owner.head != head:
            owner.head = head
            heapq.heappush(self._heads, head)

    def _first(self) -> float:
        """When the first name is due that may be given out."""
        return float("-inf") if self._ready and not self._held_back else self._next_time()

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
            self._alarm = self._loop.call_at(at, self._ring)

    def _ring(self) -> None:
        self._alarm = None
        if self._idle and self._first() <= self._loop.time() + _TICK:
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
        owner = self._of(key)
        owner.in_flight -= 1
        if not owner.in_flight and not self._ready:
            del self._owners[self._owner(key)]
        self._held_back = False
        again = self._again.pop(key, None)
        if delay is not None:
            self.add(key, delay)
        if again is not None:
            self.add(key, again - self._loop.time())
        self._set_alarm()

    def close(self) -> None:
        """Give out nothing more; whoever waits gets QueueClosed."""
        self._closed = True
        if self._alarm is not None:
            self._alarm.cancel()
        while self._idle:
            self._wake_one()
