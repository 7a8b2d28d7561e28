"""Shared looks: one at a time at each issuer, on behalf of all who need what it finds; nobody waits long for one without an answer.

Who waits is a worker, and workers are few: an issuer that never answers would have them all, one after another, and nobody else any.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final, Generic, TypeVar

from keywright.errors import NotYet

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Hashable

    from keywright.errors import KeywrightError

__all__ = ["Looks"]

K = TypeVar("K", bound="Hashable")

_PATIENCE: Final = 1.0
"""Seconds: two requests to a platform that is well take less."""
_KNOWN: Final = 0.1
"""Seconds where the look before has failed: long enough for one that works again to be noticed by all, and not only by who asks."""


class Looks(Generic[K]):
    """Of one directory."""

    def __init__(self) -> None:
        self._locks: defaultdict[K, asyncio.Lock] = defaultdict(asyncio.Lock)

    @asynccontextmanager
    async def at(self, what: K, called: str, failed: KeywrightError | None) -> AsyncIterator[None]:
        """The only look at this; `failed`: what the last one ended with.

        Raises `failed`, or else NotYet, where somebody else's look takes too long.
        """
        lock = self._locks[what]
        if lock.locked():
            try:
                async with asyncio.timeout(_KNOWN if failed else _PATIENCE):
                    await lock.acquire()
            except TimeoutError:
                late = failed or NotYet(f"{called} has not answered yet")
                raise late.with_traceback(None) from None
        else:
            await lock.acquire()
        try:
            yield
        finally:
            lock.release()

    def forget(self, what: K) -> None:
        """It is gone."""
        self._locks.pop(what, None)
