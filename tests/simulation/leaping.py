"""An event loop whose clock leaps to the next timer. It knows of no files, sockets or threads, of which histories have none.

looptime, which other tests use, polls the system at each turn and takes two turns for each leap: a sixth of a history's time.
"""

from __future__ import annotations

import asyncio

__all__ = ["LeapingLoop"]


class LeapingLoop(asyncio.BaseEventLoop):
    """Time begins at 0 and passes only while everybody waits."""

    def __init__(self) -> None:
        super().__init__()
        self._now = 0.0
        self._selector = self

    def time(self) -> float:
        """Seconds."""
        return self._now

    def select(self, timeout: float | None) -> list[object]:
        """As selectors do it: wait for what never comes, for so many seconds."""
        if timeout is None:
            raise RuntimeError("everybody waits, and for nothing that will ever happen")
        self._now += timeout
        return []

    def _process_events(self, event_list: list[object]) -> None:
        """There are none."""
