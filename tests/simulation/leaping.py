"""An event loop whose clock leaps to the next timer. It knows of no files, sockets or threads, of which histories have none.

looptime, which other tests use, polls the system at each turn and takes two turns for each leap: a sixth of a history's time. Handles
of asyncio's own are made for debuggers and weak references, and their timers are compared by a method: a call here is four fields.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
from contextvars import Context, copy_context
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["LeapingLoop"]


class _Call:
    """As much of a handle as asyncio asks for."""

    __slots__ = ("_when", "args", "callback", "context")

    def __init__(self, when: float, callback: Callable[..., object], args: tuple[Any, ...], context: Context) -> None:
        self._when = when
        self.callback: Callable[..., object] | None = callback
        self.args = args
        self.context = context

    def when(self) -> float:
        """The loop's time."""
        return self._when

    def cancel(self) -> None:
        """It is not called."""
        self.callback = None

    def cancelled(self) -> bool:
        """Whether it is not."""
        return self.callback is None


class LeapingLoop(asyncio.BaseEventLoop):
    """Time begins at 0 and passes only while everybody waits."""

    def __init__(self) -> None:
        super().__init__()
        self._now = 0.0
        self._timers: list[tuple[float, int, _Call]] = []
        """A heap; of equal times, the one first that was set first."""
        self._count = itertools.count()

    def time(self) -> float:
        """Seconds."""
        return self._now

    def call_soon(self, callback: Callable[..., object], *args: Any, context: Context | None = None) -> Any:
        """In the next turn."""
        call = _Call(self._now, callback, args, context or copy_context())
        self._ready.append(call)
        return call

    def call_later(
        self, delay: float, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> Any:
        """After so many seconds."""
        return self.call_at(self._now + delay, callback, *args, context=context)

    def call_at(self, when: float, callback: Callable[..., object], *args: Any, context: Context | None = None) -> Any:
        """When the time has come."""
        call = _Call(when, callback, args, context or copy_context())
        heapq.heappush(self._timers, (when, next(self._count), call))
        return call

    async def nap(self, seconds: float) -> None:
        """As asyncio.sleep, without a timer that could be cancelled: the simulation waits so at each of its boundaries."""
        woken = self.create_future()
        self.call_at(self._now + seconds, _wake, woken)
        await woken

    def _run_once(self) -> None:
        """One turn: what was ready when it began. Called by run_forever."""
        ready, timers = self._ready, self._timers
        if not ready:
            while timers and timers[0][2].callback is None:
                heapq.heappop(timers)
            if not timers:
                raise RuntimeError("everybody waits, and for nothing that will ever happen")
            self._now = max(self._now, timers[0][0])
        while timers and timers[0][0] <= self._now:
            ready.append(heapq.heappop(timers)[2])
        for _ in range(len(ready)):
            call = ready.popleft()
            if call.callback is not None:
                try:
                    call.context.run(call.callback, *call.args)
                except (SystemExit, KeyboardInterrupt):
                    raise
                except BaseException as error:  # noqa: BLE001 - as asyncio does it: nobody waits for it
                    self.call_exception_handler({"message": "an exception in a callback", "exception": error})


def _wake(sleeper: asyncio.Future[None]) -> None:
    if not sleeper.done():
        sleeper.set_result(None)
