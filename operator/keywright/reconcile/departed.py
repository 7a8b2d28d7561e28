"""Clients that have left the directory: replaced ones finish their calls, and those of issuers that are gone may be needed once more."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from keywright.ports.issuer import Issuer

__all__ = ["Departed"]

_RETIRED_KEPT: Final = 120.0
"""Seconds that a replaced client has to finish its calls: more than any request's deadline."""
_KEPT: Final = 64
"""Clients of issuers that went while ApiKeys had keys of them, which a finalizer taken off by hand alone makes possible."""


class Departed:
    """Of one directory; wants a running event loop where a client comes to it."""

    def __init__(self) -> None:
        self._kept: dict[str, Issuer] = {}
        self._retired: list[tuple[asyncio.TimerHandle, Issuer]] = []
        self._closing: set[asyncio.Task[None]] = set()

    def of(self, uid: str) -> Issuer | None:
        """The client of an issuer that is gone, where it was kept."""
        return self._kept.get(uid)

    def keep(self, uid: str, client: Issuer) -> None:
        """Somebody may have to revoke what this issuer made; past 64 such issuers the oldest is given up."""
        self._kept[uid] = client
        while len(self._kept) > _KEPT:
            self.retire(self._kept.pop(next(iter(self._kept))))

    def retire(self, client: Issuer) -> None:
        """Calls under way keep their connections for a while: a POST that is cut off costs a key."""
        loop = asyncio.get_running_loop()

        def close() -> None:
            self._retired[:] = [(t, c) for t, c in self._retired if c is not client]
            task = loop.create_task(client.close())
            self._closing.add(task)
            task.add_done_callback(self._closing.discard)

        self._retired.append((loop.call_later(_RETIRED_KEPT, close), client))

    async def close(self) -> None:
        """Give all connections back."""
        for timer, _ in self._retired:
            timer.cancel()
        clients = [*self._kept.values(), *(client for _, client in self._retired)]
        self._kept.clear()
        self._retired.clear()
        for client in clients:
            await client.close()
        await asyncio.gather(*self._closing)
