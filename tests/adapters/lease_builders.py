"""Replicas over one Lease in virtual time."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.ports.fake_lease import LOST, FakeLeases, Line

from keywright.adapters.kube_lease import KubeLease, Place
from keywright.errors import NotLeading

__all__ = ["DURATION", "FOLDER", "NOON", "PATH", "Replica", "holding", "now", "somebody", "spec"]

NOON = datetime(2026, 11, 24, 12, 0, 0, 654321, tzinfo=UTC)
FOLDER = "/apis/coordination.k8s.io/v1/namespaces/keywright-system/leases"
PATH = f"{FOLDER}/keywright"
DURATION = 15.0


def now() -> float:
    """The loop's time: the world's."""
    return asyncio.get_running_loop().time()


class Replica:
    """One process with its own line and clocks; `ahead` hours on the wall, and any number on the clock since boot."""

    def __init__(self, leases: FakeLeases, name: str, *, ahead: float = 0.0, duration: float = DURATION) -> None:
        self.line = Line(leases)
        since_boot = 1e5 * len(name)
        self.lease = KubeLease(
            self.line,  # type: ignore[arg-type] - as much of a KubeApi as it uses
            Place("keywright-system", "keywright"),
            identity=name,
            duration=duration,
            clock=lambda: since_boot + now(),
            now=lambda: NOON + timedelta(seconds=now(), hours=ahead),
            sleep=asyncio.sleep,
        )

    def leads(self, seconds: float = 0.0) -> bool:
        """Whether it may act for so long."""
        try:
            self.lease.require(seconds)
        except NotLeading:
            return False
        return True

    @property
    def left(self) -> float:
        """Seconds for which it may act."""
        return self.lease._valid_until - self.lease._clock()

    def cut(self) -> None:
        """Nothing arrives any more."""
        self.line.there = lambda: LOST

    def mend(self) -> None:
        """All arrives again."""
        self.line.there = lambda: 0.005


@asynccontextmanager
async def holding(replica: Replica):
    """It has taken the lease, and renews it; gives the task, which ends with why it was lost."""
    await replica.lease.acquire()
    task = asyncio.create_task(replica.lease.hold())
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.wait((task,))


def spec(leases: FakeLeases) -> dict[str, Any]:
    """What stands in the Lease."""
    return leases.stored[PATH]["spec"]


def somebody(leases: FakeLeases, **body: Any) -> None:
    """A write of somebody who does not ask for versions."""
    leases.apply("PATCH", PATH, {"metadata": {}} | body)
