"""Consumers as a fleet has them: each reads its target once per second and calls the platform with it at once.

All of them in one thread with one event loop, so that fifty cost little beside what they watch.
"""

from __future__ import annotations

import asyncio
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import aiohttp

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

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
def consuming(teams: Mapping[str, Team]) -> Iterator[Calls]:
    """One consumer for each ApiKey, which is its team's, while the block runs. Each target must stand already."""
    calls = Calls()
    over = threading.Event()
    thread = threading.Thread(target=lambda: asyncio.run(_all(teams, calls, over)), name="consumers")
    thread.start()
    try:
        yield calls
    finally:
        over.set()
        thread.join()


async def _all(teams: Mapping[str, Team], calls: Calls, over: threading.Event) -> None:
    tls = next(iter(teams.values())).plane.tls
    async with (
        aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(ssl=tls),
            timeout=_PATIENCE,
        ) as targets,
        aiohttp.ClientSession(timeout=_PATIENCE) as platform,
    ):
        consumers = [_Consumer(team, name, targets, platform, calls) for name, team in teams.items()]
        # Spread over the second, as consumers are.
        await asyncio.gather(*(one.consume(i * PERIOD / len(teams), over) for i, one in enumerate(consumers)))


@dataclass
class _Consumer:
    team: Team
    name: str
    targets: aiohttp.ClientSession
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
        url, headers = self.team.where(f"{self.name}-key")
        async with self.targets.get(url, headers=headers) as answer:
            if answer.status != 200:
                self.calls.failed.append(f"{self.name}: its target answers {answer.status}")
                return
            held = self.team.found(await answer.json())
        if held is None:
            self.calls.failed.append(f"{self.name}: no key stands in its target")
            return
        text, key_id = held
        async with self.platform.get(
            f"{self.team.sandbox.url}/v1/models", headers={"Authorization": f"Bearer {text}"}
        ) as answer:
            self.calls.made += 1
            self.calls.by[self.name] = self.calls.by.get(self.name, 0) + 1
            self.calls.keys.setdefault(self.name, set()).add(key_id)
            if answer.status != 200:
                self.calls.refused.append(f"{self.name}: {answer.status} for key {key_id}")
