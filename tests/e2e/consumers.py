"""Consumers as a fleet has them: each reads its Secret once per second and calls the platform with it at once.

All of them in one thread with one event loop, so that fifty cost little beside what they watch.
"""

from __future__ import annotations

import asyncio
import base64
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import aiohttp

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tests.e2e.team import Team

__all__ = ["Calls", "consuming"]

PERIOD = 1.0
"""Seconds between two calls of one consumer."""
_PATIENCE = aiohttp.ClientTimeout(total=30)


@dataclass
class Calls:
    """What the consumers have met. `refused`: when and whose; `failed`: what was no answer at all."""

    made: int = 0
    by: dict[str, int] = field(default_factory=dict)
    refused: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    keys: dict[str, set[str]] = field(default_factory=dict)
    """The different keys that each has called with, by the record's id."""


@contextmanager
def consuming(team: Team, names: Sequence[str]) -> Iterator[Calls]:
    """One consumer for each ApiKey, while the block runs. Each Secret must stand already."""
    calls = Calls()
    over = threading.Event()
    thread = threading.Thread(target=lambda: asyncio.run(_all(team, names, calls, over)), name="consumers")
    thread.start()
    try:
        yield calls
    finally:
        over.set()
        thread.join()


async def _all(team: Team, names: Sequence[str], calls: Calls, over: threading.Event) -> None:
    async with (
        aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(ssl=team.plane.tls),
            headers={"Authorization": f"Bearer {team.plane.admin_token}"},
            timeout=_PATIENCE,
        ) as kube,
        aiohttp.ClientSession(timeout=_PATIENCE) as platform,
    ):
        consumers = [_Consumer(team, name, kube, platform, calls) for name in names]
        # Spread over the second, as consumers are.
        await asyncio.gather(*(one.consume(i * PERIOD / len(names), over) for i, one in enumerate(consumers)))


@dataclass
class _Consumer:
    team: Team
    name: str
    kube: aiohttp.ClientSession
    platform: aiohttp.ClientSession
    calls: Calls

    async def consume(self, delay: float, over: threading.Event) -> None:
        loop = asyncio.get_running_loop()
        due = loop.time() + delay
        while not over.is_set():
            await asyncio.sleep(max(0.0, due - loop.time()))
            due = max(due + PERIOD, loop.time())
            try:
                await self._call()
            except (aiohttp.ClientError, TimeoutError) as error:
                self.calls.failed.append(f"{self.name}: {type(error).__name__}")

    async def _call(self) -> None:
        where = f"/api/v1/namespaces/{self.team.namespace}/secrets/{self.name}-key"
        async with self.kube.get(self.team.plane.server + where) as answer:
            if answer.status != 200:
                self.calls.failed.append(f"{self.name}: its Secret answers {answer.status}")
                return
            secret = await answer.json()
        text = base64.b64decode(secret["data"]["api-key"]).decode()
        key_id = secret["metadata"]["annotations"]["keywright.dev/key-id"]
        self.team.sandbox.shown.add(text)
        async with self.platform.get(
            f"{self.team.sandbox.url}/v1/models", headers={"Authorization": f"Bearer {text}"}
        ) as answer:
            self.calls.made += 1
            self.calls.by[self.name] = self.calls.by.get(self.name, 0) + 1
            self.calls.keys.setdefault(self.name, set()).add(key_id)
            if answer.status != 200:
                self.calls.refused.append(f"{self.name}: {answer.status} for key {key_id}")
