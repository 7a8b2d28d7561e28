"""Looks at ApiKeys and Secrets several times a second, and calls the issuer with the keys that it finds in the Secrets.

The one place that holds plaintexts, in memory, old ones too: to see that they stop working. Never shown, never written.
"""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, Self

import aiohttp

from keywright.demo.cluster import API_KEYS
from keywright.demo.reading import MANAGED, key_of, plaintext_in, read_api_key, read_secret
from keywright.errors import Ambiguous, Retryable, Terminal

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from keywright.adapters.kube import KubeApi
    from keywright.demo.board import Board
    from keywright.demo.cluster import Document
    from keywright.demo.life import Delivered, Life
    from keywright.demo.vault import DemoVault
    from keywright.keys import ResourceKey, SecretValue

__all__ = ["Follower"]

_PAUSE: Final = 0.05
"""Seconds between two looks: quick enough for the eye, and little work for the apiserver."""

_LEISURE: Final = 0.2
"""The same while it only stays up, perhaps all day."""

_WORKS: Final = 200
_REFUSED: Final = (401, 403)


class Follower:
    """Keeps a board up to date."""

    def __init__(
        self, api: KubeApi, issuer: str, board: Board, check: Callable[[], None], vault: DemoVault | None
    ) -> None:
        """`issuer`: its address; `check` raises where something that must run does not; `vault`: where keys may stand, too."""
        self._vault = vault
        self._api = api
        self._issuer = issuer
        self._board = board
        self._check = check
        self._plaintexts: dict[str, SecretValue] = {}
        self._in_vault: dict[ResourceKey, Document] = {}
        """Also those that are gone: their paths go with them."""
        self._session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=10))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._session.close()

    async def until(self, seen: Callable[[], bool], what: str, *, within: float, why: Callable[[], str]) -> None:
        """Look until `seen`. Raises Terminal when `within` seconds are over, with `why` in its sentence."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + within
        while True:
            await self.look()
            if seen():
                return
            self._check()
            if loop.time() > deadline:
                raise Terminal(f"{what} was not seen within {within:.0f} s; {why()}", reason="NotSeen")
            await asyncio.sleep(_PAUSE)

    async def pause(self, seconds: float) -> None:
        """Let people read, and go on looking meanwhile."""
        loop = asyncio.get_running_loop()
        until = loop.time() + seconds
        while loop.time() < until:
            await self.look()
            self._check()
            await asyncio.sleep(_PAUSE)

    async def forever(self) -> None:
        """Look until cancelled."""
        while True:
            await self.look()
            self._check()
            await asyncio.sleep(_LEISURE)

    async def look(self) -> None:
        """Once. An apiserver or issuer that does not answer is asked again next time."""
        try:
            # In this order: an ApiKey is never older than its Secret, so that a Secret is never missed too early.
            secrets = await self._api.list("/api/v1/secrets", params={"labelSelector": MANAGED})
            api_keys = await self._api.list(f"{API_KEYS}/apikeys")
        except (Retryable, Ambiguous):
            return
        there = [*secrets.items]
        if self._vault is not None:
            self._in_vault |= {key_of(api_key): api_key for api_key in api_keys.items if _goes_into_vault(api_key)}
            there += [path for api_key in self._in_vault.values() if (path := await self._vault.seen(api_key))]
        now, at, board = datetime.now(UTC), self._board.clock(), self._board
        delivered: dict[ResourceKey, Delivered] = {}
        for secret in there:
            if (found := read_secret(secret)) is not None:
                delivered[found[0]] = found[1]
                if found[1].key_id not in self._plaintexts and (plaintext := plaintext_in(secret)):
                    self._plaintexts[found[1].key_id] = plaintext
        standing = {key_of(api_key): read_api_key(api_key, now) for api_key in api_keys.items}
        for key in standing:
            board.life(key)
        for key, life in tuple(board.lives.items()):
            board.say(key, life.stands(standing.get(key), at))
            board.say(key, life.holds(delivered.get(key), at))
            await self._try_keys(key, life)

    async def _try_keys(self, key: ResourceKey, life: Life) -> None:
        for held in life.to_try():
            plaintext = self._plaintexts.get(held.key_id)
            works = await self._call(plaintext) if plaintext else None
            if works is not None:
                self._board.say(key, life.answered(held.key_id, self._board.clock(), works=works))

    async def _call(self, plaintext: SecretValue) -> bool | None:
        """Whether the issuer takes the key; None where it said neither yes nor no."""
        headers = {"Authorization": f"Bearer {plaintext.reveal()}"}
        try:
            async with self._session.get(f"{self._issuer}/v1/models", headers=headers) as answer:
                if answer.status == _WORKS:
                    return True
                return False if answer.status in _REFUSED else None
        except (aiohttp.ClientError, TimeoutError):
            return None


def _goes_into_vault(api_key: Document) -> bool:
    return "vault" in (api_key["spec"].get("target") or {})
