"""Workers: take a due name from the queue, have it reconciled, put it back for when it is due again.

The one place with a broad except: no error of one name may end the loop, and each is logged, counted and repeated.
"""

from __future__ import annotations

import asyncio
import logging
from datetime import timedelta
from time import perf_counter
from typing import TYPE_CHECKING, Final, Generic, TypeVar

from keywright.errors import Ambiguous, NotLeading, NotYet, Retryable, Terminal
from keywright.reconcile.account import log_fields
from keywright.reconcile.workqueue import QueueClosed

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Hashable
    from types import TracebackType

    from keywright.metrics import Metrics
    from keywright.reconcile.workqueue import WorkQueue

__all__ = ["Workers"]

_log = logging.getLogger(__name__)
K = TypeVar("K", bound="Hashable")

_FIRST_PAUSE: Final = 0.5
"""Seconds after the first error of a name; doubled with each further one in a row."""
_LONGEST_PAUSE: Final = 60.0
"""Seconds: what is mended outside is noticed within a minute."""
_A_MOMENT: Final = 1.0
"""Seconds until a name comes back that met a lease too short for it, which is renewed by then, or else this process has ended; or an
issuer that somebody else is looking at."""
_LONGEST_SLEEP: Final = timedelta(minutes=15)
"""A name is looked at this often at least, so that a clock that jumped is noticed; costs neither read nor write."""


class Workers(Generic[K]):
    """Some tasks over one queue."""

    def __init__(
        self,
        queue: WorkQueue[K],
        work: Callable[[K], Awaitable[timedelta | None]],
        *,
        name: str,
        count: int,
        metrics: Metrics,
    ) -> None:
        """`work` returns after how long the name is due again; None: when it is added. `name`: the queue's, in metrics."""
        self._queue = queue
        self._work = work
        self._count = count
        self._metrics = metrics
        self._seconds = metrics.reconcile_seconds.labels(name)
        self._failures: dict[K, int] = {}
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Begin in the running loop."""
        self._tasks = [asyncio.create_task(self._run(), name=f"worker-{i}") for i in range(self._count)]

    async def stop(self, grace: float) -> bool:
        """Finish what is in flight within `grace` seconds, take nothing new. False where something had to be cut off."""
        self._queue.close()
        if not self._tasks:
            return True
        _, late = await asyncio.wait(self._tasks, timeout=grace)
        for task in late:
            task.cancel()
        await asyncio.gather(*late, return_exceptions=True)
        return not late

    async def _run(self) -> None:
        while True:
            try:
                key = await self._queue.get()
            except QueueClosed:
                return
            delay: float | None = _LONGEST_PAUSE
            try:
                delay = await self._one(key)
            finally:
                self._queue.done(key, delay)

    async def _one(self, key: K) -> float | None:
        """Seconds until the name is due again."""
        began = perf_counter()
        try:
            due = await self._work(key)
        except (Retryable, Ambiguous, Terminal) as error:
            return self._failed(key, error, error.after if isinstance(error, Retryable) else None)
        except (NotLeading, NotYet) as error:
            _log.debug("%s", error, extra=log_fields(key))
            return _A_MOMENT
        except Exception as error:  # noqa: BLE001 - one name's error must not end the loop
            # The traceback's lines hold code, not values; the error's own text might quote an input, so only its type is logged.
            _log.error("unexpected %s", type(error).__name__, extra=log_fields(key), exc_info=_without_text(error))
            return self._failed(key, error, None)
        finally:
            self._seconds.observe(perf_counter() - began)
        self._failures.pop(key, None)
        return None if due is None else min(due, _LONGEST_SLEEP).total_seconds()

    def _failed(self, key: K, error: Exception, after: float | None) -> float:
        count = self._failures[key] = self._failures.get(key, 0) + 1
        self._metrics.reconcile_errors.labels(type(error).__name__).inc()
        pause = min(_LONGEST_PAUSE, _FIRST_PAUSE * (1 << min(count - 1, 10)))
        if after is not None:
            pause = max(pause, after)
        if isinstance(error, Retryable | Ambiguous | Terminal):
            # The 1st, 2nd, 4th, 8th in a row of one name: an apiserver that is away for long fills no log.
            level = logging.DEBUG if count & (count - 1) else logging.WARNING
            _log.log(level, "%s", error, extra={**log_fields(key), "retry_in_seconds": pause})
        return pause


def _without_text(error: BaseException) -> tuple[type[BaseException], BaseException, TracebackType | None]:
    """The same place, without the words."""
    return RuntimeError, RuntimeError(type(error).__name__), error.__traceback__
