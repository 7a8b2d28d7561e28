"""T3: an operator comes back after weeks to two hundred overdue ApiKeys, in virtual time."""

from __future__ import annotations

import asyncio
import re
from datetime import UTC, datetime, timedelta
from itertools import count, pairwise
from typing import TYPE_CHECKING

import pytest
from tests.ports.fake_cluster import FakeCluster
from tests.ports.fake_issuer import FakeIssuer, FakePlatform
from tests.ports.fake_sink import FakeSink
from tests.ports.fake_workloads import FakeWorkloads, WorkloadStore

from keywright.adapters.budget import Budget
from keywright.api.apikey_status import ApiKeyStatus
from keywright.keys import AttemptId, ResourceKey
from keywright.metrics import Metrics
from keywright.ports.issuer import AHEAD
from keywright.reconcile.engine import Engine, Settings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from keywright.api.keyissuer import KeyIssuerSpec
    from keywright.keys import KeyId, ListedKey, SecretValue, Workspace
    from keywright.ports.issuer import IssuedKey, KeyRequest, Pace

pytestmark = pytest.mark.looptime

BEGUN = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
KEYS = 200
PER_SECOND, BURST = 10, 20
AWAY = timedelta(days=22)
LATEST = 28
"""Days: validities are 9 to 28, so that all renewal times, and the last days of some, fall into the absence."""


class Budgeted(FakeIssuer):
    """Asks the budget before each request, as the real adapter does; tells of each."""

    def __init__(self, backlog: Backlog, admin_key: SecretValue) -> None:
        super().__init__(backlog.platform, admin_key)
        self._backlog = backlog

    async def create(self, request: KeyRequest) -> IssuedKey:
        """Ranked."""
        await self._backlog.turn(f"POST {request.name}", request.urgency)
        return await super().create(request)

    async def check(self, plaintext: SecretValue) -> bool:
        """Ahead of all."""
        await self._backlog.turn("check", AHEAD)
        return await super().check(plaintext)

    async def revoke(self, key_id: KeyId, workspace_id: str | None = None, *, ahead: bool = False) -> None:
        """As it comes, or ahead of all."""
        await self._backlog.turn(f"DELETE {key_id}", AHEAD if ahead else None)
        await super().revoke(key_id, workspace_id)

    async def list_keys(self, name: str | None = None, *, pace: Pace | None = None) -> Sequence[ListedKey]:
        """As it comes."""
        await self._backlog.turn("list", None)
        return await super().list_keys(name, pace=pace)

    async def workspaces(self) -> Sequence[Workspace]:
        """As it comes."""
        await self._backlog.turn("workspaces", None)
        return await super().workspaces()

    async def user_id(self, user: str) -> str:
        """As it comes."""
        await self._backlog.turn("user", None)
        return await super().user_id(user)


