"""How fast a pass of the inventory reads: a small issuer's pages at once, those of a large one spread over a part of the interval."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from keywright.errors import Retryable

__all__ = ["PassPace"]

_SPREAD: Final = 0.25
"""The share of its interval over which a pass of many pages is spread: no burst, and known soon enough all the same."""
_APART: Final = 1.0
"""Seconds between two pages at most: a request a second is no burst."""
_AT_ONCE: Final = 3
"""Pages that are read without a pause: those of a small issuer."""
_PER_PAGE: Final = 90
"""Keys that each further page brings, to guess the pages of a first pass by."""
_PAGE_AGAIN: Final = 2.0
"""Seconds until a page is asked for again that got no answer, in the midst of a pass."""
_FAILURES_BORNE: Final = 3
"""Pages in a row that may get none: else a pass of a hundred pages would seldom come to its end at a platform that is unwell."""


class PassPace:
    """Implements keywright.ports.issuer.Pace for one pass; `pages` counts."""

    def __init__(
        self,
        *,
        interval: float,
        expected: int,
        sleep: Callable[[float], Awaitable[None]],
        first: Callable[[], Awaitable[None]],
    ) -> None:
        """`interval` in seconds; `expected` pages; `sleep` takes seconds; `first` is called once the first page of several is there."""
        self.pages = 1
        self._within = interval * _SPREAD
        self._expected = expected
        self._sleep = sleep
        self._first = first
        self._failures = 0

    @staticmethod
    def pages_of(keys: int) -> int:
        """How many pages so many keys take, or so."""
        return keys // _PER_PAGE + 1

    async def __call__(self, read: int, failed: Retryable | None) -> None:
        """As the port says."""
        if failed is not None:
            self._failures += 1
            if read == 0 or self._failures > _FAILURES_BORNE:
                raise failed.with_traceback(None)
            await self._sleep(max(_PAGE_AGAIN, failed.after or 0.0))
            return
        if self.pages == 1:
            await self._first()
        self.pages += 1
        self._failures = 0
        if self.pages > _AT_ONCE:
            await self._sleep(min(_APART, self._within / max(self.pages, self._expected)))