class Backlog:
    """Two hundred ApiKeys, and operators that come and go; `asked` holds each request of the budgeted one with its second."""

    def __init__(self) -> None:
        self._loop, self._ids = asyncio.get_running_loop(), count(1)
        self._started = self._loop.time()
        self.cluster, self.platform, self.sink = FakeCluster(self.clock), FakePlatform(self.clock), FakeSink()
        self.cluster.values["Secret", "search", "admin"] = {"key": "admin"}
        spec = {"mistral": {"user": "dev@example.com", "adminKeySecretRef": {"name": "admin", "key": "key"}}}
        self.cluster.create("KeyIssuer", ResourceKey("search", "mistral"), spec)
        self.budget = Budget(PER_SECOND, BURST)
        self.asked: list[tuple[float, str]] = []
        for i in range(KEYS):
            days = 9 + i * 7 % 20  # in no order
            wanted = {
                "issuerRef": {"name": "mistral"},
                "workspace": "search-prod",
                "expiry": {"validity": f"{days}d"},
                "target": {"secret": {"name": f"key-{i}"}},
            }
            self.cluster.create("ApiKey", ResourceKey("search", f"k{i}"), wanted)

    def clock(self) -> datetime:
        """The loop's."""
        return BEGUN + timedelta(seconds=self._loop.time() - self._started)

    async def turn(self, what: str, rank: float | None) -> None:
        """One request's."""
        await self.budget.acquire(rank)
        self.asked.append((self._loop.time(), what))

    def budgeted(
        self, name: str, spec: KeyIssuerSpec, admin_key: SecretValue, ca_bundle: SecretValue | None
    ) -> Budgeted:
        """An IssuerFactory."""
        return Budgeted(self, admin_key)

    def an_engine(self, *, budgeted: bool) -> Engine:
        """A new process."""
        engine = Engine(
            cluster=self.cluster,
            sink=self.sink,
            workloads=FakeWorkloads(WorkloadStore(self.clock)),
            factory=self.budgeted if budgeted else self.platform.factory,
            settings=Settings(cluster_id="c1u5ter0", cluster_scope=True, min_interval=300.0, late_window=600.0),
            clock=self.clock,
            new_attempt_id=lambda: AttemptId(f"a{next(self._ids):07}"),
            metrics=Metrics.create(),
        )
        engine.start([self.cluster.stored["KeyIssuer", ResourceKey("search", "mistral")]])
        return engine

    def status(self, name: str) -> ApiKeyStatus:
        """Of one ApiKey."""
        return ApiKeyStatus.model_validate(self.cluster.stored["ApiKey", ResourceKey("search", name)]["status"])


async def test_after_weeks_away_the_nearest_expiry_goes_first_within_the_budget():
    """Ahead of all the key that is said to be compromised; each ApiKey gets one key; no second has more requests than agreed."""
    world = Backlog()
    engine = world.an_engine(budgeted=False)
    await asyncio.sleep(60)
    assert world.platform.posts == KEYS
    await engine.finish(10)
    await asyncio.sleep(AWAY.total_seconds())
    ends = {f"k{i}": world.status(f"k{i}").expires_at for i in range(KEYS)}
    assert all((world.status(name).renewal_time or world.clock()) < world.clock() for name in ends)
    old = {name: world.status(name).key_id for name in ends}
    leaked = max(ends, key=lambda name: (ends[name], name))
    annotate = {"keywright.dev/compromised": "yes"}
    world.cluster.edit(
        "ApiKey", ResourceKey("search", leaked), lambda obj: obj["metadata"].update(annotations=annotate)
    )

    engine = world.an_engine(budgeted=True)
    begun = asyncio.get_running_loop().time()
    await asyncio.sleep(120)
    await engine.finish(10)

    posts = [
        (at - begun, found[1])
        for at, what in world.asked
        if (found := re.match(r"POST search/(k\d+) ", what)) is not None
    ]
    assert posts[0][1] == leaked
    dead = next(at - begun for at, what in world.asked if what == f"DELETE {old[leaked]}")
    assert dead < 1, "nor does its end wait for the others' requests"
    assert sorted(name for _, name in posts) == sorted(ends), "one key each, and no second one"
    prompt = [ends[name] for at, name in posts[1:] if at < 30]
    assert len(prompt) > KEYS / 2
    assert prompt == sorted(prompt, key=str), "in the order of their last days"
    late = [ends[name] for at, name in posts if at >= 30]
    assert sum(b < a for a, b in pairwise(late) if a and b) <= len(late) / 4, "later on, one in eight by its age"
    times = [at for at, _ in world.asked]
    busiest = max(sum(at <= other < at + 1 for other in times) for at in times)
    assert busiest <= BURST + PER_SECOND
    assert posts[-1][0] >= (2 * KEYS - BURST) / PER_SECOND - 1, "a POST and a check each"
    sent = sum(at - begun <= posts[-1][0] for at in times)
    assert posts[-1][0] <= sent / PER_SECOND + 1, "and no second wasted"
